/**
 * What the client knows of each symbol, and how well: a pure object fed with messages and the time.
 *
 * An update carries only what changed, so it means something only on top of a complete picture. The ledger therefore
 * fails closed: after a new epoch, a refused resume or anything else that breaks continuity a quote is `complete: false`
 * and updates are ignored until a snapshot makes it whole again.
 *
 * The counters follow from `seq`, which counts an instrument's events: a jump of n in channel `price` is one update
 * received and n - 1 merged into it; in channel `trades` n - 1 were lost.
 */

import { Bars, type BarSeries } from "./bars.ts";
import { type Book, Books } from "./books.ts";
import type {
  AckState,
  Bar,
  BookSnapshotMessage,
  BookUpdateMessage,
  Interval,
  Position,
  PriceFields,
  ResumedMessage,
  ServerMessage,
  SnapshotMessage,
  StatusMessage,
  Stream,
  SubscribedMessage,
  TradeMessage,
  UpdateMessage,
} from "./protocol.ts";
import { type Hole, type Tape, Tapes } from "./tapes.ts";

/** The whole known state of one symbol. Changed in place; copy what you keep. */
export interface Quote {
  readonly symbol: string;
  fields: PriceFields;
  state: AckState;
  /** Why the state is what it is, in the server's words. */
  reason: string | null;
  epoch: number;
  seq: number;
  /** False until a snapshot came, and again after continuity was lost. */
  complete: boolean;
  /** False from the end of a connection until the next one has said where the symbol stands. */
  current: boolean;
  received: number;
  merged: number;
  /** Times that continuity could not be proved and the counters began anew. */
  resets: number;
  /** When the last frame came, by the client's clock; 0 = none yet. */
  receivedAtMs: number;
}

/** What a message changed. `broken`: ask for a new snapshot of these. */
export interface Applied {
  readonly quotes: Set<string>;
  readonly tapes: Set<string>;
  readonly books: Set<string>;
  readonly bars: Set<string>;
  readonly broken: Set<string>;
  readonly brokenBooks: Set<string>;
  received: number;
  merged: number;
}

export function nothingApplied(): Applied {
  const sets = { quotes: new Set<string>(), tapes: new Set<string>(), books: new Set<string>(), bars: new Set<string>() };
  return { ...sets, broken: new Set(), brokenBooks: new Set(), received: 0, merged: 0 };
}

/** Told of each change at once, in order: what is in `Applied` is told once a message. */
export interface Listener {
  price(quote: Quote, merged: number): void;
  trade(trade: TradeMessage): void;
  lost(hole: Hole): void;
  book(book: Book): void;
  bar(series: BarSeries, bar: Bar): void;
}

const NO_FIELDS: ReadonlySet<string> = new Set(["type", "symbol", "channel", "epoch", "seq", "reason", "since"]);

export class Ledger {
  readonly #quotes = new Map<string, Quote>();
  readonly #tapes = new Tapes();
  readonly #books = new Books();
  readonly #bars = new Bars();
  readonly #listener: Listener | null;
  /** Prices of which a resume was asked: what is known of them counts again when it is answered. */
  readonly #resuming = new Set<string>();
  /** Updates that had no complete picture to rest on, or repeated a `seq`. */
  ignored = 0;
  /** Digests of books that agreed, and that did not. */
  verified = 0;
  failed = 0;

  constructor(listener: Listener | null = null) {
    this.#listener = listener;
  }

  quote(symbol: string): Quote | undefined {
    return this.#quotes.get(symbol);
  }

  tape(symbol: string): Tape | undefined {
    return this.#tapes.get(symbol);
  }

  book(symbol: string): Book | undefined {
    return this.#books.get(symbol);
  }

  bars(symbol: string, interval: Interval): BarSeries | undefined {
    return this.#bars.get(symbol, interval);
  }

