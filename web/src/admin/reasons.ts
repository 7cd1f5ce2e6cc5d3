// Why a packet is set aside, in the hub's words; a reason this page does not know yet is shown as it is.
const REASONS = [
  'truncated', 'oversize', 'not-cbor', 'not-json', 'not-senml', 'wrong-version', 'missing-field', 'bad-field', 'unknown-kind', 'foreign-format',
  'odd-topic', 'unknown-device', 'wrong-shard', 'retired-device', 'no-recording', 'unknown-recording', 'foreign-recording',
  'conflict', 'bad-time', 'no-pairing', 'other-format', 'hub-failure',
] as const;
export type Reason = (typeof REASONS)[number];

export function knownReason(reason: string): Reason | null {
  return REASONS.find((each) => each === reason) ?? null;
}
