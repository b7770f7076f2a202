/**
 * The client of the stream: what is watched is asked for, and after a loss taken up where it stood (`resume` with epoch
 * and seq), on a {@link Line} that heals by itself. `connect` is the door to it for programs; this is for those who want
 * to hear of each message once (`Applied`), as the page does.
 */

import { backoffMs, DEFAULT_BACKOFF } from "./backoff.ts";
import type { BarSeries } from "./bars.ts";
import type { Book } from "./books.ts";
import type { Codec, CodecSession } from "./codecs/codec.ts";
import { JSON_CODEC } from "./codecs/json.ts";
import type { ClientEvents, ClientOptions, Connection, Credentials } from "./contract.ts";
import { Counts } from "./counts.ts";
import { type Instance, instanceAfter } from "./instance.ts";
import { type Applied, Ledger, nothingApplied, type Quote } from "./ledger.ts";
import { Line } from "./line.ts";
import {
  type AuthenticatedMessage,
  type ClientRequest,
  type Counted,
  type ErrorMessage,
  type Interval,
  isOfInstance,
  type Position,
  type ResumedMessage,
  type ServerMessage,
  type Stream,
  STREAMS,
  type SubscribedMessage,
  type SyncedMessage,
  verdictOfError,
} from "./protocol.ts";
import type { Tape } from "./tapes.ts";
import { byStream, channelOf, isPattern, requestFor, type Terms, Wanted } from "./terms.ts";
import { UnknownSymbols } from "./unknown.ts";

/** Symbols in one request: stays far below the server's limit of 64 KiB a frame. */
const CHUNK = 200;
/** Least wait before a request that met a limit is sent again. */
const AGAIN_MS_MIN = 1_000;
/** Part of a token's time after which a newer one is asked for. */
const RENEW_AFTER = 0.8;
const TIMER_MAX_MS = 2 ** 31 - 1;

export const DEFAULT_TERMS: Terms = { rate: 20, fields: null, depth: 10 };

interface Pending {
  readonly action: ClientRequest["action"];
  readonly stream: Stream | "status";
  readonly symbols: readonly string[];
  readonly resume: Readonly<Record<string, Position>>;
  /** Part of taking up the subscriptions after connecting. */
  readonly initial: boolean;
  readonly answered?: ((message: ServerMessage | null) => void) | undefined;
}

/** The gateway's counters beside the client's own. */
export interface Synced {
  readonly gateway: SyncedMessage["channels"];
  readonly own: Partial<Record<Stream, Record<string, Counted>>>;
  /** Whether they are the same, symbol by symbol. */
  readonly agrees: boolean;
}

export class TickcastClient {
  readonly #events: ClientEvents;
  readonly #credentials: ClientOptions["credentials"];
  readonly #codecs: readonly Codec[];
  readonly #line: Line;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #backoff;
  readonly #ledger: Ledger;
  readonly #counts = new Counts();
  readonly #wanted = new Wanted();
  /** Held by `watch`, by stream and symbol. */
  readonly #held = byStream(() => new Map<string, Terms>());
  /** What this connection was asked for: the key of the terms, by symbol. */
  readonly #asked = byStream(() => new Map<string, string>());
  readonly #dirty = byStream(() => new Set<string>());
  readonly #pending = new Map<number, Pending>();
  readonly #againTimers = new Set<ReturnType<typeof setTimeout>>();
  readonly #unknown = new UnknownSymbols();
  #session: CodecSession = JSON_CODEC.open();
  #codec: Codec = JSON_CODEC;
  #instance: Instance | null = null;
  #hidden = false;
  #nextId = 1;
  #flushQueued = false;
  #againAttempt = 0;
  /** Quickest that was asked for. */
  #rate = 0;
  /** What each pattern stands for, and the other way round. */
  readonly #members = byStream(() => new Map<string, Set<string>>());
  readonly #patterns = byStream(() => new Map<string, Set<string>>());
  /** How late everything is, in seconds, as the gateway said last; 0 = it is not. */
  delayS = 0;
  /** Times that the connection was open. */
  connections = 0;