  /** Forget a symbol's stream: its counters begin anew when it is asked for again. */
  forget(symbol: string, stream: Stream): void {
    if (stream === "price") this.#quotes.delete(symbol);
    else if (stream === "trades") this.#tapes.forget(symbol);
    else if (stream === "book") this.#books.forget(symbol);
    else this.#bars.forget(symbol, intervalOf(stream));
  }

  /** Where to resume from, if there is anything to resume: books and bars come anew in any case. */
  position(symbol: string, stream: Stream): Position | undefined {
    if (stream === "trades") return this.#tapes.position(symbol);
    if (stream !== "price") return undefined;
    const quote = this.#quotes.get(symbol);
    return quote?.complete ? { epoch: quote.epoch, seq: quote.seq } : undefined;
  }

  /** A request that resumes is on its way. */
  expectResumed(symbol: string, stream: Stream): void {
    if (stream === "trades") this.#tapes.expect(symbol);
    else if (stream === "price") this.#resuming.add(symbol);
  }

  /** The connection is gone: nothing that is known is current. */
  disconnected(applied: Applied): void {
    this.#resuming.clear();
    for (const quote of this.#quotes.values()) {
      if (!quote.current) continue;
      quote.current = false;
      this.#changed(quote, applied);
    }
    for (const symbol of this.#books.disconnected()) this.#changedBook(symbol, applied);
  }

  /** The server refused a symbol: say so where it is shown. */
  refuse(symbol: string, stream: Stream, reason: string, applied: Applied): void {
    if (stream === "book") {
      this.#books.drop(symbol, reason);
      this.#changedBook(symbol, applied);
    } else if (stream === "trades") {
      this.#listener?.lost({ symbol, count: null, reason });
    } else if (stream === "price") {
      const quote = this.#quoteOf(symbol);
      quote.complete = false;
      quote.current = true;
      quote.reason = reason;
      this.#changed(quote, applied);
    } else {
      this.#bars.open(symbol, intervalOf(stream)).reason = reason;
      applied.bars.add(symbol);
    }
  }

  /** `stream`: what a reply is about, where its channel alone does not tell. */
  apply(message: ServerMessage, nowMs: number, applied: Applied, stream: Stream = simpleStreamOf(message)): void {
    switch (message.type) {
      case "update":
        return message.channel === "book" ? this.#book(message, applied) : this.#update(message, nowMs, applied);
      case "snapshot":
        if (message.channel === "book") return this.#book(message, applied);
        if (message.channel === "bars") {
          return this.#changedBars(message.symbol, message.interval, this.#bars.snapshot(message), applied);
        }
        return message.channel === "status" ? undefined : this.#snapshot(message, nowMs, applied);
      case "bar":
        return this.#changedBars(message.symbol, message.interval, this.#bars.bar(message), applied);
      case "status":
        return this.#status(message, applied);
      case "trade":
        return this.#trade(message, applied);
      case "lost":
        if (message.channel === "trades") this.#hole(this.#tapes.lost(message), message.symbol, applied);
        return;
      case "subscribed":
        return this.#subscribed(message, stream, applied);
      case "resumed":
        return this.#resumed(message, stream, applied);
      default:
    }
  }

  #book(message: BookSnapshotMessage | BookUpdateMessage, applied: Applied): void {
    const outcome = message.type === "snapshot" ? this.#books.snapshot(message) : this.#books.update(message);
    if (outcome === "ignored") this.ignored += 1;
    else this.#changedBook(message.symbol, applied);
    if (outcome === "verified") this.verified += 1;
    if (outcome === "broken") applied.brokenBooks.add(message.symbol);
    if (outcome === "broken" && message.digest !== undefined) this.failed += 1;
  }

