/**
 * The names on the list, in order. Until the user changes it, it is what the instance suggests; from then on it is the
 * user's own and kept from visit to visit.
 */

import { Signal } from "./signal.ts";

export const SYMBOLS_MAX = 1_000;
const KEY = "tickcast.watchlist";
const NAME = /^(?:[A-Z][A-Z0-9_]{1,19}:)?[A-Z0-9][A-Z0-9._+=*#^$-]{0,63}$/;

/** Upper case, without space around; null if it cannot be a symbol. */
export function normaliseSymbol(text: string): string | null {
  const name = text.trim().toUpperCase();
  return NAME.test(name) ? name : null;
}

type Keeping = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class Watchlist {
  readonly symbols: Signal<readonly string[]>;
  /** True: the user changed it. */
  readonly own: Signal<boolean>;
  #suggested: readonly string[] = [];
  readonly #storage: Keeping | null;

  constructor(storage: Keeping | null) {
    this.#storage = storage;
    const kept = this.#load();
    this.symbols = new Signal(kept ?? []);
    this.own = new Signal(kept !== null);
  }

  /** New ones go to the top, where the eye is. False if it is there already, is no symbol, or the list is full. */
  add(text: string): boolean {
    const name = normaliseSymbol(text);
    const symbols = this.symbols.value;
    if (name === null || symbols.includes(name) || symbols.length >= SYMBOLS_MAX) return false;
    this.#keep([name, ...symbols]);
    return true;
  }

  remove(name: string): void {
    this.#keep(this.symbols.value.filter((symbol) => symbol !== name));
  }

  /** One place up (-1) or down (1). */
  move(name: string, places: -1 | 1): void {
    const symbols = [...this.symbols.value];
    const from = symbols.indexOf(name);
    const to = from + places;
    if (from < 0 || to < 0 || to >= symbols.length) return;
    symbols.splice(from, 1);
    symbols.splice(to, 0, name);
    this.#keep(symbols);
  }

  /** What to show as long as the user has no list of their own. */
  suggest(symbols: readonly string[]): void {
    this.#suggested = symbols.filter((name) => normaliseSymbol(name) === name).slice(0, SYMBOLS_MAX);
    if (!this.own.value && this.#suggested.join() !== this.symbols.value.join()) this.symbols.set(this.#suggested);
  }

  /** Forget the user's own list. */
  reset(): void {
    this.own.set(false);
    this.symbols.set(this.#suggested);
    try {
      this.#storage?.removeItem(KEY);
    } catch {
      // It is shown again at the next visit, nothing else.
    }
  }

  #keep(symbols: readonly string[]): void {
    this.own.set(true);
    this.symbols.set(symbols);
    try {
      this.#storage?.setItem(KEY, JSON.stringify(symbols));
    } catch {
      // A full or forbidden storage costs the memory of this visit, nothing else.
    }
  }

  #load(): readonly string[] | null {
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(KEY) ?? "null");
      if (Array.isArray(kept)) {
        const names = kept.map((name) => (typeof name === "string" ? normaliseSymbol(name) : null));
        return [...new Set(names.filter((name) => name !== null))].slice(0, SYMBOLS_MAX);
      }
    } catch {
      // What cannot be read is as good as nothing.
    }
    return null;
  }
}
