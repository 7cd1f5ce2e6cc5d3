// Hashes what it is given, in order; `null` asks for the hash of all.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const hash = sha256.create();
const page = self as unknown as { postMessage: (message: string) => void };

self.onmessage = ({ data }: MessageEvent<Uint8Array | null>) => {
  if (data) hash.update(data);
  page.postMessage(data ? '' : bytesToHex(hash.digest()));
};