  #changed(quote: Quote, applied: Applied, merged = 0): void {
    applied.quotes.add(quote.symbol);
    this.#listener?.price(quote, merged);
  }

  #changedBook(symbol: string, applied: Applied): void {
    applied.books.add(symbol);
    const book = this.#books.get(symbol);
    if (book) this.#listener?.book(book);
  }

  /** `changed` null: nobody watches it. */
  #changedBars(symbol: string, interval: Interval, changed: readonly Bar[] | null, applied: Applied): void {
    if (changed === null) return;
    applied.bars.add(symbol);
    const series = this.#bars.get(symbol, interval);
    if (series) for (const bar of changed) this.#listener?.bar(series, bar);
  }

  #hole(hole: Hole | null, symbol: string, applied: Applied): void {
    applied.tapes.add(symbol);
    if (hole) this.#listener?.lost(hole);
  }

  #quoteOf(symbol: string): Quote {
    let quote = this.#quotes.get(symbol);
    if (!quote) {
      quote = {
        symbol,
        fields: {},
        state: "syncing",
        reason: null,
        epoch: 0,
        seq: 0,
        complete: false,
        current: true,
        received: 0,
        merged: 0,
        resets: 0,
        receivedAtMs: 0,
      };
      this.#quotes.set(symbol, quote);
    }
    return quote;
  }

  #update(message: UpdateMessage, nowMs: number, applied: Applied): void {
    const quote = this.#quotes.get(message.symbol);
    if (!quote) {
      this.ignored += 1;
      return;
    }
    if (message.epoch !== undefined && message.epoch !== quote.epoch) {
      this.#breakContinuity(quote, "a new epoch began without a snapshot", applied);
      applied.broken.add(message.symbol);
    }
    if (!quote.complete || message.seq <= quote.seq) {
      this.ignored += 1;
      return;
    }
    const merged = this.#count(quote, message.seq, applied);
    assignFields(quote.fields, message);
    this.#take(quote, message, nowMs, applied, merged);
  }

  #snapshot(message: SnapshotMessage, nowMs: number, applied: Applied): void {
    const quote = this.#quotes.get(message.symbol);
    if (!quote) {
      this.ignored += 1; // a late one, of a symbol no longer watched
      return;
    }
    const continues = quote.epoch === message.epoch && quote.seq <= message.seq;
    let merged = 0;
    if (continues) {
      merged = this.#count(quote, message.seq, applied);
    } else {
      // Nothing is known of what came before: one received, none claimed as merged.
      if (quote.complete) quote.resets += 1;
      quote.epoch = message.epoch;
      quote.seq = message.seq;
      quote.received += 1;
      applied.received += 1;
    }
    const fields: PriceFields = {};
    assignFields(fields, message);
    quote.fields = fields;
    quote.complete = true;
    quote.reason = null;
    this.#take(quote, message, nowMs, applied, merged);
  }

  #status(message: StatusMessage, applied: Applied): void {
    if (message.channel === "book") {
      const book = this.#books.get(message.symbol);
      if (!book) return;
      book.state = message.state;
      book.reason = message.reason ?? null;
      return this.#changedBook(message.symbol, applied);
    }
    if (message.channel === "bars" || message.channel === "trades") return;
    const quote = this.#quotes.get(message.symbol);
    if (!quote) {
      this.ignored += 1;
      return;
    }
    if (quote.complete && message.seq !== undefined && message.seq > quote.seq) {
      this.#count(quote, message.seq, applied);
    }
    if (message.legs) quote.fields.legs = message.legs;
    quote.state = message.state;
    quote.reason = message.reason ?? null;
    this.#changed(quote, applied); // it is no news of the price, whose age goes on
  }

  #take(quote: Quote, message: SnapshotMessage | UpdateMessage, nowMs: number, applied: Applied, merged: number): void {
    if (message.state !== undefined) {
      if (message.state !== quote.state) quote.reason = null;
      quote.state = message.state;
    }
    quote.receivedAtMs = nowMs;
    this.#changed(quote, applied, merged);
  }

  /** Returns how many were merged into this one. */
  #count(quote: Quote, seq: number, applied: Applied): number {
    const jump = seq - quote.seq;
    if (jump <= 0) return 0;
    quote.seq = seq;
    quote.received += 1;
    quote.merged += jump - 1;
    applied.received += 1;
    applied.merged += jump - 1;
    return jump - 1;
  }

  #breakContinuity(quote: Quote, reason: string, applied: Applied): void {
    if (quote.complete) quote.resets += 1;
    quote.complete = false;
    quote.state = "syncing";
    quote.reason = reason;
    this.#changed(quote, applied);
  }

  #subscribed(message: SubscribedMessage, stream: Stream, applied: Applied): void {
    for (const [symbol, ack] of Object.entries(message.symbols)) {
      const exists = ack.epoch !== undefined && ack.seq !== undefined;
      if (stream === "book") {
        const book = this.#books.open(symbol);
        if (book.complete && exists && book.epoch !== ack.epoch) this.#books.drop(symbol, "the server began a new epoch");
        book.state = ack.state;
        if (!exists) book.current = true;
        this.#changedBook(symbol, applied);
        continue;
      }
      if (stream === "bars:1s" || stream === "bars:1m") {
        this.#bars.open(symbol, intervalOf(stream)).state = ack.state;
        applied.bars.add(symbol);
        continue;
      }
      if (stream === "trades") {
        this.#hole(this.#tapes.subscribed(symbol, ack), symbol, applied);
        continue;
      }
      const quote = this.#quoteOf(symbol);
      if (!exists) {
        quote.complete = false;
        quote.fields = {};
      } else if (quote.epoch !== ack.epoch) {
        if (quote.epoch > 0) this.#breakContinuity(quote, "the server began a new epoch", applied);
        quote.epoch = ack.epoch ?? 0;
        quote.seq = ack.seq ?? 0; // counting starts at the ack's
      }
      quote.state = ack.state;
      quote.current ||= !this.#resuming.has(symbol);
      this.#changed(quote, applied);
    }
  }

  #resumed(message: ResumedMessage, stream: Stream, applied: Applied): void {
    for (const [symbol, outcome] of Object.entries(message.symbols)) {
      if (stream === "trades") {
        this.#hole(this.#tapes.resumed(symbol, outcome), symbol, applied);
        continue;
      }
      const quote = stream === "price" ? this.#quotes.get(symbol) : undefined;
      this.#resuming.delete(symbol);
      if (quote) quote.current = true;
      if (outcome.recovered) {
        if (quote) this.#changed(quote, applied);
        continue;
      }
      const reason = `not recovered: ${outcome.reason ?? "no reason given"}`;
      if (stream === "book") {
        this.#books.drop(symbol, reason);
        this.#changedBook(symbol, applied);
        continue;
      }
      if (!quote) continue;
      // What the ack said a moment ago is the better answer: the server does not know the symbol.
      if (quote.state !== "no_such_symbol") this.#breakContinuity(quote, reason, applied);
      quote.epoch = 0; // the snapshot starts the count anew, whatever its seq
    }
  }

  #trade(message: TradeMessage, applied: Applied): void {
    const hole = this.#tapes.trade(message);
    if (hole === "ignored") {
      this.ignored += 1;
      return;
    }
    this.#hole(hole, message.symbol, applied);
    this.#listener?.trade(message);
  }
}

function simpleStreamOf(message: ServerMessage): Stream {
  return "channel" in message && message.channel === "trades" ? "trades" : "price";
}

/** Of `bars:1s`, `1s`. */
function intervalOf(stream: Stream): Interval {
  return stream === "bars:1m" ? "1m" : "1s";
}

function assignFields(target: PriceFields, message: SnapshotMessage | UpdateMessage): void {
  const fields = target as Record<string, unknown>;
  for (const key in message) {
    if (!NO_FIELDS.has(key)) fields[key] = (message as unknown as Record<string, unknown>)[key];
  }
}
