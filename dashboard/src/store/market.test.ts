import { expect, test } from "vitest";

import { Ledger, nothingApplied, type ServerMessage } from "tickcast";

import { MarketStore } from "./market.ts";

function market() {
  const ledger = new Ledger();
  const frames: (() => void)[] = [];
  const store = new MarketStore(ledger, (commit) => frames.push(commit));
  store.setConnection({ phase: "live", sinceMs: 0 });
  const hear = (...messages: readonly ServerMessage[]): void => {
    const applied = nothingApplied();
    for (const message of messages) ledger.apply(message, 1_000, applied);
    store.applied(applied);
  };
  const frame = (): void => {
    for (const commit of frames.splice(0)) commit();
  };
  for (const symbol of ["AAPL", "MSFT"]) {
    hear({ type: "subscribed", channel: "price", symbols: { [symbol]: { state: "live", epoch: 1, seq: 1 } } });
    hear({ type: "snapshot", symbol, price: "10.00", state: "live", epoch: 1, seq: 1 });
  }
  frame();
  return { store, hear, frame, frames };
}

let seq = 1;
const update = (symbol: string, price: string): ServerMessage => ({ type: "update", symbol, price, seq: (seq += 1) });

function listen(store: MarketStore, symbol: string): { calls: number } {
  const count = { calls: 0 };
  store.subscribe(symbol, () => (count.calls += 1));
  return count;
}

test("many changes in one frame are one commit and one call for each row", () => {
  const { store, hear, frame, frames } = market();
  const aapl = listen(store, "AAPL");
  const msft = listen(store, "MSFT");
  const before = store.commits;
  for (let step = 0; step < 100; step += 1) hear(update("AAPL", `10.${10 + (step % 80)}`));
  expect([aapl.calls, frames.length]).toEqual([0, 1]);
  frame();
  expect([aapl.calls, msft.calls, store.commits - before]).toEqual([1, 0, 1]);
  expect(store.row("AAPL")).toMatchObject({ fields: { price: "10.29" }, received: 100 });
});

test("a row that did not change is the same object", () => {
  const { store, hear, frame } = market();
  const msft = store.row("MSFT");
  hear(update("AAPL", "11.00"));
  frame();
  expect(store.row("MSFT")).toBe(msft);
});

test("rows out of view wait and catch up", () => {
  const { store, hear, frame } = market();
  const aapl = listen(store, "AAPL");
  store.setInView("AAPL", false);
  hear(update("AAPL", "11.00"));
  frame();
  expect([aapl.calls, store.row("AAPL").fields.price]).toEqual([0, "10.00"]);
  store.setInView("AAPL", true);
  frame();
  expect([aapl.calls, store.row("AAPL").fields.price]).toEqual([1, "11.00"]);
});

test("a move has a direction, by the digits and not by a float", () => {
  const { store, hear, frame } = market();
  const directions: unknown[] = [];
  for (const price of ["9.99", "10.000000000000000001", "10.000000000000000002", "10.0000000000000000020"]) {
    hear(update("AAPL", price));
    frame();
    directions.push([store.row("AAPL").direction, store.row("AAPL").moves]);
  }
  expect(directions).toEqual([["down", 1], ["up", 2], ["up", 3], ["up", 3]]);
});

test("without a connection no row claims to be live", () => {
  const { store, frame } = market();
  const aapl = listen(store, "AAPL");
  expect(store.row("AAPL").state).toBe("live");
  store.setConnection({ phase: "offline", reason: "gone", attempt: 1, retryAtMs: 0 });
  frame();
  expect([aapl.calls, store.row("AAPL").state]).toEqual([1, "offline"]);
  store.setConnection({ phase: "live", sinceMs: 0 });
  frame();
  expect(store.row("AAPL").state).toBe("live");
});

test("a quote without a complete picture is syncing, whatever the ack said", () => {
  const { store, hear, frame } = market();
  hear({ type: "subscribed", channel: "price", symbols: { AAPL: { state: "live", epoch: 2, seq: 5 } } });
  frame();
  expect(store.row("AAPL").state).toBe("syncing");
});

test("an unknown symbol is shown as such", () => {
  const { store, hear, frame } = market();
  hear({ type: "subscribed", channel: "price", symbols: { XXXX: { state: "no_such_symbol" } } });
  frame();
  expect(store.row("XXXX").state).toBe("no_such_symbol");
});

test("figures per second", () => {
  const { store, hear } = market();
  store.measure(1_000);
  const before = store.totals.value;
  for (let step = 0; step < 50; step += 1) hear(update("AAPL", "1"));
  store.measure(1_500);
  expect(store.totals.value.received - before.received).toBeGreaterThanOrEqual(50);
  expect(store.totals.value.receivedPerSecond).toBeGreaterThanOrEqual(100);
});

test("a hidden page, which has no frames, keeps one commit waiting and no more", () => {
  const { hear, frames } = market();
  for (let step = 0; step < 1_000; step += 1) hear(update(step % 2 ? "AAPL" : "MSFT", `${step}`));
  expect(frames).toHaveLength(1);
});
