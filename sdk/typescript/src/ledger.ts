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
  BookSnapshotMessage,
  BookUpdateMessage,
  Interval,
  LostMessage,
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

/** Trades kept per symbol. */
export const TRADES_MAX = 50;

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
  received: number;
  merged: number;
  /** Times that continuity could not be proved and the counters began anew. */
  resets: number;
  /** When the last frame came, by the client's clock; 0 = none yet. */
  receivedAtMs: number;
}

/** The last trades of one symbol, newest first. */
export interface Tape {
  readonly symbol: string;
  epoch: number;
  seq: number;
  lost: number;
  trades: TradeMessage[];
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

const NO_FIELDS: ReadonlySet<string> = new Set(["type", "symbol", "channel", "epoch", "seq", "reason", "since"]);

export class Ledger {
  readonly #quotes = new Map<string, Quote>();
  readonly #tapes = new Map<string, Tape>();
  readonly #books = new Books();
  readonly #bars = new Bars();
  /** Updates that had no complete picture to rest on, or repeated a `seq`. */
  ignored = 0;

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
    else if (stream === "trades") this.#tapes.delete(symbol);
    else if (stream === "book") this.#books.forget(symbol);
    else this.#bars.forget(symbol, intervalOf(stream));
  }

  /** Where to resume from, if there is anything to resume: books and bars come anew in any case. */
  position(symbol: string, stream: Stream): Position | undefined {
    if (stream === "trades") {
      const tape = this.#tapes.get(symbol);
      return tape && tape.epoch > 0 ? { epoch: tape.epoch, seq: tape.seq } : undefined;
    }
    if (stream !== "price") return undefined;
    const quote = this.#quotes.get(symbol);
    return quote?.complete ? { epoch: quote.epoch, seq: quote.seq } : undefined;
  }

  /** The server refused a symbol: say so where it is shown. */
  refuse(symbol: string, stream: Stream, reason: string, applied: Applied): void {
    if (stream === "book") {
      this.#books.drop(symbol, reason);
      applied.books.add(symbol);
      return;
    }
    if (stream !== "price") {
      if (stream !== "trades") this.#bars.open(symbol, intervalOf(stream)).reason = reason;
      applied.bars.add(symbol);
      return;
    }
    const quote = this.#quoteOf(symbol);
    quote.complete = false;
    quote.reason = reason;
    applied.quotes.add(symbol);
  }

  /** `stream`: what a reply is about, where its channel alone does not tell. */
  apply(message: ServerMessage, nowMs: number, applied: Applied, stream: Stream = simpleStreamOf(message)): void {
    switch (message.type) {
      case "update":
        return message.channel === "book" ? this.#book(message, applied) : this.#update(message, nowMs, applied);
      case "snapshot":
        if (message.channel === "book") return this.#book(message, applied);
        if (message.channel === "bars") {
          if (this.#bars.snapshot(message)) applied.bars.add(message.symbol);
          return;
        }
        return message.channel === "status" ? undefined : this.#snapshot(message, nowMs, applied);
      case "bar":
        if (this.#bars.bar(message)) applied.bars.add(message.symbol);
        return;
      case "status":
        return this.#status(message, nowMs, applied);
      case "trade":
        return this.#trade(message, applied);
      case "lost":
        return this.#lost(message, applied);
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
    else applied.books.add(message.symbol);
    if (outcome === "broken") applied.brokenBooks.add(message.symbol);
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
        received: 0,
        merged: 0,
        resets: 0,
        receivedAtMs: 0,
      };
      this.#quotes.set(symbol, quote);
    }
    return quote;
  }

  #tapeOf(symbol: string): Tape {
    let tape = this.#tapes.get(symbol);
    if (!tape) {
      tape = { symbol, epoch: 0, seq: 0, lost: 0, trades: [] };
      this.#tapes.set(symbol, tape);
    }
    return tape;
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
    this.#count(quote, message.seq, applied);
    assignFields(quote.fields, message);
    this.#take(quote, message, nowMs, applied);
  }

  #snapshot(message: SnapshotMessage, nowMs: number, applied: Applied): void {
    const quote = this.#quotes.get(message.symbol);
    if (!quote) {
      this.ignored += 1; // a late one, of a symbol no longer watched
      return;
    }
    const continues = quote.epoch === message.epoch && quote.seq <= message.seq;
    if (continues) {
      this.#count(quote, message.seq, applied);
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
    this.#take(quote, message, nowMs, applied);
  }

