import { expect, test } from "vitest";

import { isPattern, requestFor, Wanted } from "./terms.ts";

test("terms serve all who hold a symbol, and end with the last of them", () => {
  const wanted = new Wanted();
  const slow = { rate: 1, fields: ["price"], depth: 5 };
  const quick = { rate: 10, fields: ["bid", "ask"], depth: 10 };
  const all = { rate: 0, fields: null, depth: 50 };
  wanted.add("price", "AAPL", slow);
  wanted.add("price", "AAPL", quick);
  expect(wanted.terms("price", "AAPL")).toEqual({ rate: 10, fields: ["ask", "bid", "price"], depth: 10 });
  wanted.add("price", "AAPL", all);
  expect(wanted.terms("price", "AAPL")).toEqual({ rate: 0, fields: null, depth: 50 });
  wanted.remove("price", "AAPL", all);
  wanted.remove("price", "AAPL", quick);
  expect(wanted.terms("price", "AAPL")).toEqual(slow);
  wanted.remove("price", "AAPL", slow);
  expect([wanted.terms("price", "AAPL"), wanted.has("price", "AAPL"), wanted.symbols("price")]).toEqual([undefined, false, []]);
});

test("the same object holds once, another with the same terms holds too", () => {
  const wanted = new Wanted();
  const one = { rate: 1, fields: null, depth: 5 };
  const other = { ...one };
  for (const terms of [one, one, other]) wanted.add("book", "AAPL", terms);
  wanted.remove("book", "AAPL", one);
  expect(wanted.has("book", "AAPL")).toBe(true);
  wanted.remove("book", "AAPL", other);
  expect(wanted.has("book", "AAPL")).toBe(false);
});

test("each stream is asked for with what it knows", () => {
  const terms = { rate: 5, fields: ["price"], depth: 50 };
  expect(requestFor("price", terms)).toEqual({ action: "subscribe", channel: "price", rate: 5, fields: ["price"] });
  expect(requestFor("price", { ...terms, fields: null })).toEqual({ action: "subscribe", channel: "price", rate: 5 });
  expect(requestFor("trades", terms)).toEqual({ action: "subscribe", channel: "trades" });
  expect(requestFor("book", terms)).toEqual({ action: "subscribe", channel: "book", rate: 5, depth: 50 });
  expect(requestFor("bars:1m", terms)).toEqual({ action: "subscribe", channel: "bars", interval: "1m", rate: 5 });
});

test.each([["XNAS:*", true], ["class:option", true], ["AAPL", false], ["XNAS:AAPL", false]])("%s is a pattern: %s", (name, is) => {
  expect(isPattern(name)).toBe(is);
});
