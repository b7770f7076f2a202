/**
 * The door for programs: {@link connect}. One connection for all that is watched, typed events, `for await` or callbacks.
 *
 * Several subscriptions to a symbol share what is sent: it comes at the quickest rate, with all the fields and the deepest
 * book that one of them asked for, and ends with the last of them.
 */

import type { BackoffOptions } from "./backoff.ts";
import { choose, type CodecChoice } from "./codecs/choice.ts";
import { DEFAULT_TERMS, type Synced, TickcastClient } from "./client.ts";
import type { ClientOptions, Connection, Credentials, SocketLike } from "./contract.ts";
import {
  type BarEvent,
  barOf,
  BARS_WAIT,
  BOOKS_WAIT,
  bookOf,
  type BookView,
  type Lost,
  type Tick,
  tickOf,
  TICKS_WAIT,
  type Trade,
  tradeOf,
  TRADES_WAIT,
} from "./events.ts";
import type { Instance } from "./instance.ts";
import type { Applied, Listener } from "./ledger.ts";
import { isNode, NodeSocket } from "./nodeSocket.ts";
import type { AuthenticatedMessage, Counted, ErrorMessage, Interval, PriceField, RateMessage, Stream } from "./protocol.ts";
import { ClosedError, Subscription, type Waiting } from "./subscription.ts";
import type { Tape } from "./tapes.ts";
import { isPattern, type Terms } from "./terms.ts";

/** A value, or what gives it whenever it is needed. */
export type Source = string | (() => string | Promise<string>);

export interface ConnectOptions {
  /** Who you are; told in the first message, never in an address. A function is asked before each attempt. */
  readonly token?: Source;
  /** Makes a ticket, which is worth something once: for browsers that are not to hold a token. Asked before each attempt. */
  readonly ticket?: () => string | Promise<string>;
  /** `auto`: JSON, or compact MessagePack where the reader asked to save data. `PROTOBUF_CODEC` is in `tickcast/protobuf`. */
  readonly codec?: CodecChoice;
  readonly backoff?: BackoffOptions;
  /** Longest silence before the connection counts as dead, ms; the gateway speaks every 15 s at least. */
  readonly silenceMs?: number;
  readonly connectTimeoutMs?: number;
  /** Tell the gateway when the page is hidden, so that it sends less; in browsers. Default true. */
  readonly visibility?: boolean;
  /** Headers of the handshake; in Node. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Another WebSocket than the platform's. */
  readonly createSocket?: ClientOptions["createSocket"];
}

export interface PriceOptions {
  /** Most updates a second of each symbol: 1, 2, 5, 10, 20, or 0 = unfiltered. */
  readonly rate?: number;
  /** Fields to be sent; all, if none are named. */
  readonly fields?: readonly PriceField[] | undefined;
}

export interface BookOptions {
  readonly rate?: number;
  /** Levels of each side: 5, 10 or 50. */
  readonly depth?: number;
}

export interface BarsOptions {
  readonly interval?: Interval;
  readonly rate?: number;
}

/** Sums since `connect`, over all symbols and connections. */
export interface Counters {
  readonly connections: number;
  readonly delivered: number;
  /** Updates of prices, books and bars that were merged into later ones. */
  readonly merged: number;
  /** Trades that did not come; in holes of unknown size they are not counted. */
  readonly lost: number;
  /** Digests of books that agreed, and that did not. */
  readonly verified: number;
  readonly failed: number;
  /** Updates that had nothing to rest on and were left alone: a snapshot follows. */
  readonly ignored: number;
  /** Trades that came, but were not read in time. */
  readonly dropped: number;
}

export interface TickcastEvents {
  readonly connection: Connection;
  /** The gateway refused a request. */
  readonly error: ErrorMessage;
  /** The gateway sends less than was asked for, until null. */
  readonly rate: RateMessage | null;
  /** How late everything is that we are shown, in seconds; 0 = it is not. */
  readonly delay: number;
  /** Who the gateway takes us for and what it shows us; null without a connection. */
  readonly access: AuthenticatedMessage | null;
  /** Names of what changed with one message. */
  readonly applied: Applied;
  /** Feeds, gaps and load of the gateway; asked for while somebody listens as the connection opens. */
  readonly instance: Instance | null;
}

type Listeners = { [Name in keyof TickcastEvents]: Set<(value: TickcastEvents[Name]) => void> };
type Symbols = string | Iterable<string>;