  #status(message: StatusMessage, nowMs: number, applied: Applied): void {
    if (message.channel === "book") {
      const book = this.#books.get(message.symbol);
      if (!book) return;
      book.state = message.state;
      book.reason = message.reason ?? null;
      applied.books.add(message.symbol);
      return;
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
    applied.quotes.add(message.symbol);
    void nowMs; // a status is no news of the price: its age goes on
  }

  #take(quote: Quote, message: SnapshotMessage | UpdateMessage, nowMs: number, applied: Applied): void {
    if (message.state !== undefined) {
      if (message.state !== quote.state) quote.reason = null;
      quote.state = message.state;
    }
    quote.receivedAtMs = nowMs;
    applied.quotes.add(quote.symbol);
  }

  #count(quote: Quote, seq: number, applied: Applied): void {
    const jump = seq - quote.seq;
    if (jump <= 0) return;
    quote.seq = seq;
    quote.received += 1;
    quote.merged += jump - 1;
    applied.received += 1;
    applied.merged += jump - 1;
  }

  #breakContinuity(quote: Quote, reason: string, applied: Applied): void {
    if (quote.complete) quote.resets += 1;
    quote.complete = false;
    quote.state = "syncing";
    quote.reason = reason;
    applied.quotes.add(quote.symbol);
  }

  #subscribed(message: SubscribedMessage, stream: Stream, applied: Applied): void {
    for (const [symbol, ack] of Object.entries(message.symbols)) {
      const exists = ack.epoch !== undefined && ack.seq !== undefined;
      if (stream === "book") {
        const book = this.#books.open(symbol);
        if (book.complete && exists && book.epoch !== ack.epoch) this.#books.drop(symbol, "the server began a new epoch");
        book.state = ack.state;
        applied.books.add(symbol);
        continue;
      }
      if (stream === "bars:1s" || stream === "bars:1m") {
        this.#bars.open(symbol, intervalOf(stream)).state = ack.state;
        applied.bars.add(symbol);
        continue;
      }
      if (stream === "trades") {
        const tape = this.#tapeOf(symbol);
        if (exists && tape.epoch !== ack.epoch) {
          tape.epoch = ack.epoch ?? 0;
          tape.seq = ack.seq ?? 0;
        }
        applied.tapes.add(symbol);
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
      applied.quotes.add(symbol);
    }
  }

  #resumed(message: ResumedMessage, stream: Stream, applied: Applied): void {
    for (const [symbol, outcome] of Object.entries(message.symbols)) {
      if (outcome.recovered) continue;
      const reason = `not recovered: ${outcome.reason ?? "no reason given"}`;
      if (stream === "book") {
        this.#books.drop(symbol, reason);
        applied.books.add(symbol);
        continue;
      }
      if (stream === "trades") {
        const tape = this.#tapeOf(symbol);
        tape.trades = []; // what is missing between these and the next is not known
        applied.tapes.add(symbol);
        continue;
      }
      const quote = this.#quotes.get(symbol);
      if (!quote) continue;
      // What the ack said a moment ago is the better answer: the server does not know the symbol.
      if (quote.state !== "no_such_symbol") this.#breakContinuity(quote, reason, applied);
      quote.epoch = 0; // the snapshot starts the count anew, whatever its seq
    }
  }

  #trade(message: TradeMessage, applied: Applied): void {
    const tape = this.#tapes.get(message.symbol);
    if (!tape || message.seq <= tape.seq) {
      this.ignored += 1;
      return;
    }
    if (tape.seq > 0) tape.lost += message.seq - tape.seq - 1;
    tape.seq = message.seq;
    tape.trades = [message, ...tape.trades.slice(0, TRADES_MAX - 1)];
    applied.tapes.add(message.symbol);
  }

  #lost(message: LostMessage, applied: Applied): void {
    if (message.channel !== "trades") return;
    const tape = this.#tapes.get(message.symbol);
    if (!tape) return;
    tape.lost += message.count;
    tape.epoch = message.epoch;
    tape.seq = Math.max(tape.seq, message.seq);
    applied.tapes.add(message.symbol);
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
