/**
 * The client of the stream: one connection that heals by itself.
 *
 * It asks for numbers as strings and batches, keeps what is to be watched, and after a loss dials again with capped
 * exponential backoff and jitter, taking up every subscription where it stood (`resume` with epoch and seq). Silence
 * beyond the server's `hb` counts as a loss. Close codes 48xx end it; everything else is tried again, after the wait that
 * the server names in the reason (`retry in 1500 ms`), if it names one.
 */

import { backoffMs, DEFAULT_BACKOFF } from "./backoff.ts";
import type { BarSeries } from "./bars.ts";
import type { Book } from "./books.ts";
import type { ClientEvents, ClientOptions, Connection, SocketLike } from "./contract.ts";
import { type Instance, instanceAfter } from "./instance.ts";
import { type Applied, Ledger, nothingApplied, type Quote, type Tape } from "./ledger.ts";
import {
  type Channel,
  type ClientRequest,
  type ErrorMessage,
  type Interval,
  isOfInstance,
  parseMessages,
  type Position,
  type ServerMessage,
  type Stream,
  STREAMS,
  SUBPROTOCOL,
  type SubscribedMessage,
  verdictOfClose,
  verdictOfError,
  waitOfReason,
} from "./protocol.ts";
import { UnknownSymbols } from "./unknown.ts";

/** Symbols in one request: stays far below the server's limit of 64 KiB a frame. */
const CHUNK = 200;
/** A connection must have lived this long before the wait begins small again. */
const STABLE_MS = 5_000;
const OPEN = 1;
/** Longest wait that a close may ask for. */
const ASKED_WAIT_MAX_MS = 120_000;

interface Pending {
  readonly action: ClientRequest["action"];
  readonly stream: Stream | "status";
  readonly symbols: readonly string[];
  /** Part of taking up the subscriptions after connecting. */
  readonly initial: boolean;
}

export class TickcastClient {
  readonly #options: Required<ClientOptions>;
  readonly #events: ClientEvents;
  readonly #ledger = new Ledger();
  readonly #wanted = setsByStream();
  readonly #outbox = { subscribe: setsByStream(), unsubscribe: setsByStream() };
  #instance: Instance | null = null;
  readonly #pending = new Map<number, Pending>();
  #connection: Connection = { phase: "idle" };
  #socket: SocketLike | null = null;
  #attempt = 0;
  #openedAtMs = 0;
  #everLive = false;
  #hidden = false;
  #nextId = 1;
  #flushQueued = false;
  #lastHeardMs = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  readonly #againTimers = new Set<ReturnType<typeof setTimeout>>();
  #againAttempt = 0;
  readonly #unknown = new UnknownSymbols();

  constructor(options: ClientOptions, events: ClientEvents) {
    this.#options = {
      rate: 20,
      depth: 10,
      backoff: DEFAULT_BACKOFF,
      silenceMs: 25_000,
      connectTimeoutMs: 10_000,
      // A browser's WebSocket is a SocketLike but for the types of its events' other properties.
      createSocket: (url, subprotocol) => new WebSocket(url, subprotocol) as unknown as SocketLike,
      now: () => Date.now(),
      random: Math.random,
      ...options,
    };
    this.#events = events;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** Updates that had no complete picture to rest on. */
  get ignored(): number {
    return this.#ledger.ignored;
  }

  quote(symbol: string): Quote | undefined {
    return this.#ledger.quote(symbol);
  }

  tape(symbol: string): Tape | undefined {
    return this.#ledger.tape(symbol);
  }

  book(symbol: string): Book | undefined {
    return this.#ledger.book(symbol);
  }

  bars(symbol: string, interval: Interval): BarSeries | undefined {
    return this.#ledger.bars(symbol, interval);
  }

