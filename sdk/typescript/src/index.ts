export { backoffMs, type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
export type { BarSeries } from "./bars.ts";
export type { Book, Level } from "./books.ts";
export { DEFAULT_TERMS, type Synced, TickcastClient } from "./client.ts";
export type { CodecChoice } from "./codecs/choice.ts";
export type { Codec, CodecSession } from "./codecs/codec.ts";
export type { ClientEvents, ClientOptions, CloseLike, Connection, Credentials, SocketLike } from "./contract.ts";
export {
  addDecimals,
  compareDecimals,
  type DecimalFormat,
  formatDecimal,
  groupDecimal,
  multiplyDecimals,
  parseDecimal,
  roundDecimal,
  signOf,
  subtractDecimals,
} from "./decimal.ts";
export type { BarEvent, BookView, Lost, ShownState, Tick, Trade } from "./events.ts";
export type { FeedStatus, Instance, LedgerEntry } from "./instance.ts";
export { type Applied, Ledger, type Listener, nothingApplied, type Quote } from "./ledger.ts";
export { NodeSocket } from "./nodeSocket.ts";
export type * from "./protocol.ts";
export { ClosedError, Subscription } from "./subscription.ts";
export { type Tape, TRADES_MAX } from "./tapes.ts";
export type { Terms } from "./terms.ts";
export {
  type BarsOptions,
  type BookOptions,
  connect,
  type ConnectOptions,
  type Counters,
  type PriceOptions,
  type Source,
  Tickcast,
  type TickcastEvents,
} from "./tickcast.ts";
