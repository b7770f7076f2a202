import { expect, test } from "vitest";

import type { SubscribedMessage } from "./protocol.ts";
import { UnknownSymbols } from "./unknown.ts";

function ack(states: Record<string, string>): SubscribedMessage {
  const symbols = Object.fromEntries(Object.entries(states).map(([symbol, state]) => [symbol, { state }]));
  return { type: "subscribed", channel: "price", symbols } as unknown as SubscribedMessage;
}

const wanted = () => true;

test("waits twice as long each time, up to the cap", () => {
  const unknown = new UnknownSymbols();
  const waits = Array.from({ length: 7 }, () => [...unknown.note(ack({ A: "no_such_symbol" }), "price", wanted).keys()][0]);
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
});

test("asks for those of one wait together and leaves the known ones out", () => {
  const unknown = new UnknownSymbols();
  const waits = unknown.note(ack({ A: "no_such_symbol", B: "live", C: "no_such_symbol" }), "price", wanted);
  expect(waits).toEqual(new Map([[1000, ["A", "C"]]]));
  expect(unknown.still(["A", "B", "C"], "price")).toEqual(["A", "C"]);
  expect(unknown.still(["A"], "trades")).toEqual([]);
});

test("begins anew once a symbol was known, and forgets what nobody wants", () => {
  const unknown = new UnknownSymbols();
  unknown.note(ack({ A: "no_such_symbol" }), "price", wanted);
  unknown.note(ack({ A: "live" }), "price", wanted);
  expect(unknown.note(ack({ A: "no_such_symbol" }), "price", wanted)).toEqual(new Map([[1000, ["A"]]]));
  unknown.forget("A", "price");
  expect(unknown.still(["A"], "price")).toEqual([]);
  expect(unknown.note(ack({ A: "no_such_symbol" }), "price", () => false).size).toBe(0);
});
