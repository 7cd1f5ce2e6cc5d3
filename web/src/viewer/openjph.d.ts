// What of OpenJPH's JavaScript binding is used here (packages/openjphjs of cornerstonejs/codecs).
declare module '@cornerstonejs/codec-openjph' {
  export type HTJ2KDecoder = {
    getEncodedBuffer: (length: number) => Uint8Array;
    decodeSubResolution: (level: number) => void;
    getFrameInfo: () => { width: number; height: number; bitsPerSample: number; componentCount: number; isSigned: boolean };
    calculateSizeAtDecompositionLevel: (level: number) => { width: number; height: number };
    getDecodedBuffer: () => Uint8Array<ArrayBuffer>;
  };
  type Instantiate = (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void) => object;
  export default function load(options: { instantiateWasm: Instantiate }): Promise<{ HTJ2KDecoder: new () => HTJ2KDecoder }>;
}
declare module '@cornerstonejs/codec-openjph/wasm?url' {
  const address: string;
  export default address;
}
