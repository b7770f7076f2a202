export { backoffMs, type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
export { type BarSeries } from "./bars.ts";
export { type Book, type Level } from "./books.ts";
export { compareDecimals, groupDecimal, parseDecimal, roundDecimal, signOf } from "./decimal.ts";
export { type FeedStatus, type Instance, type LedgerEntry } from "./instance.ts";
export { TickcastClient } from "./client.ts";
export type { ClientEvents, ClientOptions, Connection, SocketLike } from "./contract.ts";
export { type Applied, Ledger, nothingApplied, type Quote, type Tape, TRADES_MAX } from "./ledger.ts";
export type * from "./protocol.ts";
