/** What the client is given and what it tells. */

import type { BackoffOptions } from "./backoff.ts";
import type { Instance } from "./instance.ts";
import type { Applied } from "./ledger.ts";
import type { ErrorMessage, RateMessage } from "./protocol.ts";

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
  /** Prices and books: frames a second and symbol, at most; the server sends one a second while the page is hidden. */
  readonly rate?: number;
  /** Levels of each side of a book: 5, 10 or 50. */
  readonly depth?: number;
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
  /** What the server says of itself changed; null: it says nothing, or there is no connection. */
  readonly onInstance?: (instance: Instance | null) => void;
  /** The server allows less than was asked for, until null. */
  readonly onRate?: (rate: RateMessage | null) => void;
}
