/**
 * Between the stream and the screen: however often quotes change, listeners are told once per animation frame, each
 * only of its own symbol, and a row that is not in view is not told at all until it is.
 */

import {
  type Bar,
  type BarSeries,
  type Book,
  compareDecimals,
  type Connection,
  type Decimal,
  type Instance,
  type Interval,
  type Legs,
  type Level,
  type PriceFields,
  type Quote,
  type RateMessage,
  type Tape,
  type TradeMessage,
} from "tickcast";

import { Signal } from "./signal.ts";

/** What a row shows as its state: the server's word, or that there is no connection to have it from. */
export type ShownState = Quote["state"] | "offline" | "refused";

/** One symbol as the screen shows it; never changed, so that equal means the same object. */
export interface Row {
  readonly symbol: string;
  readonly fields: Readonly<PriceFields>;
  readonly state: ShownState;
  readonly reason: string | null;
  readonly legs: Legs | null;
  readonly crossed: boolean;
  /** Of the last change of price; `moves` counts them, so that each can be seen. */
  readonly direction: "up" | "down" | null;
  readonly moves: number;
  readonly received: number;
  readonly merged: number;
  readonly resets: number;
  readonly receivedAtMs: number;
}

/** The last trades of a symbol as the screen shows them. */
export interface TapeView {
  readonly trades: readonly TradeMessage[];
  readonly lost: number;
}

/** A book as the screen shows it, best levels first. */
export interface BookView {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly state: ShownState;
  readonly reason: string | null;
  readonly isWhole: boolean;
  readonly verified: number;
  readonly failed: number;
}

/** Bars as the screen shows them, oldest first. */
export interface BarsView {
  readonly bars: readonly Bar[];
  readonly isKnown: boolean;
  readonly reason: string | null;
  readonly corrections: number;
}

export interface Totals {
  readonly received: number;
  readonly merged: number;
  readonly receivedPerSecond: number;
  readonly mergedPerSecond: number;
}

/** What the store reads from: the client, or a test's stand-in. */
export interface MarketSource {
  quote(symbol: string): Quote | undefined;
  tape(symbol: string): Tape | undefined;
  book(symbol: string): Book | undefined;
  bars(symbol: string, interval: Interval): BarSeries | undefined;
}

export type Schedule = (commit: () => void) => void;

const EMPTY_TAPE: TapeView = { trades: [], lost: 0 };
const EMPTY_BOOK: BookView = { bids: [], asks: [], state: "syncing", reason: null, isWhole: false, verified: 0, failed: 0 };
const EMPTY_BARS: BarsView = { bars: [], isKnown: false, reason: null, corrections: 0 };
const INTERVALS: readonly Interval[] = ["1s", "1m"];

export class MarketStore {
  readonly connection = new Signal<Connection>({ phase: "idle" });
  readonly totals = new Signal<Totals>({ received: 0, merged: 0, receivedPerSecond: 0, mergedPerSecond: 0 });
  /** What the server says of itself; null: it does not say. */
  readonly instance = new Signal<Instance | null>(null);
  /** The server sends less than was asked for; null: it does not. */
  readonly slowed = new Signal<RateMessage | null>(null);
  /** How late everything is that the server shows us, in seconds; 0: it is not. */
  readonly delayS = new Signal(0);
  readonly #source: MarketSource;
  readonly #schedule: Schedule;
  readonly #rows = new Map<string, Row>();
  readonly #tapes = new Map<string, TapeView>();
  readonly #books = new Map<string, BookView>();
  readonly #bars = new Map<string, BarsView>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #dirty = new Set<string>();
  readonly #dirtyTapes = new Set<string>();
  readonly #dirtyBooks = new Set<string>();
  readonly #dirtyBars = new Set<string>();
  readonly #outOfView = new Set<string>();
  #scheduled = false;
  #received = 0;
  #merged = 0;
  #measuredAtMs = 0;
  commits = 0;

  constructor(source: MarketSource, schedule: Schedule = (commit) => requestAnimationFrame(commit)) {
    this.#source = source;
    this.#schedule = schedule;
  }

  /** Something changed; the screen learns it with the next frame. */
  applied(change: {
    readonly quotes: Iterable<string>;
    readonly tapes: Iterable<string>;
    readonly books?: Iterable<string>;
    readonly bars?: Iterable<string>;
    readonly received: number;
    readonly merged: number;
  }): void {
    for (const symbol of change.quotes) this.#dirty.add(symbol);
    for (const symbol of change.tapes) this.#dirtyTapes.add(symbol);
    for (const symbol of change.books ?? []) this.#dirtyBooks.add(symbol);
    for (const symbol of change.bars ?? []) this.#dirtyBars.add(symbol);
    this.#received += change.received;
    this.#merged += change.merged;
    this.#request();
  }

