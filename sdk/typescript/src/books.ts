/**
 * Order books of channel `book`: a snapshot, then levels that changed, each by its price; size 0 takes a level away.
 *
 * Updates that are merged do not show in a book, but one that is lost or misread does: now and then a message brings the
 * digest of what the client must have. A book whose digest is another one is thrown away and asked for again.
 */

import { crc32 } from "./crc.ts";
import { compareDecimals, parseDecimal } from "./decimal.ts";
import type { AckState, BookSnapshotMessage, BookUpdateMessage, Decimal, LevelChange } from "./protocol.ts";

export interface Level {
  readonly price: Decimal;
  readonly size: Decimal;
}

/** One book, best levels first. Changed in place; copy what you keep. */
export interface Book {
  readonly symbol: string;
  bids: Level[];
  asks: Level[];
  state: AckState;
  reason: string | null;
  epoch: number;
  seq: number;
  /** False until a whole snapshot came, and again after continuity was lost. */
  complete: boolean;
  /** False from the end of a connection until the snapshot of the next one. */
  current: boolean;
  timestamp: string | null;
  /** Digests that agreed, and that did not. */
  verified: number;
  failed: number;
}

/** What a message did to a book; "verified": changed, and its digest agreed. */
export type BookOutcome = "changed" | "verified" | "ignored" | "broken";

export class Books {
  readonly #books = new Map<string, Book>();
  /** Books in the middle of a snapshot of several messages. */
  readonly #parts = new Set<string>();

  get(symbol: string): Book | undefined {
    return this.#books.get(symbol);
  }

  /** The book of a symbol that is watched; empty at first. */
  open(symbol: string): Book {
    let book = this.#books.get(symbol);
    if (!book) {
      book = {
        symbol,
        bids: [],
        asks: [],
        state: "syncing",
        reason: null,
        epoch: 0,
        seq: 0,
        complete: false,
        current: true,
        timestamp: null,
        verified: 0,
        failed: 0,
      };
      this.#books.set(symbol, book);
    }
    return book;
  }

  forget(symbol: string): void {
    this.#books.delete(symbol);
    this.#parts.delete(symbol);
  }

  /** What is known of a book is worth nothing any more; a snapshot makes it whole again. */
  drop(symbol: string, reason: string): void {
    const book = this.open(symbol);
    book.bids = [];
    book.asks = [];
    book.complete = false;
    book.current = true;
    book.epoch = 0;
    book.state = "syncing";
    book.reason = reason;
    this.#parts.delete(symbol);
  }

  /** The connection is gone; returns the books of which that is news. */
  disconnected(): string[] {
    const books = [...this.#books.values()].filter((book) => book.current);
    for (const book of books) book.current = false;
    return books.map((book) => book.symbol);
  }

  snapshot(message: BookSnapshotMessage): BookOutcome {
    const book = this.#books.get(message.symbol);
    if (!book) return "ignored";
    if (!this.#parts.has(message.symbol)) {
      book.bids = [];
      book.asks = [];
    }
    book.complete = false;
    this.#change(book, message);
    if (message.last === false) {
      this.#parts.add(message.symbol);
      return "changed";
    }
    this.#parts.delete(message.symbol);
    book.complete = true;
    book.current = true;
    book.epoch = message.epoch;
    book.seq = message.seq;
    book.state = message.state ?? "live";
    book.reason = message.reason ?? null;
    return this.#verify(book, message.digest);
  }

  update(message: BookUpdateMessage): BookOutcome {
    const book = this.#books.get(message.symbol);
    if (!book?.complete || message.seq <= book.seq) return "ignored";
    if (message.epoch !== undefined && message.epoch !== book.epoch) {
      this.drop(message.symbol, "a new epoch began without a snapshot");
      return "broken";
    }
    this.#change(book, message);
    book.seq = message.seq;
    if (message.state !== undefined) {
      book.state = message.state;
      book.reason = null;
    }
    return this.#verify(book, message.digest);
  }

  #change(book: Book, message: BookSnapshotMessage | BookUpdateMessage): void {
    for (const change of message.bids ?? []) setLevel(book.bids, change, -1);
    for (const change of message.asks ?? []) setLevel(book.asks, change, 1);
    book.timestamp = message.timestamp ?? book.timestamp;
  }

  #verify(book: Book, digest: number | undefined): BookOutcome {
    if (digest === undefined) return "changed";
    if (digestOf(book) === digest) {
      book.verified += 1;
      return "verified";
    }
    book.failed += 1;
    this.drop(book.symbol, "what was received does not add up to the server's digest: asked for anew");
    return "broken";
  }
}

/** CRC-32 of the book as text: `price:size` of the bids, best first, then of the asks, with commas between. */
export function digestOf(book: Pick<Book, "bids" | "asks">): number {
  return crc32([...book.bids, ...book.asks].map(({ price, size }) => `${price}:${size}`).join(","));
}

/** Puts a level in its place; `order` 1: lowest price first. Its key is the text of its price, digits and all. */
function setLevel(levels: Level[], [price, size]: LevelChange, order: 1 | -1): void {
  let low = 0;
  let high = levels.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order * compareDecimals(levels[middle]?.price ?? "0", price) < 0) low = middle + 1;
    else high = middle;
  }
  // Prices that are equal in other digits stand side by side until one of them is deleted.
  let place = low;
  while (levels[place] && levels[place]?.price !== price && compareDecimals(levels[place]?.price ?? "", price) === 0) place += 1;
  const isThere = levels[place]?.price === price;
  if (isZero(size)) {
    if (isThere) levels.splice(place, 1);
  } else levels.splice(place, isThere ? 1 : 0, { price, size });
}

function isZero(size: Decimal): boolean {
  const parts = parseDecimal(size);
  return parts !== null && !/[1-9]/.test(parts.whole + parts.fraction);
}
