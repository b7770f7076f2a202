/**
 * The client of the stream: one connection that heals by itself.
 *
 * It asks for numbers as strings and batches, keeps what is to be watched, and after a loss dials again with capped
 * exponential backoff and jitter, taking up every subscription where it stood (`resume` with epoch and seq). Silence
 * beyond the server's `hb` counts as a loss. Close codes 48xx end it; everything else is tried again.
 */

import { backoffMs, type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
import { type Applied, Ledger, nothingApplied, type Quote, type Tape } from "./ledger.ts";
import {
  type Channel,
  type ClientRequest,
  type ErrorMessage,
  parseMessages,
  type Position,
  type ServerMessage,
  SUBPROTOCOL,
  type SubscribedMessage,
  verdictOfClose,
  verdictOfError,
} from "./protocol.ts";
import { UnknownSymbols } from "./unknown.ts";

export type Connection =
  | { readonly phase: "idle" }
  | { readonly phase: "connecting" }
  | { readonly phase: "live"; readonly sinceMs: number }
  /** Connected again, waiting for the server to say what could be recovered. */
  | { readonly phase: "resuming" }
  /** `retryAtMs` null: dialling right now. */
  | { readonly phase: "offline"; readonly reason: string; readonly attempt: number; readonly retryAtMs: number | null }
  /** Told not to come back (or stopped by the user, code 0). */
  | { readonly phase: "stopped"; readonly code: number; readonly reason: string };

/** What the client needs of a WebSocket. */
export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface ClientOptions {
  /** Address of the stream, `ws:` or `wss:`. */
  readonly url: string;
  /** Frames a second and symbol while the page is seen, and while it is hidden. */
  readonly rate?: number;
  readonly hiddenRate?: number;
  readonly backoff?: BackoffOptions;
  /** Longest silence; the server sends `hb` after 15 s without a frame. */
  readonly silenceMs?: number;
  readonly connectTimeoutMs?: number;
  readonly createSocket?: (url: string, subprotocol: string) => SocketLike;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface ClientEvents {
  /** Quotes and tapes that changed with one message. */
  readonly onApplied: (applied: Applied) => void;
  readonly onConnection: (connection: Connection) => void;
  readonly onError?: (error: ErrorMessage) => void;
}

/** Symbols in one request: stays far below the server's limit of 64 KiB a frame. */
const CHUNK = 200;
/** A connection must have lived this long before the wait begins small again. */
const STABLE_MS = 5_000;
const OPEN = 1;

interface Pending {
  readonly action: ClientRequest["action"];
  readonly channel: Channel;
  readonly symbols: readonly string[];
  /** Part of taking up the subscriptions after connecting. */
  readonly initial: boolean;
}

export class TickcastClient {
  readonly #options: Required<ClientOptions>;
  readonly #events: ClientEvents;
  readonly #ledger = new Ledger();
  readonly #wanted: Record<Channel, Set<string>> = { price: new Set(), trades: new Set() };
  readonly #outbox: { subscribe: Record<Channel, Set<string>>; unsubscribe: Record<Channel, Set<string>> } = {
    subscribe: { price: new Set(), trades: new Set() },
    unsubscribe: { price: new Set(), trades: new Set() },
  };
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
      hiddenRate: 1,
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

  watch(symbols: Iterable<string>, channel: Channel = "price"): void {
    for (const symbol of symbols) {
      if (this.#wanted[channel].has(symbol)) continue;
      this.#wanted[channel].add(symbol);
      this.#outbox.unsubscribe[channel].delete(symbol);
      this.#outbox.subscribe[channel].add(symbol);
    }
    this.#queueFlush();
  }

  unwatch(symbols: Iterable<string>, channel: Channel = "price"): void {
    for (const symbol of symbols) {
      if (!this.#wanted[channel].delete(symbol)) continue;
      this.#ledger.forget(symbol, channel);
      this.#unknown.forget(symbol, channel);
      // Even if the subscription is not out yet: a reply to it may be on its way, and unsubscribing does no harm.
      this.#outbox.subscribe[channel].delete(symbol);
      this.#outbox.unsubscribe[channel].add(symbol);
    }
    this.#queueFlush();
  }

  /** A hidden page asks for one frame a second, a visible one for the full rate again. */
  setHidden(hidden: boolean): void {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    if (this.#socket?.readyState === OPEN) this.#send({ action: "set", rate: this.#rate() });
  }

  #rate(): number {
    return this.#hidden ? this.#options.hiddenRate : this.#options.rate;
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
    for (const channel of ["price", "trades"] as const) {
      this.#outbox.unsubscribe[channel].clear();
      this.#outbox.subscribe[channel].clear();
      this.#subscribe([...this.#wanted[channel]], channel, true);
    }
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
    for (const message of messages) {
      this.#ledger.apply(this.#withChannel(message), this.#lastHeardMs, applied);
      if (message.type === "error") this.#refused(message, applied);
      else if ("id" in message && typeof message.id === "number" && message.type !== "subscribed") this.#answered(message.id);
      else if (message.type === "subscribed") {
        this.#noteUnknown(message);
        if (typeof message.id === "number") this.#subscribedTo(message.id);
      }
    }
    if (applied.broken.size > 0) this.#askAgain([...applied.broken], "price");
    if (applied.quotes.size > 0 || applied.tapes.size > 0) this.#events.onApplied(applied);
    this.#settle();
  }

  /** `resumed` names its channel only by the request that it answers. */
  #withChannel(message: ServerMessage): ServerMessage {
    if (message.type !== "resumed" || message.channel !== undefined || typeof message.id !== "number") return message;
    return { ...message, channel: this.#pending.get(message.id)?.channel ?? "price" };
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
  #noteUnknown(message: SubscribedMessage): void {
    const { channel } = message;
    const waits = this.#unknown.note(message, (symbol) => this.#wanted[channel].has(symbol));
    for (const [wait, missing] of waits) {
      const timer = setTimeout(() => {
        this.#againTimers.delete(timer);
        const still = this.#unknown.still(missing, channel);
        if (this.#socket?.readyState === OPEN) this.#subscribe(still, channel, false);
      }, wait);
      this.#againTimers.add(timer);
    }
  }

  #refused(error: ErrorMessage, applied: Applied): void {
    const request = typeof error.id === "number" ? this.#pending.get(error.id) : undefined;
    if (typeof error.id === "number") this.#answered(error.id);
    this.#events.onError?.(error);
    if (request?.action !== "subscribe") return;
    if (verdictOfError(error.code) === "retry") {
      const wait = backoffMs(this.#againAttempt++, this.#options.random, this.#options.backoff);
      const timer = setTimeout(() => {
        this.#againTimers.delete(timer);
        this.#askAgain(request.symbols, request.channel);
      }, wait);
      this.#againTimers.add(timer);
      return;
    }
    for (const symbol of request.symbols) this.#ledger.refuse(symbol, `${error.code}: ${error.reason}`, applied);
  }

  #closed(code: number, reason: string): void {
    this.#drop();
    if (verdictOfClose(code) === "stop") {
      this.#setConnection({ phase: "stopped", code, reason: reason || `closed by the server with ${code}` });
      return;
    }
    const told = reason || (code === 1006 || code === 0 ? "the connection was lost" : "closed by the server");
    this.#lose(code === 1006 ? told : `${told} (${code})`);
  }

  /** The connection is gone: wait and dial again. */
  #lose(reason: string): void {
    const now = this.#options.now();
    if (this.#openedAtMs > 0 && now - this.#openedAtMs >= STABLE_MS) this.#attempt = 0;
    this.#openedAtMs = 0;
    const wait = backoffMs(this.#attempt, this.#options.random, this.#options.backoff);
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
    for (const channel of ["price", "trades"] as const) {
      const gone = [...this.#outbox.unsubscribe[channel]];
      const added = [...this.#outbox.subscribe[channel]];
      this.#outbox.unsubscribe[channel].clear();
      this.#outbox.subscribe[channel].clear();
      for (const symbols of chunks(gone)) this.#send({ action: "unsubscribe", symbols, channel });
      this.#subscribe(added, channel, false);
    }
  }

  #askAgain(symbols: readonly string[], channel: Channel): void {
    const wanted = symbols.filter((symbol) => this.#wanted[channel].has(symbol));
    if (wanted.length === 0 || this.#socket?.readyState !== OPEN) return;
    this.#send({ action: "unsubscribe", symbols: wanted, channel });
    this.#subscribe(wanted, channel, false);
  }

  #subscribe(symbols: readonly string[], channel: Channel, initial: boolean): void {
    for (const chunk of chunks(symbols)) {
      const resume: Record<string, Position> = {};
      for (const symbol of chunk) {
        const position = this.#ledger.position(symbol, channel);
        if (position) resume[symbol] = position;
      }
      const id = this.#send(
        {
          action: "subscribe",
          symbols: chunk,
          channel,
          ...(channel === "price" ? { rate: this.#rate() } : {}),
          ...(Object.keys(resume).length > 0 ? { resume } : {}),
        },
        initial,
      );
      if (Object.keys(resume).length > 0) this.#resuming.add(id);
    }
  }

  #send(request: ClientRequest, initial = false): number {
    const id = this.#nextId++;
    const symbols = "symbols" in request ? request.symbols : [];
    const channel = ("channel" in request ? request.channel : undefined) ?? "price";
    this.#pending.set(id, { action: request.action, channel, symbols, initial });
    this.#socket?.send(JSON.stringify({ ...request, id }));
    return id;
  }

  #setConnection(connection: Connection): void {
    this.#connection = connection;
    this.#events.onConnection(connection);
  }
}

function* chunks(symbols: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < symbols.length; start += CHUNK) yield symbols.slice(start, start + CHUNK);
}
