/**
 * What is to be watched, and on what terms.
 *
 * A connection has one set of terms for each symbol of a stream. Where several parts of a program watch the same symbol,
 * it is asked for on terms that serve them all: the quickest rate, all fields that one of them wants, the deepest book.
 */

import { type Channel, type Interval, type Stream, STREAMS, type SubscribeRequest } from "./protocol.ts";

export interface Terms {
  /** Most updates a second of each symbol; 0 = unfiltered. */
  readonly rate: number;
  /** Of `price`; null = all. */
  readonly fields: readonly string[] | null;
  /** Of `book`: levels of each side. */
  readonly depth: number;
}

export class Wanted {
  readonly #holders = byStream(() => new Map<string, Set<Terms>>());

  /** Hold a symbol on these terms; the object itself is the hold, so give each holder another. */
  add(stream: Stream, symbol: string, terms: Terms): void {
    const holders = this.#holders[stream].get(symbol);
    if (holders) holders.add(terms);
    else this.#holders[stream].set(symbol, new Set([terms]));
  }

  remove(stream: Stream, symbol: string, terms: Terms): void {
    const holders = this.#holders[stream].get(symbol);
    holders?.delete(terms);
    if (holders?.size === 0) this.#holders[stream].delete(symbol);
  }

  has(stream: Stream, symbol: string): boolean {
    return this.#holders[stream].has(symbol);
  }

  symbols(stream: Stream): string[] {
    return [...this.#holders[stream].keys()];
  }

  /** Terms that serve all who hold the symbol; undefined: nobody does. */
  terms(stream: Stream, symbol: string): Terms | undefined {
    const holders = this.#holders[stream].get(symbol);
    return holders && united([...holders]);
  }
}

function united(all: readonly Terms[]): Terms {
  const rates = all.map((one) => one.rate);
  const fields = all.some((one) => one.fields === null) ? null : [...new Set(all.flatMap((one) => one.fields ?? []))].sort();
  return { rate: rates.includes(0) ? 0 : Math.max(...rates), fields, depth: Math.max(...all.map((one) => one.depth)) };
}

type Asked = Omit<SubscribeRequest, "symbols" | "resume">;

/** The request for a stream on terms, but for its symbols. */
export function requestFor(stream: Stream, terms: Terms): Asked {
  const head: Asked = { action: "subscribe", ...channelOf(stream) };
  if (stream === "trades") return head;
  if (stream === "book") return { ...head, rate: terms.rate, depth: terms.depth };
  if (stream === "price" && terms.fields) return { ...head, rate: terms.rate, fields: terms.fields };
  return { ...head, rate: terms.rate };
}

/** How a request names a stream. */
export function channelOf(stream: Stream): { readonly channel: Channel; readonly interval?: Interval } {
  if (stream === "bars:1s") return { channel: "bars", interval: "1s" };
  if (stream === "bars:1m") return { channel: "bars", interval: "1m" };
  return { channel: stream };
}

export function byStream<Value>(make: () => Value): Record<Stream, Value> {
  return Object.fromEntries(STREAMS.map((stream) => [stream, make()])) as Record<Stream, Value>;
}

/** A pattern stands for many instruments: `XNAS:*`, `class:option`. */
export function isPattern(symbol: string): boolean {
  return symbol.includes("*") || symbol.startsWith("class:");
}
