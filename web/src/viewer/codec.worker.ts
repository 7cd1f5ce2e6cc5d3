// Decodes HTJ2K beside the page (OpenJPH, ISO/IEC 15444-15): a prefix that ends with a tile part decodes at its own size.
import load, { type HTJ2KDecoder } from '@cornerstonejs/codec-openjph';
import type { Asked, Decoded, Refused } from './codec';

type Scope = { onmessage: (event: MessageEvent<Asked | WebAssembly.Module>) => void; postMessage: (message: Decoded | Refused, transfer: Transferable[]) => void };
const scope = self as unknown as Scope;
let ready: Promise<HTJ2KDecoder>;

/** First the program, compiled by the page for all its workers, then frames. */
scope.onmessage = ({ data }) => {
  if (data instanceof WebAssembly.Module) ready = start(data);
  else void answer(data);
};

async function start(program: WebAssembly.Module): Promise<HTJ2KDecoder> {
  const module = await load({
    instantiateWasm: (imports, done) => {
      void WebAssembly.instantiate(program, imports).then((instance) => done(instance, program));
      return {};
    },
  });
  return new module.HTJ2KDecoder();
}

async function answer({ id, bytes, level }: Asked): Promise<void> {
  try {
    const { values, rows, columns } = decode(await ready, bytes, level);
    scope.postMessage({ id, values, rows, columns }, [values.buffer]);
  } catch (cause) {
    scope.postMessage({ id, fault: String(cause) }, []);
  }
}

function decode(decoder: HTJ2KDecoder, bytes: Uint8Array, level: number): Omit<Decoded, 'id'> {
  decoder.getEncodedBuffer(bytes.length).set(bytes);
  decoder.decodeSubResolution(level);
  const { bitsPerSample, isSigned } = decoder.getFrameInfo();
  const { width: columns, height: rows } = decoder.calculateSizeAtDecompositionLevel(level);
  const raw = decoder.getDecodedBuffer().slice(); // out of the module's memory, which the next frame takes
  if (bitsPerSample > 8) return { values: isSigned ? new Int16Array(raw.buffer) : new Uint16Array(raw.buffer), rows, columns };
  return { values: isSigned ? new Int8Array(raw.buffer) : raw, rows, columns };
}
