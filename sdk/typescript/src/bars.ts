/** Bars of channel `bars`: recent ones at first, then each that changes, by its start. A correction replaces a bar. */

import type { AckState, Bar, BarMessage, BarsSnapshotMessage, Interval } from "./protocol.ts";

/** Bars kept of each symbol and interval. */
export const BARS_MAX = 120;

/** Bars of one symbol and interval, oldest first. */
export interface BarSeries {
  readonly symbol: string;
  readonly interval: Interval;
  bars: readonly Bar[];
  state: AckState;
  reason: string | null;
  epoch: number;
  seq: number;
  complete: boolean;
  /** Bars that a bust or a correction changed after their end. */
  corrections: number;
}

export class Bars {
  readonly #series = new Map<string, BarSeries>();

  get(symbol: string, interval: Interval): BarSeries | undefined {
    return this.#series.get(`${interval} ${symbol}`);
  }

  open(symbol: string, interval: Interval): BarSeries {
    let series = this.get(symbol, interval);
    if (!series) {
      series = { symbol, interval, bars: [], state: "syncing", reason: null, epoch: 0, seq: 0, complete: false, corrections: 0 };
      this.#series.set(`${interval} ${symbol}`, series);
    }
    return series;
  }

  forget(symbol: string, interval: Interval): void {
    this.#series.delete(`${interval} ${symbol}`);
  }

  /** Returns the bars that are not as they were known, or null if nobody watches them. */
  snapshot(message: BarsSnapshotMessage): readonly Bar[] | null {
    const series = this.get(message.symbol, message.interval);
    if (!series) return null;
    const before = new Map(series.bars.map((bar) => [bar.start, textOf(bar)]));
    series.bars = message.bars.slice(-BARS_MAX);
    series.complete = true;
    series.epoch = message.epoch;
    series.seq = message.seq;
    series.state = message.state ?? "live";
    series.reason = null;
    return series.bars.filter((bar) => before.get(bar.start) !== textOf(bar));
  }

  /** A bar without trades is one that the venue took back: it is deleted. */
  bar(message: BarMessage): readonly Bar[] | null {
    const series = this.get(message.symbol, message.interval);
    if (!series?.complete) return null;
    series.seq = Math.max(series.seq, message.seq);
    if (message.corrected === true) series.corrections += 1;
    const begin = Date.parse(message.start);
    const found = series.bars.findIndex((bar) => Date.parse(bar.start) >= begin);
    const place = found < 0 ? series.bars.length : found;
    const isThere = Date.parse(series.bars[place]?.start ?? "") === begin;
    series.bars = series.bars.toSpliced(place, isThere ? 1 : 0, ...(message.trades > 0 ? [message] : [])).slice(-BARS_MAX);
    return [message];
  }
}

function textOf({ open, high, low, close, volume, trades, final }: Bar): string {
  return [open, high, low, close, volume, trades, final].join();
}