/**
 * Connect to a gateway: `http(s)://host:port/`, or the address of its stream, `ws(s)://host:port/stream`. It returns at
 * once and connects by itself, again and again until `close`.
 */
export function connect(url: string, options: ConnectOptions = {}): Tickcast {
  return new Tickcast(url, options);
}

export class Tickcast {
  readonly #client: TickcastClient;
  readonly #listeners: Listeners = { connection: new Set(), error: new Set(), rate: new Set(), delay: new Set(), access: new Set(), applied: new Set(), instance: new Set() };
  readonly #ticks = new Map<string, Set<Subscription<Tick>>>();
  readonly #books = new Map<string, Set<Subscription<BookView>>>();
  readonly #trades = new Map<string, Set<Subscription<Trade | Lost>>>();
  readonly #bars = new Map<string, Set<Subscription<BarEvent>>>();
  readonly #all = new Set<Subscription<never>>();
  readonly #unfollow: () => void;
  #dropped = 0;

  constructor(url: string, options: ConnectOptions = {}) {
    this.#client = new TickcastClient(clientOptions(url, options), {
      onApplied: (applied) => this.#tell("applied", applied),
      onConnection: (connection) => this.#connected(connection),
      onError: (error) => this.#tell("error", error),
      wantsInstance: () => this.#listeners.instance.size > 0,
      onInstance: (instance) => this.#tell("instance", instance),
      onAccess: (access) => this.#tell("access", access),
      onRate: (rate) => this.#tell("rate", rate),
      onDelay: (delayS) => this.#tell("delay", delayS),
      listener: this.#listener(),
    });
    this.#unfollow = followPage(this.#client, options.visibility !== false);
    // A listener of `instance` may still come in this turn.
    queueMicrotask(() => {
      if (this.connection.phase === "idle") this.#client.start();
    });
  }

  get connection(): Connection {
    return this.#client.connection;
  }

  /** Of the connection there is: `json`, `msgpack`, `proto`, or the name of one that was brought along. */
  get codec(): string {
    return this.#client.codec;
  }

  /** How late everything is that we are shown, in seconds; 0 = it is not. Then no state is `live`, and what would be is `delayed`. */
  get delayS(): number {
    return this.#client.delayS;
  }

  get counters(): Counters {
    const { totals, connections, ignored } = this.#client;
    const waiting = [...this.#all].reduce((sum, one) => sum + one.dropped, 0);
    return { connections, ...totals, ignored, dropped: this.#dropped + waiting };
  }

  /** How a symbol's ticks went since the connection's ack: published = delivered + merged + lost. */
  counted(symbol: string, stream: Stream = "price"): Counted | undefined {
    return this.#client.counted(symbol, stream);
  }

  /** The gateway's counters beside ours, of the same moment; null if the connection ends before. */
  sync(): Promise<Synced | null> {
    return this.#client.sync();
  }

  /** Resolves when everything that is watched is answered; rejects with a ClosedError where there will be no connection. */
  live(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (connection: Connection): boolean => {
        if (connection.phase === "live") resolve();
        else if (connection.phase === "stopped") reject(new ClosedError(connection.code, connection.reason));
        else return false;
        return true;
      };
      if (look(this.connection)) return;
      const end = this.on("connection", (connection) => look(connection) && end());
    });
  }

  /** Call back for what is not about one symbol; returns what ends that. */
  on<Name extends keyof TickcastEvents>(name: Name, listener: (value: TickcastEvents[Name]) => void): () => void {
    const listeners: Set<(value: TickcastEvents[Name]) => void> = this.#listeners[name];
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Prices: `AAPL` is the security over its venues, `XNAS:AAPL` one venue's, `XNAS:*` all of a venue. */
  prices(symbols: Symbols, { rate = DEFAULT_TERMS.rate, fields }: PriceOptions = {}): Subscription<Tick> {
    const terms = { ...DEFAULT_TERMS, rate, fields: fields ? [...fields] : null };
    const subscription = this.#subscribe("price", namesIn(symbols), terms, TICKS_WAIT, this.#ticks);
    for (const symbol of this.#known(symbols, "price")) if (this.#client.quote(symbol)) subscription.push(this.tick(symbol));
    return subscription;
  }

  /** Every trade from now on, and where some are missing, how many. */
  trades(symbols: Symbols): Subscription<Trade | Lost> {
    return this.#subscribe("trades", namesIn(symbols), DEFAULT_TERMS, TRADES_WAIT, this.#trades);
  }

  /** The best levels, kept whole and checked against the gateway's digests. */
  books(symbols: Symbols, { rate = DEFAULT_TERMS.rate, depth = DEFAULT_TERMS.depth }: BookOptions = {}): Subscription<BookView> {
    const subscription = this.#subscribe("book", namesIn(symbols), { rate, depth, fields: null }, BOOKS_WAIT, this.#books);
    for (const symbol of this.#known(symbols, "book")) if (this.#client.book(symbol)) subscription.push(this.book(symbol));
    return subscription;
  }

  /** Recent bars, then each that changes. */
  bars(symbols: Symbols, { interval = "1s", rate = 1 }: BarsOptions = {}): Subscription<BarEvent> {
    const stream = `bars:${interval}` as const;
    const subscription = this.#subscribe(stream, namesIn(symbols), { ...DEFAULT_TERMS, rate }, BARS_WAIT, this.#bars);
    for (const symbol of this.#known(symbols, stream)) {
      const series = this.#client.bars(symbol, interval);
      for (const bar of series?.bars ?? []) if (series) subscription.push(barOf(series, bar));
    }
    return subscription;
  }

  /** What is known of a price that is watched. */
  tick(symbol: string): Tick {
    return tickOf(symbol, this.#client.quote(symbol));
  }

  /** What is known of a book that is watched. */
  book(symbol: string): BookView {
    return bookOf(symbol, this.#client.book(symbol));
  }

  /** The records behind `tick` and `book`, the last trades and the bars: changed in place, so copy what you keep. */
  get records(): Pick<TickcastClient, "quote" | "book" | "bars"> & { tape(symbol: string): Tape | undefined } {
    return this.#client;
  }

  /** Watch without events of one's own, for those who listen to `applied` and read `records`; returns what ends it. */
  watch(symbol: string, stream: Stream = "price", terms: Partial<Terms> = {}): () => void {
    const whole = { ...DEFAULT_TERMS, ...(stream.startsWith("bars") ? { rate: 1 } : {}), ...terms };
    this.#client.hold(symbol, stream, whole);
    return once(() => this.#client.release(symbol, stream, whole));
  }

  /** Do not wait for the next attempt. After `close` and after a refusal it begins anew. */
  retryNow(): void {
    this.#client.retryNow();
  }

  /** End the connection and every subscription. */
  close(): void {
    this.#unfollow();
    for (const subscription of [...this.#all]) subscription.close();
    this.#client.stop();
  }

  #subscribe<Event>(
    stream: Stream,
    names: readonly string[],
    terms: Terms,
    waiting: Waiting<Event>,
    by: Map<string, Set<Subscription<Event>>>,
  ): Subscription<Event> {
    const own = { ...terms };
    const keys = stream.startsWith("bars") ? names.map((name) => `${stream} ${name}`) : names;
    const subscription = new Subscription<Event>(waiting, () => {
      this.#dropped += subscription.dropped;
      this.#all.delete(subscription as unknown as Subscription<never>);
      for (const name of names) this.#client.release(name, stream, own);
      for (const key of keys) {
        by.get(key)?.delete(subscription);
        if (by.get(key)?.size === 0) by.delete(key);
      }
    });
    this.#all.add(subscription as unknown as Subscription<never>);
    for (const name of names) this.#client.hold(name, stream, own);
    for (const key of keys) {
      const others = by.get(key);
      if (others) others.add(subscription);
      else by.set(key, new Set([subscription]));
    }
    return subscription;
  }

  /** Each change is made into an event only where somebody asked for it. */
  #listener(): Listener {
    return {
      price: (quote, merged) => this.#push(this.#ticks, quote.symbol, "price", () => tickOf(quote.symbol, quote, merged)),
      trade: (trade) => this.#push(this.#trades, trade.symbol, "trades", () => tradeOf(trade)),
      lost: (hole) => this.#push(this.#trades, hole.symbol, "trades", () => ({ type: "lost", ...hole }) as const),
      book: (book) => this.#push(this.#books, book.symbol, "book", () => bookOf(book.symbol, book)),
      bar: (series, bar) => this.#push(this.#bars, series.symbol, `bars:${series.interval}`, () => barOf(series, bar)),
    };
  }

  #push<Event>(by: Map<string, Set<Subscription<Event>>>, symbol: string, stream: Stream, make: () => Event): void {
    if (by.size === 0) return;
    const prefix = stream.startsWith("bars") ? `${stream} ` : "";
    let told: Set<Subscription<Event>> | undefined;
    for (const name of this.#client.namesOf(symbol, stream)) {
      const found = by.get(`${prefix}${name}`);
      if (found) told = told ? new Set([...told, ...found]) : found;
    }
    if (!told) return;
    const event = make();
    for (const subscription of [...told]) subscription.push(event);
  }

  #known(symbols: Symbols, stream: Stream): string[] {
    return namesIn(symbols).flatMap((name) => this.#client.membersOf(name, stream));
  }

  #connected(connection: Connection): void {
    if (connection.phase === "stopped" && connection.code !== 0) {
      for (const subscription of this.#all) subscription.fail(new ClosedError(connection.code, connection.reason));
    }
    this.#tell("connection", connection);
  }

  #tell<Name extends keyof TickcastEvents>(name: Name, value: TickcastEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) listener(value);
  }
}

/** Of `AAPL`, or of a list: each name once. */
function namesIn(symbols: Symbols): readonly string[] {
  const names = typeof symbols === "string" ? [symbols] : [...new Set(symbols)];
  if (names.some((name) => name === "" || (isPattern(name) && name === "*"))) {
    throw new TypeError('expected names of symbols or patterns such as "XNAS:*", found an empty one or "*"');
  }
  return names;
}

function clientOptions(url: string, options: ConnectOptions): ClientOptions {
  const { token, ticket, headers, backoff, silenceMs, connectTimeoutMs } = options;
  const credentials = token === undefined && ticket === undefined ? {} : { credentials: () => credentialsOf(token, ticket) };
  return {
    url: addressOf(url),
    codecs: choose(options.codec ?? "auto"),
    ...credentials,
    renewable: ticket !== undefined || typeof token === "function",
    createSocket: options.createSocket ?? platformSocket(headers),
    ...(backoff ? { backoff } : {}),
    ...(silenceMs === undefined ? {} : { silenceMs }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  };
}

/** The stream of a gateway by its own address, by that of the stream, or relative to the page. */
export function addressOf(url: string): string {
  const base = (globalThis as { document?: { baseURI: string } }).document?.baseURI;
  const address = base === undefined ? new URL(url) : new URL(url, base);
  if (address.protocol === "http:" || address.protocol === "https:") {
    if (!address.pathname.endsWith("/stream")) address.pathname = `${address.pathname.replace(/\/$/, "")}/stream`;
    address.protocol = address.protocol === "http:" ? "ws:" : "wss:";
  } else if (address.protocol !== "ws:" && address.protocol !== "wss:") {
    throw new TypeError(`expected an address that begins with http, https, ws or wss, found ${address.protocol}`);
  } else if (address.pathname === "/") address.pathname = "/stream";
  address.hash = "";
  return address.href;
}

/** Without waiting where nothing has to be waited for. */
function credentialsOf(token: Source | undefined, ticket: (() => string | Promise<string>) | undefined): Credentials | Promise<Credentials> {
  const found = { token: typeof token === "function" ? token() : token, ticket: ticket?.() };
  if (!(found.token instanceof Promise) && !(found.ticket instanceof Promise)) return { token: found.token, ticket: found.ticket };
  return Promise.all([found.token, found.ticket]).then(([late, later]) => ({ token: late, ticket: later }));
}

function platformSocket(headers?: Readonly<Record<string, string>>): ClientOptions["createSocket"] {
  if (isNode()) return (url, subprotocols) => new NodeSocket(url, subprotocols, headers);
  if (headers) throw new TypeError("expected no headers where the platform's WebSocket takes none: use token or ticket");
  // A browser's WebSocket is a SocketLike but for the types of its events' other properties.
  return (url, subprotocols) => new WebSocket(url, [...subprotocols]) as unknown as SocketLike;
}

/** A hidden page needs less; one whose network is back need not wait. */
function followPage(client: TickcastClient, isAsked: boolean): () => void {
  if (typeof document === "undefined" || typeof window === "undefined") return () => undefined;
  const online = (): void => {
    if (client.connection.phase === "offline") client.retryNow();
  };
  const seen = (): void => client.setHidden(document.visibilityState === "hidden");
  window.addEventListener("online", online);
  if (isAsked) {
    document.addEventListener("visibilitychange", seen);
    seen();
  }
  return () => {
    window.removeEventListener("online", online);
    document.removeEventListener("visibilitychange", seen);
  };
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}
