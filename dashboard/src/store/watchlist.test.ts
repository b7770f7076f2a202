import { expect, test } from "vitest";

import { normaliseSymbol, SYMBOLS_MAX, Watchlist } from "./watchlist.ts";

function memory(initial?: string) {
  const kept = new Map<string, string>(initial === undefined ? [] : [["tickcast.watchlist", initial]]);
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}

test("without a list of the user's own it follows what the instance suggests", () => {
  const list = new Watchlist(memory());
  expect([list.symbols.value, list.own.value]).toEqual([[], false]);
  list.suggest(["BTC-USDT", "not a symbol", "OKX:BTC-USDT"]);
  list.suggest(["BTC-USD", "OKX:BTC-USDT"]);
  expect(list.symbols.value).toEqual(["BTC-USD", "OKX:BTC-USDT"]);
  list.remove("BTC-USD");
  list.suggest(["ETH-USDT"]);
  expect([list.symbols.value, list.own.value]).toEqual([["OKX:BTC-USDT"], true]);
});

test("a suggestion that says the same again tells nobody", () => {
  const list = new Watchlist(null);
  let told = 0;
  list.symbols.subscribe(() => (told += 1));
  list.suggest(["BTC-USD"]);
  list.suggest(["BTC-USD"]);
  expect(told).toBe(1);
});

test("the user's own list can be given up, also for the next visit", () => {
  const storage = memory('["AAPL"]');
  const list = new Watchlist(storage);
  list.suggest(["BTC-USD"]);
  expect(list.symbols.value).toEqual(["AAPL"]);
  list.reset();
  expect([list.symbols.value, list.own.value]).toEqual([["BTC-USD"], false]);
  expect(new Watchlist(storage).own.value).toBe(false);
});

test("the list is kept from visit to visit", () => {
  const storage = memory('["AAPL"]');
  const list = new Watchlist(storage);
  expect(list.add(" xnas:msft ")).toBe(true);
  list.move("AAPL", -1);
  expect(new Watchlist(storage).symbols.value).toEqual(["AAPL", "XNAS:MSFT"]);
  list.remove("AAPL");
  expect(new Watchlist(storage).symbols.value).toEqual(["XNAS:MSFT"]);
});

test("an empty list stays empty", () => {
  expect(new Watchlist(memory("[]")).symbols.value).toEqual([]);
});

test.each(["{", "7", '"AAPL"', "null"])("a damaged memory %s is as good as none", (text) => {
  expect(new Watchlist(memory(text)).own.value).toBe(false);
});

test("names that are none are left out of a kept list", () => {
  expect(new Watchlist(memory('["AAPL", 7, "a b", "AAPL", "<x>"]')).symbols.value).toEqual(["AAPL"]);
});

test("what is there already, is no symbol or does not fit is not added", () => {
  const list = new Watchlist(memory(JSON.stringify(Array.from({ length: SYMBOLS_MAX - 1 }, (_, index) => `S${index}`))));
  expect([list.add("S1"), list.add("a b"), list.add("NEW"), list.add("ONE-MORE")]).toEqual([false, false, true, false]);
  expect(list.symbols.value[0]).toBe("NEW");
});

test("a storage that throws costs nothing but the memory", () => {
  const list = new Watchlist({
    getItem: () => null,
    setItem: () => {
      throw new Error("quota");
    },
    removeItem: () => {
      throw new Error("forbidden");
    },
  });
  expect(list.add("NEW")).toBe(true);
  list.reset();
  expect(list.symbols.value).toEqual([]);
});

test.each([["btc-usdt", "BTC-USDT"], [" BINANCE:BTC-USDT ", "BINANCE:BTC-USDT"], ["", null], ["X:AAPL", null], ["A A", null]])(
  "%j reads as %j",
  (text, name) => expect(normaliseSymbol(text)).toBe(name),
);
