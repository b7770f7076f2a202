/** What a program is told: whole states, never changed afterwards, and trades as they come. */

import type { BarSeries } from "./bars.ts";
import type { Book, Level } from "./books.ts";
import type { Quote } from "./ledger.ts";
import type { AckState, Bar, Interval, PriceFields, TradeMessage } from "./protocol.ts";
import type { Waiting } from "./subscription.ts";
import type { Hole } from "./tapes.ts";

/** Only `live` is live; `delayed` is as good, but `delayS` seconds old. `refused`: the gateway did not take the subscription, `reason` says why. */
export type ShownState = AckState | "refused";

export const LOST = "connection lost";

/** The whole state of a symbol after a change; fields have the names of the protocol and are missing where not asked for. */
export interface Tick extends Readonly<Omit<PriceFields, "state">> {
  readonly type: "price";
  readonly symbol: string;
  /** What the price is worth; while there is no connection, `stale`. */
  readonly state: ShownState;
  readonly reason: string | null;
  /** While it stays the same, `seq` counts without a break. */
  readonly epoch: number;
  readonly seq: number;
  /** Updates that were merged into this one. */
  readonly merged: number;
  /** When it came, by the client's clock; 0 = nothing came yet. */
  readonly receivedAtMs: number;
}

/** A book after a change, best levels first. */
export interface BookView {
  readonly type: "book";
  readonly symbol: string;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly state: ShownState;
  readonly reason: string | null;
  /** False: there is no whole book, and no level is shown. */
  readonly isWhole: boolean;
  readonly timestamp: string | null;
  readonly epoch: number;
  readonly seq: number;
  /** Digests of the gateway that agreed with this book, and that did not: then it was thrown away and asked for anew. */
  readonly verified: number;
  readonly failed: number;
}

export type Trade = Omit<TradeMessage, "channel">;

/** Trades are missing here; `count` null: nobody knows how many. */
export interface Lost extends Hole {
  readonly type: "lost";
}

/** A bar that is new or changed; with `trades` 0 it was taken back and is gone. */
export interface BarEvent extends Bar {
  readonly type: "bar";
  readonly symbol: string;
  readonly interval: Interval;
}

const REFUSAL = /^\d{4}: /;

export function tickOf(symbol: string, quote: Quote | undefined, merged = 0): Tick {
  const head = { type: "price", symbol, epoch: 0, seq: 0, merged, receivedAtMs: 0 } as const;
  if (!quote) return { ...head, state: "syncing", reason: null };
  const { epoch, seq, receivedAtMs, current } = quote;
  const isRefused = !quote.complete && REFUSAL.test(quote.reason ?? "");
  const state = !current ? "stale" : isRefused ? "refused" : quote.state;
  return { ...quote.fields, ...head, epoch, seq, receivedAtMs, state, reason: current ? quote.reason : LOST };
}

export function bookOf(symbol: string, book: Book | undefined): BookView {
  const head = { type: "book", symbol, bids: [], asks: [], isWhole: false, timestamp: null, epoch: 0, seq: 0, verified: 0, failed: 0 } as const;
  if (!book) return { ...head, state: "syncing", reason: null };
  const { complete: isWhole, timestamp, epoch, seq, verified, failed, current } = book;
  const isRefused = !isWhole && REFUSAL.test(book.reason ?? "");
  const state = !current ? "stale" : isRefused ? "refused" : book.state;
  const levels = isWhole ? { bids: [...book.bids], asks: [...book.asks] } : { bids: [], asks: [] };
  return { ...head, ...levels, isWhole, timestamp, epoch, seq, verified, failed, state, reason: current ? book.reason : LOST };
}

export function tradeOf({ channel: _, ...trade }: TradeMessage): Trade {
  return trade;
}

export function barOf(series: BarSeries, bar: Bar): BarEvent {
  const { start, open, high, low, close, volume, notional = null, trades, final, corrected = false } = bar;
  return { type: "bar", symbol: series.symbol, interval: series.interval, start, open, high, low, close, volume, notional, trades, final, corrected };
}

/** Trades that wait to be read, at most. */
export const TRADES_WAITING_MAX = 10_000;

const nothingGone = (): readonly never[] => [];
const newest = <Event>(_: Event, newer: Event): Event => newer;

export const TICKS_WAIT: Waiting<Tick> = {
  key: (tick) => tick.symbol,
  merge: (older, newer) => ({ ...newer, merged: newer.merged + older.merged + (newer.seq > older.seq ? 1 : 0) }),
  max: 0,
  gone: nothingGone,
};

export const BOOKS_WAIT: Waiting<BookView> = { key: (book) => book.symbol, merge: newest, max: 0, gone: nothingGone };

export const BARS_WAIT: Waiting<BarEvent> = {
  key: (bar) => `${bar.symbol} ${bar.interval} ${bar.start}`,
  merge: newest,
  max: 0,
  gone: nothingGone,
};

export const TRADES_WAIT: Waiting<Trade | Lost> = { key: () => null, merge: newest, max: TRADES_WAITING_MAX, gone: unread };

/** What is told instead of trades that nobody read in time: how many, by symbol. */
function unread(events: readonly (Trade | Lost)[]): readonly Lost[] {
  const counts = new Map<string, number | null>();
  for (const event of events) {
    const before = counts.has(event.symbol) ? (counts.get(event.symbol) ?? null) : 0;
    const more = event.type === "lost" ? event.count : 1;
    counts.set(event.symbol, before === null || more === null ? null : before + more);
  }
  return [...counts].map(([symbol, count]) => ({ type: "lost", symbol, count, reason: "not read in time" }));
}
