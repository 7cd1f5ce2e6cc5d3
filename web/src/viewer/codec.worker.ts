// Decodes HTJ2K beside the page (OpenJPH, ISO/IEC 15444-15): a prefix that ends with a tile part decodes at its own size.
import load, { type HTJ2KDecoder } from '@cornerstonejs/codec-openjph';
import wasm from '@cornerstonejs/codec-openjph/wasm?url';
import type { Asked, Decoded, Refused } from './codec';

const scope = self as unknown as { onmessage: (event: MessageEvent<Asked>) => void; postMessage: (message: Decoded | Refused, transfer: Transferable[]) => void };
const ready: Promise<HTJ2KDecoder> = load({ locateFile: () => wasm }).then((module) => new module.HTJ2KDecoder());

scope.onmessage = ({ data }) => { void answer(data); };

async function answer({ id, bytes, level }: Asked): Promise<void> {
  const decoder = await ready.catch(() => null);
  if (decoder === null) {
    scope.postMessage({ id, fault: null }, []);
    return;
  }
  try {
    const { values, rows, columns } = decode(decoder, bytes, level);
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
