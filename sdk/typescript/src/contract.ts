/** What the client is given and what it tells. */

import type { BackoffOptions } from "./backoff.ts";
import type { Codec } from "./codecs/codec.ts";
import type { Instance } from "./instance.ts";
import type { Applied, Listener } from "./ledger.ts";
import type { AuthenticatedMessage, ErrorMessage, RateMessage } from "./protocol.ts";

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

/** The end of a connection. */
export interface CloseLike {
  readonly code: number;
  readonly reason: string;
  /** Where the handshake was refused and the socket can tell: the status of the answer. */
  readonly status?: number;
  /** With it: how long to stay away. */
  readonly retryAfterMs?: number | undefined;
}

/** What the client needs of a WebSocket. */
export interface SocketLike {
  readonly readyState: number;
  /** The subprotocol that the server picked; empty or missing: none. */
  readonly protocol?: string;
  binaryType?: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: CloseLike) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** Who the client is, asked for before each attempt. */
export interface Credentials {
  /** Told in the first message; it is never part of an address. */
  readonly token?: string | undefined;
  /** Part of the address: it is worth something once, and not for long. */
  readonly ticket?: string | undefined;
}

export interface ClientOptions {
  /** Address of the stream, `ws:` or `wss:`. */
  readonly url: string;
  /** Codecs in the order in which they are offered. */
  readonly codecs?: readonly Codec[];
  readonly credentials?: () => Credentials | Promise<Credentials>;
  /** True: credentials are made anew each time, so that one that ran out is no reason to stay away. */
  readonly renewable?: boolean;
  readonly backoff?: BackoffOptions;
  /** Longest silence; the server sends `hb` after 15 s without a frame. */
  readonly silenceMs?: number;
  readonly connectTimeoutMs?: number;
  readonly createSocket: (url: string, subprotocols: readonly string[]) => SocketLike;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface ClientEvents {
  /** What changed with one message. */
  readonly onApplied: (applied: Applied) => void;
  readonly onConnection: (connection: Connection) => void;
  /** Who the gateway takes us for; null: there is no connection, or it was not asked. */
  readonly onAccess?: (access: AuthenticatedMessage | null) => void;
  readonly onError?: (error: ErrorMessage) => void;
  /** What the server says of itself changed; null: it says nothing, or there is no connection. */
  readonly onInstance?: (instance: Instance | null) => void;
  /** Asked as the connection opens; false: the gateway need not say it. */
  readonly wantsInstance?: () => boolean;
  /** The server allows less than was asked for, until null. */
  readonly onRate?: (rate: RateMessage | null) => void;
  /** How late everything is that this client is shown, in seconds; 0 = it is not. */
  readonly onDelay?: (delayS: number) => void;
  /** Each change by itself, in order. */
  readonly listener?: Listener;
}
