/** Asks again and again, one request at a time, and keeps the last answer beside the last error. */

import { Signal } from "./signal.ts";

export interface Polled<Answer> {
  readonly answer: Answer | null;
  /** Why the last attempt failed; null if it did not. */
  readonly error: string | null;
}

export class Poll<Answer> {
  readonly state = new Signal<Polled<Answer>>({ answer: null, error: null });
  readonly #ask: (signal: AbortSignal) => Promise<Answer>;
  #intervalMs: number;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: (signal: AbortSignal) => Promise<Answer>, intervalMs: number) {
    this.#ask = ask;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    if (this.#abort) return;
    this.#abort = new AbortController();
    void this.#round(this.#abort.signal);
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
    clearTimeout(this.#timer);
  }

  /** Ask more or less often from now on. */
  pace(intervalMs: number): void {
    this.#intervalMs = intervalMs;
  }

  /** Ask at once, since the question is another one now. */
  again(): void {
    if (!this.#abort) return;
    this.stop();
    this.start();
  }

  async #round(signal: AbortSignal): Promise<void> {
    try {
      const answer = await this.#ask(AbortSignal.any([signal, AbortSignal.timeout(5 * this.#intervalMs)]));
      if (!signal.aborted) this.state.set({ answer, error: null });
    } catch (error) {
      if (!signal.aborted) {
        const reason = error instanceof Error ? error.message : String(error);
        this.state.set({ answer: this.state.value.answer, error: reason });
      }
    }
    if (!signal.aborted) this.#timer = setTimeout(() => void this.#round(signal), this.#intervalMs);
  }
}
