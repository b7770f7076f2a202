import type { Channel, SubscribedMessage } from "./protocol.ts";

/** Between two requests for a symbol that the server does not know (yet): 1, 2, 4 ... 30 s. */
const FIRST_MS = 1_000;
const CAP_MS = 30_000;

/** Symbols that the server does not know on this connection: one that has just started may learn of them any moment. */
export class UnknownSymbols {
  readonly #attempts: Record<Channel, Map<string, number>> = { price: new Map(), trades: new Map() };

  /** Take an ack in; returns what to ask for again, by the wait in ms: those of one ack together. */
  note({ channel, symbols }: SubscribedMessage, isWanted: (symbol: string) => boolean): Map<number, string[]> {
    const attempts = this.#attempts[channel];
    const waits = new Map<number, string[]>();
    for (const [symbol, ack] of Object.entries(symbols)) {
      if (ack.state !== "no_such_symbol" || !isWanted(symbol)) {
        attempts.delete(symbol);
        continue;
      }
      const attempt = attempts.get(symbol) ?? 0;
      attempts.set(symbol, attempt + 1);
      const wait = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
      waits.set(wait, [...(waits.get(wait) ?? []), symbol]);
    }
    return waits;
  }

  /** Those of a list that are still unknown. */
  still(symbols: readonly string[], channel: Channel): string[] {
    return symbols.filter((symbol) => this.#attempts[channel].has(symbol));
  }

  forget(symbol: string, channel: Channel): void {
    this.#attempts[channel].delete(symbol);
  }

  clear(): void {
    this.#attempts.price.clear();
    this.#attempts.trades.clear();
  }
}
