/**
 * The stream's protocol, version 1, as a client sees it that asked for `numbers=string` and `batch=1`. Other codecs are
 * read into the same messages. The reference is `docs/protocol.md`.
 */

/** A decimal number with the venue's own digits. It is never turned into a float here. */
export type Decimal = string;
/** RFC 3339 in UTC. */
export type Timestamp = string;

export type Channel = "price" | "trades" | "book" | "bars" | "status";

export type Interval = "1s" | "1m";

/** What a symbol can be watched for: a channel, and of bars each interval by itself. */
export type Stream = "price" | "trades" | "book" | "bars:1s" | "bars:1m";
export const STREAMS: readonly Stream[] = ["price", "trades", "book", "bars:1s", "bars:1m"];

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

export type PriceField = keyof PriceFields;

/** Where a subscription stands: `seq` counts since `epoch` began. */
export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

export type RequestId = string | number;

export interface SnapshotMessage extends PriceFields, Position {
  readonly type: "snapshot";
  readonly channel?: "price";
  readonly symbol: string;
}

export interface UpdateMessage extends PriceFields {
  readonly type: "update";
  readonly channel?: "price";
  readonly symbol: string;
  readonly seq: number;
  readonly epoch?: number;
}

/** A level that is new or changed: price and size; size 0 takes it away. */
export type LevelChange = readonly [price: Decimal, size: Decimal];

interface Levels {
  readonly channel: "book";
  readonly symbol: string;
  readonly bids?: readonly LevelChange[];
  readonly asks?: readonly LevelChange[];
  readonly timestamp?: Timestamp | null;
  readonly state?: State;
  /** CRC-32 of the whole book after this message. */
  readonly digest?: number;
}

export interface BookSnapshotMessage extends Levels, Position {
  readonly type: "snapshot";
  readonly depth?: number;
  readonly reason?: string | null;
  /** False: more parts of the snapshot follow. */
  readonly last?: boolean;
}

export interface BookUpdateMessage extends Levels {
  readonly type: "update";
  readonly seq: number;
  readonly epoch?: number;
}

/** What was traded in one interval. */
export interface Bar {
  readonly start: Timestamp;
  readonly open: Decimal;
  readonly high: Decimal;
  readonly low: Decimal;
  readonly close: Decimal;
  readonly volume: Decimal;
  readonly notional?: Decimal | null;
  readonly trades: number;
  readonly final: boolean;
  /** A bust or a correction changed it afterwards. */
  readonly corrected?: boolean;
}

export interface BarsSnapshotMessage extends Position {
  readonly type: "snapshot";
  readonly channel: "bars";
  readonly symbol: string;
  readonly interval: Interval;
  readonly bars: readonly Bar[];
  readonly state?: State;
}

export interface BarMessage extends Bar {
  readonly type: "bar";
  readonly channel: "bars";
  readonly symbol: string;
  readonly interval: Interval;
  readonly seq: number;
}

/** The highest rate that the server allows this client now. */
export interface RateMessage {
  readonly type: "rate";
  readonly rate: number;
  readonly reason: string;
}

export interface StatusMessage {
  readonly type: "status";
  readonly channel?: Channel;
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
  readonly interval?: Interval;
  readonly depth?: number;
  readonly symbols: Readonly<Record<string, SymbolAck>>;
  /** What each pattern of the request stands for; their symbols are in `symbols` as well. */
  readonly patterns?: Readonly<Record<string, readonly string[]>>;
  /** How late everything is, in seconds; missing: it is not. */
  readonly delay_s?: number;
}

export type Recovery = { readonly recovered: boolean; readonly reason?: string } & Partial<Position>;

export interface ResumedMessage {
  readonly type: "resumed";
  readonly id?: RequestId;
  readonly channel?: Channel;
  readonly symbols: Readonly<Record<string, Recovery>>;
}

/** Of channel `status`: all there is at first, then each feed, gap or rung that changes. Read by `instance.ts`. */
export interface InstanceMessage {
  readonly type: "snapshot" | "feed" | "gap" | "delivery";
  readonly channel: "status";
  readonly [key: string]: unknown;
}

const OF_INSTANCE: ReadonlySet<string> = new Set(["feed", "gap", "delivery"]);

