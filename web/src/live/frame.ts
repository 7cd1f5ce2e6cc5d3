// One binary message of the live socket: 16-byte header, then int16 lead-major (docs/protocol/websocket.md).

export type Frame = { leads: number; count: number; uv_per_lsb: number; first_sample: number; samples: Int16Array };

const SAMPLES = 1; // kind
const HEADER_BYTES = 16;

/** Null = not a frame of samples this page knows. */
export function parseFrame(bytes: ArrayBuffer): Frame | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes);
  const [leads, count] = [view.getUint8(1), view.getUint16(2, true)];
  if (view.getUint8(0) !== SAMPLES || bytes.byteLength !== HEADER_BYTES + 2 * leads * count) return null;
  return {
    leads,
    count,
    uv_per_lsb: view.getFloat32(4, true),
    first_sample: Number(view.getBigUint64(8, true)),
    samples: new Int16Array(bytes, HEADER_BYTES),
  };
}
