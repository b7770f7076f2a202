/** Channel `trades`: each trade once, in order, and how many are missing between them. */

import type { LostMessage, Position, Recovery, SymbolAck, TradeMessage } from "./protocol.ts";

/** Trades kept per symbol. */
export const TRADES_MAX = 50;

/** The last trades of one symbol, newest first. */
export interface Tape {
  readonly symbol: string;
  epoch: number;
  seq: number;
  lost: number;
  trades: TradeMessage[];
}

/** Trades are missing here; `count` null: nobody knows how many. */
export interface Hole {
  readonly symbol: string;
  readonly count: number | null;
  readonly reason: string;
}

export class Tapes {
  readonly #tapes = new Map<string, Tape>();
  /** Symbols of which a resume was asked: they stand where they stood until it is answered. */
  readonly #resuming = new Set<string>();

  get(symbol: string): Tape | undefined {
    return this.#tapes.get(symbol);
  }

  forget(symbol: string): void {
    this.#tapes.delete(symbol);
    this.#resuming.delete(symbol);
  }

  position(symbol: string): Position | undefined {
    const tape = this.#tapes.get(symbol);
    return tape && tape.epoch > 0 ? { epoch: tape.epoch, seq: tape.seq } : undefined;
  }

  /** A resume is on its way. */
  expect(symbol: string): void {
    this.#resuming.add(symbol);
  }

  subscribed(symbol: string, ack: SymbolAck): Hole | null {
    let tape = this.#tapes.get(symbol);
    if (!tape) this.#tapes.set(symbol, (tape = { symbol, epoch: 0, seq: 0, lost: 0, trades: [] }));
    if (ack.epoch === undefined || ack.seq === undefined || this.#resuming.has(symbol)) return null;
    if (tape.epoch === ack.epoch && tape.seq <= ack.seq) return null;
    return this.#stand(tape, ack.epoch, ack.seq, "epoch_changed");
  }

  /** Unless the gateway could tell all that was missed, everything begins where it stands. */
  resumed(symbol: string, { recovered, reason, epoch, seq }: Recovery): Hole | null {
    this.#resuming.delete(symbol);
    const tape = this.#tapes.get(symbol);
    if (recovered || !tape) return null;
    tape.trades = []; // what is missing between these and the next is not known
    return this.#stand(tape, epoch ?? 0, seq ?? 0, reason ?? "not recovered");
  }

  /** "ignored": it was told before, or nobody watches it; a hole where some before it are missing. */
  trade(message: TradeMessage): Hole | "ignored" | null {
    const tape = this.#tapes.get(message.symbol);
    if (!tape || message.seq <= tape.seq) return "ignored";
    const missing = tape.seq > 0 ? message.seq - tape.seq - 1 : 0;
    tape.lost += missing;
    tape.seq = message.seq;
    tape.trades = [message, ...tape.trades.slice(0, TRADES_MAX - 1)];
    return missing > 0 ? { symbol: message.symbol, count: missing, reason: "not delivered" } : null;
  }

  lost(message: LostMessage): Hole | null {
    const tape = this.#tapes.get(message.symbol);
    if (!tape) return null;
    if (tape.epoch !== 0 && message.epoch !== tape.epoch) {
      tape.lost += message.count;
      return this.#stand(tape, message.epoch, message.seq, "epoch_changed");
    }
    tape.epoch = message.epoch;
    if (message.seq <= tape.seq) return null;
    tape.lost += message.count;
    tape.seq = message.seq;
    return message.count > 0 ? { symbol: tape.symbol, count: message.count, reason: "the connection did not take more" } : null;
  }

  #stand(tape: Tape, epoch: number, seq: number, reason: string): Hole | null {
    const isNew = tape.epoch === 0;
    tape.epoch = epoch;
    tape.seq = seq;
    return isNew ? null : { symbol: tape.symbol, count: null, reason };
  }
}
