import type { Stream, SubscribedMessage } from "./protocol.ts";

/** Between two requests for a symbol that the server does not know (yet): 1, 2, 4 ... 30 s. */
const FIRST_MS = 1_000;
const CAP_MS = 30_000;

/** Symbols that the server does not know on this connection: one that has just started may learn of them any moment. */
export class UnknownSymbols {
  readonly #attempts = new Map<Stream, Map<string, number>>();

  /** Take an ack in; returns what to ask for again, by the wait in ms: those of one ack together. */
  note({ symbols }: SubscribedMessage, stream: Stream, isWanted: (symbol: string) => boolean): Map<number, string[]> {
    let attempts = this.#attempts.get(stream);
    if (!attempts) this.#attempts.set(stream, (attempts = new Map()));
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
  still(symbols: readonly string[], stream: Stream): string[] {
    return symbols.filter((symbol) => this.#attempts.get(stream)?.has(symbol));
  }

  forget(symbol: string, stream: Stream): void {
    this.#attempts.get(stream)?.delete(symbol);
  }

  clear(): void {
    this.#attempts.clear();
  }
}
