/** What a program watches: told to callbacks at once, or kept in bounds for `for await`. */

/** The gateway said not to come back, or refused the handshake. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
  readonly code: number;

  constructor(code: number, reason: string) {
    super(`the gateway closed the stream with ${code} (${reason}) and does not want a reconnect`);
    this.code = code;
  }
}

/** How events wait that nobody has read yet. */
export interface Waiting<Event> {
  /** Events of one key are merged into the newest; null: this one waits by itself. */
  readonly key: (event: Event) => string | null;
  readonly merge: (older: Event, newer: Event) => Event;
  /** Most that wait by themselves; beyond it the oldest go, and `gone` makes what is told instead. */
  readonly max: number;
  readonly gone: (events: readonly Event[]) => readonly Event[];
}

type Taker<Event> = { readonly resolve: (result: IteratorResult<Event, undefined>) => void; readonly reject: (error: Error) => void };

export class Subscription<Event> implements AsyncIterable<Event> {
  readonly #waiting: Waiting<Event>;
  readonly #onClose: () => void;
  readonly #listeners = new Set<(event: Event) => void>();
  #keyed = new Map<string, Event>();
  #queue: Event[] = [];
  #dropped: Event[] = [];
  #taker: Taker<Event> | null = null;
  #isIterated = false;
  #isKept = true;
  #isOver = false;
  #error: Error | null = null;
  /** Events that were not read in time and are gone. Merged ones are not among them. */
  dropped = 0;

  constructor(waiting: Waiting<Event>, onClose: () => void) {
    this.#waiting = waiting;
    this.#onClose = onClose;
  }

  /** Call back for each event; returns what ends that. Without a `for await` nothing is kept any more. */
  on(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    if (!this.#isIterated) {
      // What came before the first callback is told to it: nothing is missed between subscribing and listening.
      const kept = this.#take();
      this.#isKept = false;
      for (const event of kept) listener(event);
    }
    return () => this.#listeners.delete(listener);
  }

  /** End it: what is watched for nobody else is unsubscribed, and a `for await` ends. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listeners.clear();
    this.#take();
    this.#onClose();
    this.#taker?.resolve({ done: true, value: undefined });
    this.#taker = null;
  }

  /** One loop at a time: each event goes to one reader. */
  [Symbol.asyncIterator](): AsyncIterator<Event, undefined> {
    if (this.#isIterated) throw new Error("expected one `for await` over a subscription, found a second: subscribe again for it");
    this.#isIterated = true;
    this.#isKept = true;
    return {
      next: () => this.#next(),
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** For the connection: something happened. */
  push(event: Event): void {
    if (this.#isOver) return;
    this.#error = null;
    for (const listener of this.#listeners) listener(event);
    if (!this.#isKept) return;
    if (this.#taker) {
      this.#taker.resolve({ done: false, value: event });
      this.#taker = null;
      return;
    }
    const key = this.#waiting.key(event);
    if (key === null) {
      this.#queue.push(event);
      if (this.#queue.length > this.#waiting.max) this.#shed();
      return;
    }
    const older = this.#keyed.get(key);
    this.#keyed.set(key, older === undefined ? event : this.#waiting.merge(older, event));
  }

  /** For the connection: it will not come back. A `for await` throws what is left to say after the last event. */
  fail(error: Error): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#taker?.reject(error);
    this.#taker = null;
  }

  /** A tenth goes at once: shifting a long list for each event would cost more than the event. */
  #shed(): void {
    const gone = this.#queue.splice(0, Math.max(1, Math.floor(this.#waiting.max / 10)));
    this.dropped += gone.length;
    this.#dropped = [...this.#waiting.gone([...this.#dropped, ...gone])];
  }

  #next(): Promise<IteratorResult<Event, undefined>> {
    if (this.#taker) return Promise.reject(new Error("expected one `next` at a time, found a second"));
    const event = this.#dropped.shift() ?? this.#queue.shift() ?? this.#firstKeyed();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#error) return Promise.reject(this.#error);
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => (this.#taker = { resolve, reject }));
  }

  #firstKeyed(): Event | undefined {
    for (const [key, event] of this.#keyed) {
      this.#keyed.delete(key);
      return event;
    }
    return undefined;
  }

  #take(): Event[] {
    const kept = [...this.#dropped, ...this.#queue, ...this.#keyed.values()];
    this.#dropped = [];
    this.#queue = [];
    this.#keyed = new Map();
    return kept;
  }
}