  constructor(options: ClientOptions, events: ClientEvents) {
    this.#events = events;
    this.#ledger = new Ledger(events.listener ?? null);
    this.#codecs = options.codecs ?? [JSON_CODEC];
    this.#credentials = options.renewable ? options.credentials : undefined;
    this.#now = options.now ?? (() => Date.now());
    this.#random = options.random ?? Math.random;
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF;
    this.#line = new Line(
      { ...options, now: this.#now, random: this.#random },
      {
        address: (credentials) => this.#address(options.url, credentials),
        subprotocols: this.#codecs.map((codec) => codec.subprotocol),
        opened: (protocol, credentials) => this.#opened(protocol, credentials),
        heard: (data) => this.#heard(data),
        dropped: () => this.#dropped(),
        changed: (connection) => events.onConnection(connection),
      },
    );
  }

  get connection(): Connection {
    return this.#line.connection;
  }

  /** Of the connection there is, or the last one. */
  get codec(): string {
    return this.#codec.name;
  }

  /** Updates that had no complete picture to rest on. */
  get ignored(): number {
    return this.#ledger.ignored;
  }

  /** Over all symbols and connections. */
  get totals() {
    return { ...this.#counts.totals, verified: this.#ledger.verified, failed: this.#ledger.failed };
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

  counted(symbol: string, stream: Stream): Counted | undefined {
    return this.#counts.of(stream, symbol);
  }

  start(): void {
    this.#line.start();
  }

  /** Close for good; `start` begins anew. */
  stop(): void {
    this.#line.stop();
  }

  /** Do not wait for the next attempt: the user asked, or the network is back. */
  retryNow(): void {
    this.#line.retryNow();
  }

  watch(symbols: Iterable<string>, stream: Stream = "price", terms: Partial<Terms> = {}): void {
    for (const symbol of symbols) {
      if (this.#held[stream].has(symbol)) continue;
      const whole = { ...DEFAULT_TERMS, ...(stream.startsWith("bars") ? { rate: 1 } : {}), ...terms };
      this.#held[stream].set(symbol, whole);
      this.hold(symbol, stream, whole);
    }
  }

  unwatch(symbols: Iterable<string>, stream: Stream = "price"): void {
    for (const symbol of symbols) {
      const terms = this.#held[stream].get(symbol);
      if (!terms) continue;
      this.#held[stream].delete(symbol);
      this.release(symbol, stream, terms);
    }
  }

  /** Watch a symbol for as long as this very object of terms is not released; others may hold it too. */
  hold(symbol: string, stream: Stream, terms: Terms): void {
    this.#wanted.add(stream, symbol, terms);
    this.#touch(symbol, stream);
  }

  release(symbol: string, stream: Stream, terms: Terms): void {
    this.#wanted.remove(stream, symbol, terms);
    this.#touch(symbol, stream);
  }

  /** Names under which a symbol is watched: its own, and patterns that stand for it. */
  namesOf(symbol: string, stream: Stream): readonly string[] {
    const patterns = this.#patterns[stream].get(symbol);
    return patterns ? [symbol, ...patterns] : [symbol];
  }

  /** What a pattern stands for now; of a symbol, itself. */
  membersOf(name: string, stream: Stream): readonly string[] {
    return isPattern(name) ? [...(this.#members[stream].get(name) ?? [])] : [name];
  }

  /** Of a hidden page the server sends one frame a second and symbol, and the newest state when it is seen again. */
  setHidden(hidden: boolean): void {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    if (this.#line.isOpen) this.#send({ action: "visibility", hidden });
  }

  /** A barrier: what is pending comes first, then both counts. Null: the connection ended before. */
  sync(): Promise<Synced | null> {
    if (!this.#line.isOpen) return Promise.resolve(null);
    this.#flush();
    return new Promise((resolve) => {
      const answered = (message: ServerMessage | null): void => resolve(message?.type === "synced" ? this.#compared(message) : null);
      this.#send({ action: "sync" }, { answered });
    });
  }

  #compared({ channels }: SyncedMessage): Synced {
    const own: Partial<Record<Stream, Record<string, Counted>>> = {};
    let agrees = true;
    for (const [stream, symbols] of Object.entries(channels) as [Stream, Readonly<Record<string, Counted>>][]) {
      for (const [symbol, told] of Object.entries(symbols)) {
        this.#counts.learnEpoch(stream, symbol, told.epoch);
        const counted = this.#counts.of(stream, symbol);
        if (counted) (own[stream] ??= {})[symbol] = counted;
        const keys = ["epoch", "published", "delivered", "merged", "lost"] as const;
        if (!counted || keys.some((key) => counted[key] !== told[key])) agrees = false;
      }
    }
    return { gateway: channels, own, agrees };
  }

  #address(url: string, { ticket }: Credentials): string {
    const query = new URLSearchParams(Object.assign({}, ...this.#codecs.map((codec) => codec.query)) as Record<string, string>);
    if (ticket !== undefined) query.set("ticket", ticket);
    return `${url}${url.includes("?") ? "&" : "?"}${query.toString()}`;
  }

  #opened(protocol: string, { token }: Credentials): void {
    this.connections += 1;
    this.#codec = this.#codecs.find((codec) => codec.subprotocol === protocol) ?? JSON_CODEC;
    this.#session = this.#codec.open();
    this.#pending.clear();
    if (token !== undefined) this.#send({ action: "auth", token }, { initial: true });
    if (this.#hidden) this.#send({ action: "visibility", hidden: true });
    for (const stream of STREAMS) {
      this.#dirty[stream].clear();
      this.#asked[stream].clear();
      this.#ask(stream, this.#wanted.symbols(stream), true);
    }
    if (this.#events.onInstance && this.#events.wantsInstance?.() !== false) this.#send({ action: "subscribe", symbols: ["*"], channel: "status" });
    this.#settle();
  }

  #heard(data: unknown): void {
    let messages: readonly ServerMessage[];
    try {
      messages = this.#session.decode(data);
    } catch (error) {
      this.#line.fail(`unreadable message: ${error instanceof Error ? error.message : String(error)}`);
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
      return this.#events.onRate?.(message.rate === 0 || message.rate >= (this.#rate || DEFAULT_TERMS.rate) ? null : message);
    }
    if (isOfInstance(message)) return this.#setInstance(instanceAfter(this.#instance, message));
    const stream = this.#streamOf(message);
    const request = "id" in message && typeof message.id === "number" ? this.#pending.get(message.id) : undefined;
    if (stream !== "status") {
      if (message.type === "subscribed") {
        this.#setDelay(message.delay_s ?? 0);
        this.#learnPatterns(message, stream);
      }
      this.#count(message, stream, request);
      this.#ledger.apply(message, this.#line.heardAtMs, applied, stream);
    }
    if (message.type === "authenticated") this.#admitted(message);
    if (message.type === "error") this.#refused(message, applied, request);
    else if (message.type === "subscribed") {
      if (stream !== "status") this.#subscribed(message, stream);
      // A subscription that resumes is answered twice; `resumed` is the one that ends it.
      if (request && Object.keys(request.resume).length === 0) this.#answered(message, request);
    } else if (request) this.#answered(message, request);
  }

  #count(message: ServerMessage, stream: Stream, request: Pending | undefined): void {
    if (message.type === "subscribed") {
      for (const [symbol, ack] of Object.entries(message.symbols)) {
        this.#counts.acknowledged(stream, symbol, ack, message.depth, request?.resume[symbol] !== undefined);
      }
    } else if (message.type === "resumed") {
      for (const [symbol, outcome] of Object.entries((message as ResumedMessage).symbols)) this.#counts.resumed(stream, symbol, outcome);
    } else this.#counts.take(message, stream);
  }

  /** A reply names its channel not in all cases, but always the request that it answers. */
  #streamOf(message: ServerMessage): Stream | "status" {
    const asked = "id" in message && typeof message.id === "number" ? this.#pending.get(message.id)?.stream : undefined;
    if (asked !== undefined) return asked;
    const channel = "channel" in message ? message.channel : undefined;
    if (channel !== "bars") return (channel as Stream | "status" | undefined) ?? "price";
    return "interval" in message && message.interval === "1m" ? "bars:1m" : "bars:1s";
  }

  #setDelay(delayS: number): void {
    if (delayS === this.delayS) return;
    this.delayS = delayS;
    this.#events.onDelay?.(delayS);
  }

  #setInstance(instance: Instance | null): void {
    if (instance === this.#instance) return;
    this.#instance = instance;
    this.#events.onInstance?.(instance);
  }

  #answered(message: ServerMessage, request: Pending): void {
    this.#pending.delete((message as { id: number }).id);
    request.answered?.(message);
  }

  /** A newer token, shown in time, keeps the connection: it would end with the old one. */
  #admitted(access: AuthenticatedMessage): void {
    this.#events.onAccess?.(access);
    if (!this.#credentials || access.until === undefined) return;
    const left = (Date.parse(access.until) - this.#now()) * RENEW_AFTER;
    this.#later(Math.min(Math.max(left, AGAIN_MS_MIN), TIMER_MAX_MS), () => void this.#renew(this.connections));
  }

  /** Without a newer token the connection ends when its time is over, and is made again. */
  async #renew(connection: number): Promise<void> {
    let token: string | undefined;
    try {
      ({ token } = (await this.#credentials?.()) ?? {});
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#events.onError?.({ type: "error", code: 0, reason: `no newer token: ${reason}` });
    }
    if (token !== undefined && this.#line.isOpen && connection === this.connections) this.#send({ action: "auth", token });
  }

  #learnPatterns({ patterns }: SubscribedMessage, stream: Stream): void {
    for (const [pattern, symbols] of Object.entries(patterns ?? {})) {
      for (const symbol of symbols) {
        setIn(this.#members[stream], pattern).add(symbol);
        setIn(this.#patterns[stream], symbol).add(pattern);
      }
    }
  }

  /** Ask again for what the server does not know, as long as it is wanted: those of one reply together. */
  #subscribed(message: SubscribedMessage, stream: Stream): void {
    const waits = this.#unknown.note(message, stream, (symbol) => this.#wanted.has(stream, symbol));
    for (const [wait, missing] of waits) this.#later(wait, () => this.#ask(stream, this.#unknown.still(missing, stream), false));
  }

  #refused(error: ErrorMessage, applied: Applied, request: Pending | undefined): void {
    if (request) this.#answered(error, request);
    this.#events.onError?.(error);
    if (request?.action !== "subscribe" || request.stream === "status") return;
    const { stream, symbols } = request;
    for (const symbol of symbols) this.#asked[stream].delete(symbol);
    if (verdictOfError(error.code) === "retry") {
      const wait = Math.max(AGAIN_MS_MIN, backoffMs(this.#againAttempt++, this.#random, this.#backoff));
      this.#later(wait, () => this.#ask(stream, symbols, request.initial));
      return;
    }
    for (const symbol of symbols) this.#ledger.refuse(symbol, stream, `${error.code}: ${error.reason}`, applied);
  }

  /** On this connection, if it still is. */
  #later(waitMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#againTimers.delete(timer);
      if (this.#line.isOpen) act();
    }, waitMs);
    this.#againTimers.add(timer);
  }

  #dropped(): void {
    for (const timer of this.#againTimers) clearTimeout(timer);
    this.#againTimers.clear();
    this.#unknown.clear();
    const unanswered = [...this.#pending.values()];
    this.#pending.clear();
    this.#counts.disconnected();
    const applied = nothingApplied();
    this.#ledger.disconnected(applied);
    if (applied.quotes.size + applied.books.size > 0) this.#events.onApplied(applied);
    this.#setInstance(null);
    this.#events.onRate?.(null);
    this.#events.onAccess?.(null);
    for (const request of unanswered) request.answered?.(null);
  }

  /** Live once every subscription of the beginning has its answer. */
  #settle(): void {
    if (!this.#line.isOpen || this.connection.phase === "live") return;
    for (const request of this.#pending.values()) if (request.initial) return;
    this.#againAttempt = 0;
    this.#line.live();
  }

  #touch(symbol: string, stream: Stream): void {
    this.#dirty[stream].add(symbol);
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#flush();
    });
  }

  /** Without a connection only what is not wanted any more is forgotten: the rest is asked for when it opens. */
  #flush(): void {
    for (const stream of STREAMS) {
      const dirty = [...this.#dirty[stream]];
      this.#dirty[stream].clear();
      const gone = dirty.filter((symbol) => !this.#wanted.has(stream, symbol));
      for (const symbol of gone) this.#forget(symbol, stream);
      if (!this.#line.isOpen) continue;
      const told = gone.filter((symbol) => this.#asked[stream].delete(symbol));
      for (const symbols of chunks(told)) this.#send({ action: "unsubscribe", symbols, ...channelOf(stream) }, { stream });
      this.#ask(stream, dirty.filter((symbol) => this.#isNew(symbol, stream)), false);
    }
  }

  #isNew(symbol: string, stream: Stream): boolean {
    const terms = this.#wanted.terms(stream, symbol);
    return terms !== undefined && this.#asked[stream].get(symbol) !== keyOf(stream, terms);
  }

  #forget(symbol: string, stream: Stream): void {
    for (const member of this.#members[stream].get(symbol) ?? []) {
      const patterns = this.#patterns[stream].get(member);
      patterns?.delete(symbol);
      if (patterns?.size === 0) this.#patterns[stream].delete(member);
      if (!patterns?.size && !this.#wanted.has(stream, member)) this.#forget(member, stream);
    }
    this.#members[stream].delete(symbol);
    if (this.#patterns[stream].has(symbol)) return; // a pattern still brings it
    this.#ledger.forget(symbol, stream);
    this.#counts.forget(stream, symbol);
    this.#unknown.forget(symbol, stream);
  }

  #askAgain(symbols: readonly string[], stream: Stream): void {
    const wanted = symbols.filter((symbol) => this.#wanted.has(stream, symbol));
    if (wanted.length === 0 || !this.#line.isOpen) return;
    this.#send({ action: "unsubscribe", symbols: wanted, ...channelOf(stream) }, { stream });
    for (const symbol of wanted) this.#counts.forget(stream, symbol);
    this.#ask(stream, wanted, false);
  }

  /** Those of the same terms together. */
  #ask(stream: Stream, symbols: readonly string[], initial: boolean): void {
    const groups = new Map<string, { readonly terms: Terms; readonly symbols: string[] }>();
    for (const symbol of symbols) {
      const terms = this.#wanted.terms(stream, symbol);
      if (!terms) continue;
      const key = keyOf(stream, terms);
      this.#asked[stream].set(symbol, key);
      if (stream === "price") this.#rate = Math.max(this.#rate, terms.rate || Infinity);
      const group = groups.get(key);
      if (group) group.symbols.push(symbol);
      else groups.set(key, { terms, symbols: [symbol] });
    }
    for (const group of groups.values()) {
      for (const chunk of chunks(group.symbols)) this.#subscribe(chunk, stream, group.terms, initial);
    }
  }

  #subscribe(symbols: readonly string[], stream: Stream, terms: Terms, initial: boolean): void {
    const resume: Record<string, Position> = {};
    for (const symbol of symbols) {
      const position = initial && !isPattern(symbol) ? this.#ledger.position(symbol, stream) : undefined;
      if (!position) continue;
      resume[symbol] = position;
      this.#ledger.expectResumed(symbol, stream);
    }
    const more = Object.keys(resume).length > 0 ? { resume } : {};
    this.#send({ ...requestFor(stream, terms), symbols, ...more }, { stream, resume, initial });
  }

  #send(request: ClientRequest, about: Partial<Pending> = {}): void {
    const id = this.#nextId++;
    const symbols = "symbols" in request ? request.symbols : [];
    this.#pending.set(id, { action: request.action, stream: "status", symbols, resume: {}, initial: false, ...about });
    this.#line.send(this.#session.encode({ ...request, id }));
  }
}

function keyOf(stream: Stream, terms: Terms): string {
  return JSON.stringify(requestFor(stream, terms));
}

function setIn(map: Map<string, Set<string>>, key: string): Set<string> {
  let found = map.get(key);
  if (!found) map.set(key, (found = new Set()));
  return found;
}

function* chunks(symbols: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < symbols.length; start += CHUNK) yield symbols.slice(start, start + CHUNK);
}
