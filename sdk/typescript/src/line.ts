/**
 * One connection that heals by itself: it dials, listens for silence, and comes back after a loss with capped exponential
 * backoff and jitter, or after the wait that the server names in the reason (`retry in 1500 ms`).
 *
 * Close codes 48xx, faults of our own framing, and refusals that would come again end it. What is said over the
 * connection is not its affair.
 */

import { backoffMs, DEFAULT_BACKOFF } from "./backoff.ts";
import type { ClientOptions, CloseLike, Connection, Credentials, SocketLike } from "./contract.ts";
import { verdictOfClose, waitOfReason } from "./protocol.ts";

/** A connection must have lived this long before the wait begins small again. */
const STABLE_MS = 5_000;
const OPEN = 1;
/** Longest wait that a close may ask for. */
const ASKED_WAIT_MAX_MS = 120_000;
/** Answers to a handshake that the same handshake would get again. */
const REFUSED_FOR_GOOD: ReadonlySet<number> = new Set([400, 401, 403, 405, 421, 426, 431]);
const UNAUTHORISED: ReadonlySet<number> = new Set([401, 403]);

export interface LineEvents {
  /** The address to dial, with what belongs to the codec. */
  readonly address: (credentials: Credentials) => string;
  readonly subprotocols: readonly string[];
  readonly opened: (protocol: string, credentials: Credentials) => void;
  readonly heard: (data: unknown) => void;
  /** The socket is gone, or is let go of. */
  readonly dropped: () => void;
  readonly changed: (connection: Connection) => void;
}

type Options = Required<Pick<ClientOptions, "createSocket" | "now" | "random">> &
  Pick<ClientOptions, "backoff" | "connectTimeoutMs" | "credentials" | "renewable" | "silenceMs">;

export class Line {
  readonly #options: Options;
  readonly #events: LineEvents;
  readonly #silenceMs: number;
  readonly #connectTimeoutMs: number;
  #connection: Connection = { phase: "idle" };
  #socket: SocketLike | null = null;
  /** Grows with each attempt and each end, so that credentials which come late are known to be late. */
  #generation = 0;
  #isDialling = false;
  #attempt = 0;
  #openedAtMs = 0;
  #everLive = false;
  #lastHeardMs = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options, events: LineEvents) {
    this.#options = options;
    this.#events = events;
    this.#silenceMs = options.silenceMs ?? 35_000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
  }

  get connection(): Connection {
    return this.#connection;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === OPEN;
  }

  /** When the last message came, by the client's clock. */
  get heardAtMs(): number {
    return this.#lastHeardMs;
  }

  start(): void {
    if (this.#socket || this.#isDialling || this.#retryTimer !== undefined) return;
    this.#dial();
  }

  stop(): void {
    this.#drop(1000, "done");
    this.#set({ phase: "stopped", code: 0, reason: "stopped" });
  }

  retryNow(): void {
    if (this.#connection.phase === "stopped") this.#attempt = 0;
    else if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#dial();
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket?.send(data);
  }

  /** What came means that something was missed: begin again rather than show a hole as news. */
  fail(reason: string): void {
    this.#drop(4000, "unreadable message");
    this.#lose(reason);
  }

  /** The server has answered all that was asked at the beginning. */
  live(): void {
    if (!this.isOpen || this.#connection.phase === "live") return;
    this.#everLive = true;
    this.#set({ phase: "live", sinceMs: this.#options.now() });
  }

  #dial(): void {
    this.#retryTimer = undefined;
    const before = this.#connection;
    if (!this.#everLive) this.#set({ phase: "connecting" });
    else if (before.phase === "offline") this.#set({ ...before, retryAtMs: null });
    else this.#set({ phase: "resuming" });
    const generation = ++this.#generation;
    this.#watch(this.#connectTimeoutMs, `no answer within ${this.#connectTimeoutMs / 1000} s`);
    const fail = (error: unknown): void => {
      if (generation !== this.#generation) return;
      this.#drop();
      this.#lose(error instanceof Error ? error.message : String(error));
    };
    let credentials: Credentials | Promise<Credentials>;
    try {
      credentials = this.#options.credentials?.() ?? {};
    } catch (error) {
      fail(error);
      return;
    }
    if (!(credentials instanceof Promise)) {
      this.#connect(credentials, fail);
      return;
    }
    this.#isDialling = true;
    const go = (found: Credentials): void => {
      if (generation === this.#generation) this.#connect(found, fail);
    };
    credentials.then(go, fail);
  }

  #connect(credentials: Credentials, fail: (error: unknown) => void): void {
    this.#isDialling = false;
    let socket: SocketLike;
    try {
      socket = this.#options.createSocket(this.#events.address(credentials), this.#events.subprotocols);
      socket.binaryType = "arraybuffer";
    } catch (error) {
      fail(error);
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket, credentials);
    socket.onmessage = (event) => {
      this.#lastHeardMs = this.#options.now();
      this.#events.heard(event.data);
    };
    socket.onclose = (event) => this.#closed(event);
    socket.onerror = () => undefined; // a close follows, with what is known
  }

  #opened(socket: SocketLike, credentials: Credentials): void {
    this.#openedAtMs = this.#options.now();
    this.#lastHeardMs = this.#openedAtMs;
    this.#watchSilence();
    if (this.#everLive) this.#set({ phase: "resuming" });
    this.#events.opened(socket.protocol ?? "", credentials);
  }

  #closed({ code, reason, status, retryAfterMs }: CloseLike): void {
    const wasAccepted = this.#connection.phase === "live";
    this.#drop();
    if (status !== undefined) {
      const told = `refused with ${status}${reason ? `: ${reason}` : ""}`;
      if (REFUSED_FOR_GOOD.has(status) && !(UNAUTHORISED.has(status) && this.#options.renewable && this.#everLive)) {
        this.#set({ phase: "stopped", code: status, reason: told });
      } else this.#lose(told, retryAfterMs ?? null);
      return;
    }
    // A token that ran out while it was used is made anew; one that was not taken at once would not be taken again.
    const isRenewed = code >= 4800 && code < 4900 && wasAccepted && this.#options.renewable === true;
    if (verdictOfClose(code) === "stop" && !isRenewed) {
      this.#set({ phase: "stopped", code, reason: reason || `closed by the server with ${code}` });
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
    const wait = asked ?? backoffMs(this.#attempt, this.#options.random, this.#options.backoff ?? DEFAULT_BACKOFF);
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#dial(), wait);
    this.#set({ phase: "offline", reason, attempt: this.#attempt, retryAtMs: now + wait });
  }

  /** Let go of the socket and of every timer; no event of the old socket is heard any more. */
  #drop(code?: number, reason?: string): void {
    this.#generation += 1;
    this.#isDialling = false;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    this.#events.dropped();
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
    const left = this.#lastHeardMs + this.#silenceMs - this.#options.now();
    if (left <= 0) {
      this.#drop(4001, "silent");
      this.#lose(`nothing heard for ${this.#silenceMs / 1000} s`);
      return;
    }
    this.#watchdog = setTimeout(() => this.#watchSilence(), left);
  }

  #set(connection: Connection): void {
    this.#connection = connection;
    this.#events.changed(connection);
  }
}
