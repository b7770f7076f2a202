/**
 * The stream's protocol, version 1 (`tickcast.json`), as a client sees it that asked for `numbers=string` and `batch=1`.
 * The reference is `docs/protocol.md`.
 */

export const SUBPROTOCOL = "tickcast.json";

/** A decimal number with the venue's own digits. It is never turned into a float here. */
export type Decimal = string;
/** RFC 3339 in UTC. */
export type Timestamp = string;

export type Channel = "price" | "trades";

export type State =
  | "empty"
  | "syncing"
  | "live"
  | "gap"
  | "repairing"
  | "stale"
  | "halted"
  | "auction"
  | "closed"
  | "unverified"
  | "delayed";

export type AckState = State | "no_such_symbol" | "not_entitled";

export type Side = "buy" | "sell" | null;

/** How many of a consolidated instrument's venues are live. */
export interface Legs {
  readonly live: number;
  readonly of: number;
}

/** Fields of channel `price`. In an update only what changed is there; `null` means not known (any more). */
export interface PriceFields {
  price?: Decimal | null;
  size?: Decimal | null;
  side?: Side;
  bid?: Decimal | null;
  bid_size?: Decimal | null;
  ask?: Decimal | null;
  ask_size?: Decimal | null;
  timestamp?: Timestamp | null;
  server_timestamp?: Timestamp | null;
  venue?: string | null;
  state?: State;
  legs?: Legs | null;
  crossed?: boolean | null;
  open?: Decimal | null;
  high?: Decimal | null;
  low?: Decimal | null;
  prev_close?: Decimal | null;
  volume?: Decimal | null;
  change?: Decimal | null;
  change_pct?: Decimal | null;
}

/** Where a subscription stands: `seq` counts since `epoch` began. */
export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

export type RequestId = string | number;

export interface SnapshotMessage extends PriceFields, Position {
  readonly type: "snapshot";
  readonly symbol: string;
}

export interface UpdateMessage extends PriceFields {
  readonly type: "update";
  readonly symbol: string;
  readonly seq: number;
  readonly epoch?: number;
}

export interface StatusMessage {
  readonly type: "status";
  readonly symbol: string;
  readonly state: State;
  readonly since?: Timestamp;
  readonly reason?: string;
  readonly legs?: Legs;
  readonly epoch?: number;
  readonly seq?: number;
}

export interface TradeMessage {
  readonly type: "trade";
  readonly symbol: string;
  readonly channel: "trades";
  readonly seq: number;
  readonly epoch?: number;
  readonly id: string;
  readonly price: Decimal;
  readonly size: Decimal;
  readonly side: Side;
  readonly venue?: string | null;
  readonly timestamp: Timestamp;
  readonly conditions?: readonly string[] | string | null;
}

export interface LostMessage extends Position {
  readonly type: "lost";
  readonly symbol: string;
  readonly channel: Channel;
  readonly count: number;
}

export type SymbolAck = { readonly state: AckState } & Partial<Position>;

export interface SubscribedMessage {
  readonly type: "subscribed";
  readonly id?: RequestId;
  readonly channel: Channel;
  readonly symbols: Readonly<Record<string, SymbolAck>>;
}

export interface ResumedMessage {
  readonly type: "resumed";
  readonly id?: RequestId;
  readonly channel?: Channel;
  readonly symbols: Readonly<Record<string, { readonly recovered: boolean; readonly reason?: string }>>;
}

export interface ErrorMessage {
  readonly type: "error";
  readonly id?: RequestId;
  readonly code: number;
  readonly reason: string;
  readonly symbols?: readonly string[];
}

export interface OtherMessage {
  readonly type: "unsubscribed" | "ok" | "pong" | "hb" | "synced";
  readonly id?: RequestId;
  readonly server_timestamp?: Timestamp;
}

export type ServerMessage =
  | SnapshotMessage
  | UpdateMessage
  | StatusMessage
  | TradeMessage
  | LostMessage
  | SubscribedMessage
  | ResumedMessage
  | ErrorMessage
  | OtherMessage;

export interface SubscribeRequest {
  readonly action: "subscribe";
  readonly id?: RequestId;
  readonly symbols: readonly string[];
  readonly channel?: Channel;
  readonly rate?: number;
  readonly resume?: Readonly<Record<string, Position>>;
}

export interface UnsubscribeRequest {
  readonly action: "unsubscribe";
  readonly id?: RequestId;
  readonly symbols: readonly string[];
  readonly channel?: Channel;
}

export type ClientRequest =
  | SubscribeRequest
  | UnsubscribeRequest
  | { readonly action: "set"; readonly id?: RequestId; readonly rate: number }
  | { readonly action: "ping"; readonly id?: RequestId };

/** What the client does about a close or error code; the ranges are part of the protocol. */
export type Verdict = "retry" | "stop";

/** 4800-4899 say: do not come back. Everything else, a lost network included, is worth another try. */
export function verdictOfClose(code: number): Verdict {
  return code >= 4800 && code < 4900 ? "stop" : "retry";
}

/** Errors 4500-4599 are the server's own and worth another try; the others would fail again. */
export function verdictOfError(code: number): Verdict {
  return code >= 4500 && code < 4600 ? "retry" : "stop";
}

/** The messages of one WebSocket text: an array when batched, one object otherwise. */
export function parseMessages(text: string): readonly ServerMessage[] {
  const parsed: unknown = JSON.parse(text);
  const messages: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  for (const message of messages) {
    if (typeof message !== "object" || message === null || typeof (message as { type?: unknown }).type !== "string") {
      throw new SyntaxError(`expected an object with a "type", found ${JSON.stringify(message)?.slice(0, 80)}`);
    }
  }
  return messages as readonly ServerMessage[];
}
