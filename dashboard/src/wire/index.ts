export { backoffMs, type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
export { type ClientEvents, type ClientOptions, type Connection, type SocketLike, TickcastClient } from "./client.ts";
export { type Applied, Ledger, nothingApplied, type Quote, type Tape, TRADES_MAX } from "./ledger.ts";
export type * from "./protocol.ts";
export { type FeedStatus, type HopLatency, type LatencyReport, type LedgerEntry, RestClient, type SymbolInfo } from "./rest.ts";