  start(): void {
    if (this.#socket || this.#retryTimer !== undefined) return;
    this.#dial();
  }

  /** Close for good; `start` begins anew. */
  stop(): void {
    this.#drop(1000, "done");
    this.#setConnection({ phase: "stopped", code: 0, reason: "stopped" });
  }

  /** Do not wait for the next attempt: the user asked, or the network is back. */
  retryNow(): void {
    if (this.#connection.phase === "stopped") this.#attempt = 0;
    else if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#dial();
  }

  watch(symbols: Iterable<string>, stream: Stream = "price"): void {
    for (const symbol of symbols) {
      if (this.#wanted[stream].has(symbol)) continue;
      this.#wanted[stream].add(symbol);
      this.#outbox.unsubscribe[stream].delete(symbol);
      this.#outbox.subscribe[stream].add(symbol);
    }
    this.#queueFlush();
  }

  unwatch(symbols: Iterable<string>, stream: Stream = "price"): void {
    for (const symbol of symbols) {
      if (!this.#wanted[stream].delete(symbol)) continue;
      this.#ledger.forget(symbol, stream);
      this.#unknown.forget(symbol, stream);
      // Even if the subscription is not out yet: a reply to it may be on its way, and unsubscribing does no harm.
      this.#outbox.subscribe[stream].delete(symbol);
      this.#outbox.unsubscribe[stream].add(symbol);
    }
    this.#queueFlush();
  }

  /** Of a hidden page the server sends one frame a second and symbol, and the newest state when it is seen again. */
  setHidden(hidden: boolean): void {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    if (this.#socket?.readyState === OPEN) this.#send({ action: "visibility", hidden });
  }

  #dial(): void {
    this.#retryTimer = undefined;
    const before = this.#connection;
    if (!this.#everLive) this.#setConnection({ phase: "connecting" });
    else if (before.phase === "offline") this.#setConnection({ ...before, retryAtMs: null });
    else this.#setConnection({ phase: "resuming" });
    const separator = this.#options.url.includes("?") ? "&" : "?";
    let socket: SocketLike;
    try {
      socket = this.#options.createSocket(`${this.#options.url}${separator}numbers=string&batch=1`, SUBPROTOCOL);
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#socket = socket;
    this.#watch(this.#options.connectTimeoutMs, `no answer within ${this.#options.connectTimeoutMs / 1000} s`);
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#heard(event.data);
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    socket.onerror = () => undefined; // a close follows, with what is known
  }

  #opened(): void {
    this.#openedAtMs = this.#options.now();
    this.#lastHeardMs = this.#openedAtMs;
    this.#watchSilence();
    if (this.#everLive) this.#setConnection({ phase: "resuming" });
    this.#pending.clear();
    if (this.#hidden) this.#send({ action: "visibility", hidden: true });
    for (const stream of STREAMS) {
      this.#outbox.unsubscribe[stream].clear();
      this.#outbox.subscribe[stream].clear();
      this.#subscribe([...this.#wanted[stream]], stream, true);
    }
    if (this.#events.onInstance) this.#send({ action: "subscribe", symbols: ["*"], channel: "status" });
    this.#settle();
  }

  #heard(data: unknown): void {
    this.#lastHeardMs = this.#options.now();
    let messages: readonly ServerMessage[];
    try {
      if (typeof data !== "string") throw new SyntaxError("expected text, found a binary message");
      messages = parseMessages(data);
    } catch (error) {
      // Who cannot read one message has missed something: begin again rather than show a hole as news.
      this.#drop(4000, "unreadable message");
      this.#lose(`unreadable message: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    const applied = nothingApplied();
    for (const message of messages) this.#take(message, applied);
    if (applied.broken.size > 0) this.#askAgain([...applied.broken], "price");
    if (applied.brokenBooks.size > 0) this.#askAgain([...applied.brokenBooks], "book");
    if (applied.quotes.size + applied.tapes.size + applied.books.size + applied.bars.size > 0) this.#events.onApplied(applied);
    this.#settle();
  }

  #take(message: ServerMessage, applied: Applied): void {
    if (message.type === "rate") {
      const isAsAsked = message.rate === 0 || message.rate >= this.#options.rate;
      return this.#events.onRate?.(isAsAsked ? null : message);
    }
    if (isOfInstance(message)) return this.#setInstance(instanceAfter(this.#instance, message));
    const stream = this.#streamOf(message);
    if (stream !== "status") this.#ledger.apply(message, this.#lastHeardMs, applied, stream);
    if (message.type === "error") this.#refused(message, applied);
    else if (message.type === "subscribed") {
      if (stream !== "status") this.#noteUnknown(message, stream);
      if (typeof message.id === "number") this.#subscribedTo(message.id);
    } else if ("id" in message && typeof message.id === "number") this.#answered(message.id);
  }

  /** A reply names its channel not in all cases, but always the request that it answers. */
  #streamOf(message: ServerMessage): Stream | "status" {
    const asked = "id" in message && typeof message.id === "number" ? this.#pending.get(message.id)?.stream : undefined;
    if (asked !== undefined || (message.type !== "subscribed" && message.type !== "resumed")) return asked ?? "price";
    if (message.channel !== "bars") return message.channel ?? "price";
    return "interval" in message && message.interval === "1m" ? "bars:1m" : "bars:1s";
  }

  #setInstance(instance: Instance | null): void {
    if (instance === this.#instance) return;
    this.#instance = instance;
    this.#events.onInstance?.(instance);
  }

  /** A subscription that resumes is answered twice; `resumed` is the one that ends it. */
  readonly #resuming = new Set<number>();

  #subscribedTo(id: number): void {
    if (!this.#resuming.has(id)) this.#answered(id);
  }

  #answered(id: number): void {
    this.#pending.delete(id);
    this.#resuming.delete(id);
  }

  /** Ask again for what the server does not know, as long as it is wanted: those of one reply together. */
  #noteUnknown(message: SubscribedMessage, stream: Stream): void {
    const waits = this.#unknown.note(message, stream, (symbol) => this.#wanted[stream].has(symbol));
    for (const [wait, missing] of waits) {
      const timer = setTimeout(() => {
        this.#againTimers.delete(timer);
        const still = this.#unknown.still(missing, stream);
        if (this.#socket?.readyState === OPEN) this.#subscribe(still, stream, false);
      }, wait);
      this.#againTimers.add(timer);
    }
  }

  #refused(error: ErrorMessage, applied: Applied): void {
    const request = typeof error.id === "number" ? this.#pending.get(error.id) : undefined;
    if (typeof error.id === "number") this.#answered(error.id);
    this.#events.onError?.(error);
    if (request?.action !== "subscribe" || request.stream === "status") return;
    const { stream } = request;
    if (verdictOfError(error.code) === "retry") {
      const wait = backoffMs(this.#againAttempt++, this.#options.random, this.#options.backoff);
      const timer = setTimeout(() => {
        this.#againTimers.delete(timer);
        this.#askAgain(request.symbols, stream);
      }, wait);
      this.#againTimers.add(timer);
      return;
    }
    for (const symbol of request.symbols) this.#ledger.refuse(symbol, stream, `${error.code}: ${error.reason}`, applied);
  }

  #closed(code: number, reason: string): void {
    this.#drop();
    if (verdictOfClose(code) === "stop") {
      this.#setConnection({ phase: "stopped", code, reason: reason || `closed by the server with ${code}` });
      return;
    }
    const told = reason || (code === 1006 || code === 0 ? "the connection was lost" : "closed by the server");
    this.#lose(code === 1006 ? told : `${told} (${code})`, waitOfReason(reason));
  }

  /** The connection is gone: wait, as long as the server asked if it did, and dial again. */
  #lose(reason: string, askedMs: number | null = null): void {
    const now = this.#options.now();
    if (this.#openedAtMs > 0 && now - this.#openedAtMs >= STABLE_MS) this.#attempt = 0;
    this.#openedAtMs = 0;
    const asked = askedMs === null ? null : Math.min(askedMs, ASKED_WAIT_MAX_MS);
    const wait = asked ?? backoffMs(this.#attempt, this.#options.random, this.#options.backoff);
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#dial(), wait);
    this.#setConnection({ phase: "offline", reason, attempt: this.#attempt, retryAtMs: now + wait });
  }

  /** Let go of the socket and of every timer; no event of the old socket is heard any more. */
  #drop(code?: number, reason?: string): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    clearTimeout(this.#watchdog);
    for (const timer of this.#againTimers) clearTimeout(timer);
    this.#againTimers.clear();
    this.#unknown.clear();
    this.#resuming.clear();
    this.#pending.clear();
    const socket = this.#socket;
    this.#socket = null;
    this.#setInstance(null);
    this.#events.onRate?.(null);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    if (code !== undefined) socket.close(code, reason);
  }

  #watch(delayMs: number, reason: string): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#drop(4001, "silent");
      this.#lose(reason);
    }, delayMs);
  }

  /** One timer that looks again when silence could first be over the limit: nothing is done for each message. */
  #watchSilence(): void {
    clearTimeout(this.#watchdog);
    const left = this.#lastHeardMs + this.#options.silenceMs - this.#options.now();
    if (left <= 0) {
      this.#drop(4001, "silent");
      this.#lose(`nothing heard for ${this.#options.silenceMs / 1000} s`);
      return;
    }
    this.#watchdog = setTimeout(() => this.#watchSilence(), left);
  }

  /** Live once every subscription of the beginning has its answer. */
  #settle(): void {
    const phase = this.#connection.phase;
    if (this.#socket?.readyState !== OPEN || phase === "live") return;
    for (const request of this.#pending.values()) if (request.initial) return;
    this.#everLive = true;
    this.#againAttempt = 0;
    this.#setConnection({ phase: "live", sinceMs: this.#options.now() });
  }

  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#socket?.readyState !== OPEN) return; // everything wanted is asked for when it opens
    for (const stream of STREAMS) {
      const gone = [...this.#outbox.unsubscribe[stream]];
      const added = [...this.#outbox.subscribe[stream]];
      this.#outbox.unsubscribe[stream].clear();
      this.#outbox.subscribe[stream].clear();
      for (const symbols of chunks(gone)) this.#send({ action: "unsubscribe", symbols, ...channelOf(stream) }, stream);
      this.#subscribe(added, stream, false);
    }
  }

  #askAgain(symbols: readonly string[], stream: Stream): void {
    const wanted = symbols.filter((symbol) => this.#wanted[stream].has(symbol));
    if (wanted.length === 0 || this.#socket?.readyState !== OPEN) return;
    this.#send({ action: "unsubscribe", symbols: wanted, ...channelOf(stream) }, stream);
    this.#subscribe(wanted, stream, false);
  }

  #subscribe(symbols: readonly string[], stream: Stream, initial: boolean): void {
    for (const chunk of chunks(symbols)) {
      const resume: Record<string, Position> = {};
      for (const symbol of chunk) {
        const position = this.#ledger.position(symbol, stream);
        if (position) resume[symbol] = position;
      }
      const id = this.#send(
        {
          action: "subscribe",
          symbols: chunk,
          ...channelOf(stream),
          ...(stream === "price" || stream === "book" ? { rate: this.#options.rate } : {}),
          ...(stream === "book" ? { depth: this.#options.depth } : {}),
          ...(Object.keys(resume).length > 0 ? { resume } : {}),
        },
        stream,
        initial,
      );
      if (Object.keys(resume).length > 0) this.#resuming.add(id);
    }
  }

  #send(request: ClientRequest, stream: Stream | "status" = "status", initial = false): number {
    const id = this.#nextId++;
    const symbols = "symbols" in request ? request.symbols : [];
    this.#pending.set(id, { action: request.action, stream, symbols, initial });
    this.#socket?.send(JSON.stringify({ ...request, id }));
    return id;
  }

  #setConnection(connection: Connection): void {
    this.#connection = connection;
    this.#events.onConnection(connection);
  }
}

function setsByStream(): Record<Stream, Set<string>> {
  return { price: new Set(), trades: new Set(), book: new Set(), "bars:1s": new Set(), "bars:1m": new Set() };
}

/** How a request names a stream. */
function channelOf(stream: Stream): { readonly channel: Channel; readonly interval?: Interval } {
  if (stream === "bars:1s") return { channel: "bars", interval: "1s" };
  if (stream === "bars:1m") return { channel: "bars", interval: "1m" };
  return { channel: stream };
}

function* chunks(symbols: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < symbols.length; start += CHUNK) yield symbols.slice(start, start + CHUNK);
}
