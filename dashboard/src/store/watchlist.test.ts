import { expect, test } from "vitest";

import { DEFAULT_SYMBOLS, normaliseSymbol, SYMBOLS_MAX, Watchlist } from "./watchlist.ts";

function memory(initial?: string) {
  const kept = new Map<string, string>(initial === undefined ? [] : [["tickcast.watchlist", initial]]);
  return { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
}

test("the first visit shows the default list", () => {
  expect(new Watchlist(memory()).symbols.value).toEqual(DEFAULT_SYMBOLS);
  expect(new Watchlist(null).symbols.value).toEqual(DEFAULT_SYMBOLS);
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
  expect(new Watchlist(memory(text)).symbols.value).toEqual(DEFAULT_SYMBOLS);
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
  });
  expect(list.add("NEW")).toBe(true);
});

test.each([["btc-usdt", "BTC-USDT"], [" BINANCE:BTC-USDT ", "BINANCE:BTC-USDT"], ["", null], ["X:AAPL", null], ["A A", null]])(
  "%j reads as %j",
  (text, name) => expect(normaliseSymbol(text)).toBe(name),
);