  setConnection(connection: Connection): void {
    const wasLive = this.connection.value.phase === "live";
    this.connection.set(connection);
    if (wasLive === (connection.phase === "live")) return;
    for (const symbol of this.#rows.keys()) this.#dirty.add(symbol); // their state is another one now
    for (const symbol of this.#books.keys()) this.#dirtyBooks.add(symbol);
    this.#request();
  }

  /** Call once a second: figures per second since the last call. */
  measure(nowMs: number): void {
    const before = this.totals.value;
    const seconds = (nowMs - this.#measuredAtMs) / 1000;
    if (this.#measuredAtMs > 0 && seconds > 0) {
      this.totals.set({
        received: this.#received,
        merged: this.#merged,
        receivedPerSecond: (this.#received - before.received) / seconds,
        mergedPerSecond: (this.#merged - before.merged) / seconds,
      });
    }
    this.#measuredAtMs = nowMs;
  }

  row(symbol: string): Row {
    const row = this.#rows.get(symbol) ?? this.#build(symbol);
    this.#rows.set(symbol, row);
    return row;
  }

  tape(symbol: string): TapeView {
    return this.#tapes.get(symbol) ?? EMPTY_TAPE;
  }

  book(symbol: string): BookView {
    return this.#books.get(symbol) ?? EMPTY_BOOK;
  }

  bars(symbol: string, interval: Interval): BarsView {
    return this.#bars.get(`${interval} ${symbol}`) ?? EMPTY_BARS;
  }

  subscribe(symbol: string, listener: () => void): () => void {
    let listeners = this.#listeners.get(symbol);
    if (!listeners) this.#listeners.set(symbol, (listeners = new Set()));
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(symbol);
    };
  }

  /** Rows that scrolled out of view are not rendered; they catch up when they are back. */
  setInView(symbol: string, inView: boolean): void {
    if (!inView) this.#outOfView.add(symbol);
    else if (this.#outOfView.delete(symbol) && this.#dirty.has(symbol)) this.#request();
  }

  forget(symbol: string): void {
    this.#rows.delete(symbol);
    this.#tapes.delete(symbol);
    this.#books.delete(symbol);
    for (const interval of INTERVALS) this.#bars.delete(`${interval} ${symbol}`);
    this.#dirty.delete(symbol);
    this.#dirtyTapes.delete(symbol);
    this.#outOfView.delete(symbol);
  }

  #request(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#commit();
    });
  }

  #commit(): void {
    this.commits += 1;
    const changed = new Set<string>();
    for (const symbol of this.#dirty) {
      if (this.#outOfView.has(symbol)) continue;
      this.#dirty.delete(symbol);
      this.#rows.set(symbol, this.#build(symbol));
      changed.add(symbol);
    }
    for (const symbol of this.#dirtyTapes) {
      const tape = this.#source.tape(symbol);
      this.#tapes.set(symbol, tape ? { trades: tape.trades, lost: tape.lost } : EMPTY_TAPE);
      changed.add(symbol);
    }
    this.#dirtyTapes.clear();
    for (const symbol of this.#dirtyBooks) {
      this.#books.set(symbol, this.#buildBook(symbol));
      changed.add(symbol);
    }
    this.#dirtyBooks.clear();
    for (const symbol of this.#dirtyBars) {
      this.#copyBars(symbol);
      changed.add(symbol);
    }
    this.#dirtyBars.clear();
    for (const symbol of changed) {
      const listeners = this.#listeners.get(symbol);
      if (listeners) for (const listener of listeners) listener();
    }
  }

  #build(symbol: string): Row {
    const before = this.#rows.get(symbol);
    const quote = this.#source.quote(symbol);
    const fields: PriceFields = { ...quote?.fields };
    const order = movement(before?.fields.price, fields.price);
    return {
      symbol,
      fields,
      state: this.#shownState(quote),
      reason: quote?.reason ?? null,
      legs: fields.legs ?? null,
      crossed: fields.crossed === true,
      direction: order === 0 ? (before?.direction ?? null) : order > 0 ? "up" : "down",
      moves: (before?.moves ?? 0) + (order === 0 ? 0 : 1),
      received: quote?.received ?? 0,
      merged: quote?.merged ?? 0,
      resets: quote?.resets ?? 0,
      receivedAtMs: quote?.receivedAtMs ?? 0,
    };
  }

  #buildBook(symbol: string): BookView {
    const book = this.#source.book(symbol);
    if (!book) return EMPTY_BOOK;
    const { reason, verified, failed, complete: isWhole } = book;
    const isRefused = /^\d{4}: /.test(reason ?? "");
    const state = this.connection.value.phase !== "live" ? "offline" : isWhole ? book.state : isRefused ? "refused" : "syncing";
    return { bids: [...book.bids], asks: [...book.asks], state, reason, isWhole, verified, failed };
  }

  #copyBars(symbol: string): void {
    for (const interval of INTERVALS) {
      const series = this.#source.bars(symbol, interval);
      const key = `${interval} ${symbol}`;
      if (!series) this.#bars.delete(key);
      else if (this.#bars.get(key)?.bars !== series.bars || !series.complete) {
        const { bars, complete: isKnown, reason, corrections } = series;
        this.#bars.set(key, { bars, isKnown, reason, corrections });
      }
    }
  }

  #shownState(quote: Quote | undefined): ShownState {
    if (this.connection.value.phase !== "live") return "offline";
    if (!quote) return "syncing";
    if (quote.complete || quote.state === "no_such_symbol" || quote.state === "not_entitled") return quote.state;
    return /^\d{4}: /.test(quote.reason ?? "") ? "refused" : "syncing";
  }
}

function movement(before: Decimal | null | undefined, after: Decimal | null | undefined): number {
  return before && after && before !== after ? compareDecimals(after, before) : 0;
}
