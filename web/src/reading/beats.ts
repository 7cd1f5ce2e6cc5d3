// Beats of the stretch in view, in blocks of two minutes, with what this page has changed laid over them.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api } from '../core/api';
import type { Beat } from '../ecg/strip';
import type { OpenCase } from './open-case';

const BLOCK_S = 120;

class BeatBlocks {
  private readonly blocks = new Map<number, Promise<Beat[]>>();

  constructor(private readonly analysis_id: string, private readonly length: number) {}

  async read(from: number, to: number): Promise<Beat[]> {
    const wanted: Promise<Beat[]>[] = [];
    for (let block = Math.floor(Math.max(0, from) / this.length); block * this.length < to; block++) wanted.push(this.block(block));
    return (await Promise.all(wanted)).flat().filter(([sample]) => sample >= from && sample < to);
  }

  private block(number: number): Promise<Beat[]> {
    const kept = this.blocks.get(number);
    if (kept) return kept;
    const [from, to] = [number * this.length, (number + 1) * this.length];
    const fresh = api.get<{ beats: Beat[] }>(`/api/analyses/${this.analysis_id}/beats?from_sample=${from}&to_sample=${to}`).then(({ beats }) => beats);
    this.blocks.set(number, fresh);
    fresh.catch(() => this.blocks.delete(number));
    return fresh;
  }
}

/** [sample of the line, class] within [from, to). */
export function useBeats(open: OpenCase, from: number, to: number): readonly Beat[] {
  const analysis_id = open.data.value.analysis.id;
  const epoch = open.epoch.value;
  const blocks = useMemo(() => new BeatBlocks(analysis_id, BLOCK_S * open.line.fs_hz), [analysis_id, epoch]);
  const [stored, setStored] = useState<readonly Beat[]>([]);
  useEffect(() => {
    let current = true;
    blocks.read(from, to).then((beats) => { if (current) setStored(beats); }, () => undefined);
    return () => { current = false; };
  }, [blocks, from, to]);
  const changed = open.changed.value;
  return useMemo(() => {
    const seen = new Map<number, string | null>(stored);
    for (const [sample, label] of changed) if (sample >= from && sample < to) seen.set(sample, label);
    return [...seen].filter((beat): beat is [number, string] => beat[1] !== null).sort((a, b) => a[0] - b[0]);
  }, [stored, changed, from, to]);
}