export function isOfInstance(message: ServerMessage): message is InstanceMessage {
  const isSnapshot = message.type === "snapshot" && "channel" in message && message.channel === "status";
  return isSnapshot || OF_INSTANCE.has(message.type);
}

export interface ErrorMessage {
  readonly type: "error";
  readonly id?: RequestId;
  readonly code: number;
  readonly reason: string;
  readonly symbols?: readonly string[];
}

/** How a symbol's ticks went, since the connection's ack and in the current epoch: published = delivered + merged + lost. */
export interface Counted extends Position {
  readonly published: number;
  readonly delivered: number;
  readonly merged: number;
  readonly lost: number;
}

export interface SyncedMessage {
  readonly type: "synced";
  readonly id?: RequestId;
  readonly channels: Readonly<Partial<Record<Stream, Readonly<Record<string, Counted>>>>>;
}

/** Who the client is taken for, and what it may see. */
export interface AuthenticatedMessage {
  readonly type: "authenticated";
  readonly id?: RequestId;
  readonly subject: string;
  /** When the connection ends, unless a newer token is shown; missing: it does not. */
  readonly until?: Timestamp;
  /** Patterns. */
  readonly symbols: readonly string[];
  readonly channels: readonly Channel[];
  readonly depth: number;
  /** 0 = no limit. */
  readonly rate: number;
  readonly delay_s: number;
}

export interface OtherMessage {
  readonly type: "unsubscribed" | "ok" | "visibility" | "pong" | "hb";
  readonly id?: RequestId;
  readonly server_timestamp?: Timestamp;
}

export type ServerMessage =
  | SnapshotMessage
  | UpdateMessage
  | BookSnapshotMessage
  | BookUpdateMessage
  | BarsSnapshotMessage
  | BarMessage
  | InstanceMessage
  | RateMessage
  | StatusMessage
  | TradeMessage
  | LostMessage
  | SubscribedMessage
  | ResumedMessage
  | ErrorMessage
  | SyncedMessage
  | AuthenticatedMessage
  | OtherMessage;

export interface SubscribeRequest {
  readonly action: "subscribe";
  readonly id?: RequestId;
  readonly symbols: readonly string[];
  readonly channel?: Channel;
  readonly depth?: number;
  readonly interval?: Interval;
  readonly rate?: number;
  readonly fields?: readonly string[];
  readonly resume?: Readonly<Record<string, Position>>;
}

export interface UnsubscribeRequest {
  readonly action: "unsubscribe";
  readonly id?: RequestId;
  readonly symbols: readonly string[];
  readonly channel?: Channel;
  readonly interval?: Interval;
}

export type ClientRequest =
  | SubscribeRequest
  | UnsubscribeRequest
  | { readonly action: "visibility"; readonly id?: RequestId; readonly hidden: boolean }
  | { readonly action: "auth"; readonly id?: RequestId; readonly token: string }
  | { readonly action: "ping" | "sync"; readonly id?: RequestId };

/** What the client does about a close or error code; the ranges are part of the protocol. */
export type Verdict = "retry" | "stop";

const OUR_FAULTS: ReadonlySet<number> = new Set([1002, 1007, 1009]);

/**
 * 4800-4899 say: do not come back; 1002, 1007 and 1009 that we broke the framing, and would again. Everything else, a
 * lost network included, is worth another try.
 */
export function verdictOfClose(code: number): Verdict {
  return (code >= 4800 && code < 4900) || OUR_FAULTS.has(code) ? "stop" : "retry";
}

/** The wait that a server asks for in the reason of a close, `retry in 1500 ms`; null if it says nothing of it. */
export function waitOfReason(reason: string): number | null {
  const told = /\bretry in (\d{1,6}) ms\b/.exec(reason)?.[1];
  return told === undefined ? null : Number(told);
}

/** 4101 is too many requests, 4500-4599 are the server's own: worth another try, a second later. Others would fail again. */
export function verdictOfError(code: number): Verdict {
  return code === 4101 || (code >= 4500 && code < 4600) ? "retry" : "stop";
}

/** Whether something that was read is a message: an object with a `type`. */
export function isMessage(value: unknown): value is ServerMessage {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
