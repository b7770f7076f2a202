/**
 * Hooks for React: what components show is asked for once, however many of them show it, and no longer than they do.
 *
 * Components hear of changes at most once per animation frame, so a thousand updates a second cost sixty renders at most,
 * and none while the page is hidden.
 */

import { createContext, createElement, type ReactNode, useContext, useMemo, useSyncExternalStore } from "react";

import type { Connection } from "./contract.ts";
import type { BookView, Tick } from "./events.ts";
import type { Subscription } from "./subscription.ts";
import { isPattern } from "./terms.ts";
import type { BookOptions, PriceOptions, Tickcast } from "./tickcast.ts";

const Context = createContext<Tickcast | null>(null);

/** Gives a connection to all components below. */
export function TickcastProvider({ client, children }: { readonly client: Tickcast; readonly children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** The connection itself. */
export function useTickcast(): Tickcast {
  const client = useContext(Context);
  if (!client) throw new Error("expected a TickcastProvider around the component, found none");
  return client;
}

/** Where the connection stands. */
export function useConnection(): Connection {
  const client = useTickcast();
  return useSyncExternalStore(
    useMemo(() => (listener: () => void) => client.on("connection", listener), [client]),
    () => client.connection,
    () => client.connection,
  );
}

/** How late everything is that is shown, in seconds; 0 = it is not. */
export function useDelay(): number {
  const client = useTickcast();
  return useSyncExternalStore(
    useMemo(() => (listener: () => void) => client.on("delay", listener), [client]),
    () => client.delayS,
    () => client.delayS,
  );
}

/**
 * The newest state of each symbol, by its name; one that nothing is known of yet is `syncing`. A tick is another object
 * if and only if something about its symbol changed.
 */
export function useTicks(symbols: readonly string[], { rate, fields }: PriceOptions = {}): Readonly<Record<string, Tick>> {
  const client = useTickcast();
  const key = JSON.stringify([symbols, rate ?? null, fields ?? null]);
  const store = useMemo(() => {
    const [names, asked, only] = JSON.parse(key) as [string[], number | null, PriceOptions["fields"] | null];
    const options = { ...(asked === null ? {} : { rate: asked }), ...(only ? { fields: only } : {}) };
    return new Store<Tick, Record<string, Tick>>(
      Object.fromEntries(names.filter((name) => !isPattern(name)).map((name) => [name, client.tick(name)])),
      (before, changed) => ({ ...before, ...Object.fromEntries(changed) }),
      () => client.prices(names, options),
    );
  }, [client, key]);
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}

/** The newest state of one symbol. */
export function useTick(symbol: string, options: PriceOptions = {}): Tick {
  const ticks = useTicks([symbol], options);
  return ticks[symbol] as Tick;
}

/** The best levels of a book, whole and checked, or `isWhole` false. */
export function useBook(symbol: string, { rate, depth }: BookOptions = {}): BookView {
  const client = useTickcast();
  const store = useMemo(() => {
    const options = { ...(rate === undefined ? {} : { rate }), ...(depth === undefined ? {} : { depth }) };
    return new Store<BookView, BookView>(
      client.book(symbol),
      (before, changed) => changed.get(symbol) ?? before,
      () => client.books(symbol, options),
    );
  }, [client, symbol, rate, depth]);
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}

/** What `useSyncExternalStore` wants: subscribes with its first listener, and ends with its last. */
class Store<Item extends { readonly symbol: string }, Value> {
  readonly #subscribe: () => Subscription<Item>;
  readonly #take: (before: Value, changed: ReadonlyMap<string, Item>) => Value;
  readonly #listeners = new Set<() => void>();
  readonly #changed = new Map<string, Item>();
  #value: Value;
  #subscription: Subscription<Item> | null = null;

  constructor(value: Value, take: (before: Value, changed: ReadonlyMap<string, Item>) => Value, subscribe: () => Subscription<Item>) {
    this.#value = value;
    this.#take = take;
    this.#subscribe = subscribe;
  }

  readonly get = (): Value => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (!this.#subscription) {
      this.#subscription = this.#subscribe();
      this.#subscription.on((item) => this.#told(item));
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#subscription?.close();
      this.#subscription = null;
    };
  };

  /** The newest of each symbol, however long the frame takes to come. */
  #told(item: Item): void {
    if (this.#changed.size === 0) inFrame(() => this.#commit());
    this.#changed.set(item.symbol, item);
  }

  #commit(): void {
    this.#value = this.#take(this.#value, this.#changed);
    this.#changed.clear();
    for (const listener of [...this.#listeners]) listener();
  }
}

/** With the next frame; where there are none (tests, servers), at once after what is running. */
function inFrame(act: () => void): void {
  if (typeof requestAnimationFrame === "function") requestAnimationFrame(act);
  else queueMicrotask(act);
}
