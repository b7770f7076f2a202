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

import type {
  AckState,
  Channel,
  LostMessage,
  Position,
  PriceFields,
  ResumedMessage,
  ServerMessage,
  SnapshotMessage,
  StatusMessage,
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
  readonly broken: Set<string>;
  received: number;
  merged: number;
}

export function nothingApplied(): Applied {
  return { quotes: new Set(), tapes: new Set(), broken: new Set(), received: 0, merged: 0 };
}

const NO_FIELDS: ReadonlySet<string> = new Set(["type", "symbol", "channel", "epoch", "seq", "reason", "since"]);

export class Ledger {
  readonly #quotes = new Map<string, Quote>();
  readonly #tapes = new Map<string, Tape>();
  /** Updates that had no complete picture to rest on, or repeated a `seq`. */
  ignored = 0;

  quote(symbol: string): Quote | undefined {
    return this.#quotes.get(symbol);
  }

  tape(symbol: string): Tape | undefined {
    return this.#tapes.get(symbol);
  }

  /** Forget a symbol's channel: its counters begin anew when it is asked for again. */
  forget(symbol: string, channel: Channel): void {
    (channel === "price" ? this.#quotes : this.#tapes).delete(symbol);
  }

  /** Where to resume from, if there is anything to resume. */
  position(symbol: string, channel: Channel): Position | undefined {
    if (channel === "trades") {
      const tape = this.#tapes.get(symbol);
      return tape && tape.epoch > 0 ? { epoch: tape.epoch, seq: tape.seq } : undefined;
    }
    const quote = this.#quotes.get(symbol);
    return quote?.complete ? { epoch: quote.epoch, seq: quote.seq } : undefined;
  }

  /** The server refused a symbol: say so in its row. */
  refuse(symbol: string, reason: string, applied: Applied): void {
    const quote = this.#quoteOf(symbol);
    quote.complete = false;
    quote.reason = reason;
    applied.quotes.add(symbol);
  }

  apply(message: ServerMessage, nowMs: number, applied: Applied): void {
    switch (message.type) {
      case "update":
        return this.#update(message, nowMs, applied);
      case "snapshot":
        return this.#snapshot(message, nowMs, applied);
      case "status":
        return this.#status(message, nowMs, applied);
      case "trade":
        return this.#trade(message, applied);
      case "lost":
        return this.#lost(message, applied);
      case "subscribed":
        return this.#subscribed(message, applied);
      case "resumed":
        return this.#resumed(message, applied);
      default:
    }
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

  #subscribed(message: SubscribedMessage, applied: Applied): void {
    for (const [symbol, ack] of Object.entries(message.symbols)) {
      const exists = ack.epoch !== undefined && ack.seq !== undefined;
      if (message.channel === "trades") {
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

  #resumed(message: ResumedMessage, applied: Applied): void {
    for (const [symbol, outcome] of Object.entries(message.symbols)) {
      if (outcome.recovered) continue;
      const reason = `not recovered: ${outcome.reason ?? "no reason given"}`;
      if (message.channel === "trades") {
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

function assignFields(target: PriceFields, message: SnapshotMessage | UpdateMessage): void {
  const fields = target as Record<string, unknown>;
  for (const key in message) {
    if (!NO_FIELDS.has(key)) fields[key] = (message as unknown as Record<string, unknown>)[key];
  }
}
