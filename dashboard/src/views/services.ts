/** What the views need of the rest, handed down once; how it is made is the app's affair. */

import { createContext, useContext, useSyncExternalStore } from "react";
import type { FeedStatus, Interval, LedgerEntry, Stream } from "tickcast";

import type { BarsView, BookView, MarketStore, Poll, Row, Signal, TapeView, ThemeStore, Watchlist } from "../store/index.ts";
import type { LatencyReport, SymbolInfo } from "../wire/index.ts";

export interface Services {
  readonly market: MarketStore;
  readonly watchlist: Watchlist;
  readonly theme: ThemeStore;
  readonly feeds: Poll<readonly FeedStatus[]>;
  readonly latency: Poll<LatencyReport>;
  /** What has not ended yet, of all venues. */
  readonly troubles: Poll<readonly LedgerEntry[]>;
  readonly ledger: Poll<readonly LedgerEntry[]>;
  /** Venue whose entries are shown; empty: all. */
  readonly ledgerVenue: Signal<string>;
  /** The time, about twice a second: for ages and countdowns. */
  readonly clock: Signal<number>;
  readonly search: (query: string, signal: AbortSignal) => Promise<readonly SymbolInfo[]>;
  readonly retryNow: () => void;
  /** Begin to watch a symbol for something; call what comes back to end it. */
  readonly watch: (symbol: string, stream: Stream) => () => void;
}

export const ServicesContext = createContext<Services | null>(null);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (!services) throw new Error("expected a ServicesContext around the views, found none");
  return services;
}

export function useSignal<Value>(signal: Signal<Value>): Value {
  return useSyncExternalStore(signal.subscribe, signal.get);
}

export function useRow(symbol: string): Row {
  const { market } = useServices();
  return useSyncExternalStore(
    (listener) => market.subscribe(symbol, listener),
    () => market.row(symbol),
  );
}

export function useTape(symbol: string): TapeView {
  const { market } = useServices();
  return useSyncExternalStore(
    (listener) => market.subscribe(symbol, listener),
    () => market.tape(symbol),
  );
}

export function useBook(symbol: string): BookView {
  const { market } = useServices();
  return useSyncExternalStore(
    (listener) => market.subscribe(symbol, listener),
    () => market.book(symbol),
  );
}

export function useBars(symbol: string, interval: Interval): BarsView {
  const { market } = useServices();
  return useSyncExternalStore(
    (listener) => market.subscribe(symbol, listener),
    () => market.bars(symbol, interval),
  );
}
