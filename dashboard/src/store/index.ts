export { type BarsView, type BookView, type MarketSource, MarketStore, type Row, type Schedule, type ShownState, type TapeView, type Totals } from "./market.ts";
export { Poll, type Polled } from "./poll.ts";
export { Signal } from "./signal.ts";
export { type ThemeChoice, ThemeStore } from "./theme.ts";
export { normaliseSymbol, SYMBOLS_MAX, Watchlist } from "./watchlist.ts";
