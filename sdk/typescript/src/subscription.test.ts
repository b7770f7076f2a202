import { expect, test } from "vitest";

import { type Lost, TICKS_WAIT, type Tick, tickOf, type Trade, TRADES_WAIT } from "./events.ts";
import { ClosedError, Subscription } from "./subscription.ts";

function tick(symbol: string, seq: number, merged = 0): Tick {
  return { ...tickOf(symbol, undefined), seq, merged, state: "live" };
}

function trade(seq: number, symbol = "A"): Trade {
  return { type: "trade", symbol, seq, id: String(seq), price: "1", size: "1", side: null, timestamp: "" };
}

async function collect<Event>(subscription: Subscription<Event>): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of subscription) events.push(event);
  return events;
}

test("what a slow reader did not read is merged by symbol, and counted", async () => {
  const ticks = new Subscription(TICKS_WAIT, () => undefined);
  for (const [symbol, seq, merged] of [["A", 1, 0], ["B", 1, 0], ["A", 2, 4], ["A", 3, 0]] as const) ticks.push(tick(symbol, seq, merged));
  const reader = ticks[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ symbol: "A", seq: 3, merged: 6 });
  expect((await reader.next()).value).toMatchObject({ symbol: "B", seq: 1 });
  ticks.close();
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

test("trades that nobody reads go in bounds, and are said before those that are left", async () => {
  const trades = new Subscription<Trade | Lost>({ ...TRADES_WAIT, max: 20 }, () => undefined);
  for (let seq = 1; seq <= 30; seq += 1) trades.push(trade(seq, seq % 2 ? "A" : "B"));
  const reader = trades[Symbol.asyncIterator]();
  const first = [(await reader.next()).value, (await reader.next()).value];
  expect(first).toEqual(["A", "B"].map((symbol) => ({ type: "lost", symbol, count: 5, reason: "not read in time" })));
  expect((await reader.next()).value).toMatchObject({ type: "trade", seq: 11 });
  expect(trades.dropped).toBe(10);
});

test("a loop waits for what comes, ends with the subscription and closes it when it is left", async () => {
  let closed = 0;
  const ticks = new Subscription(TICKS_WAIT, () => (closed += 1));
  const all = collect(ticks);
  ticks.push(tick("A", 1));
  await Promise.resolve();
  await Promise.resolve();
  ticks.push(tick("A", 2));
  await new Promise((resolve) => setTimeout(resolve, 0));
  ticks.close();
  expect((await all).map((one) => one.seq)).toEqual([1, 2]);
  const other = new Subscription(TICKS_WAIT, () => (closed += 1));
  other.push(tick("A", 1));
  for await (const one of other) if (one.seq === 1) break;
  expect(closed).toBe(2);
  ticks.close();
  expect(closed).toBe(2);
});

test("callbacks are told at once, also of what came before the first of them, and nothing is kept for nobody", async () => {
  const ticks = new Subscription(TICKS_WAIT, () => undefined);
  ticks.push(tick("A", 1));
  const seen: number[] = [];
  const end = ticks.on((one) => seen.push(one.seq));
  ticks.push(tick("A", 2));
  end();
  ticks.push(tick("A", 3));
  expect(seen).toEqual([1, 2]);
  const reader = ticks[Symbol.asyncIterator]();
  ticks.push(tick("A", 4));
  expect((await reader.next()).value).toMatchObject({ seq: 4 });
});

test("a gateway that does not want us back ends the loop with an error, after what came", async () => {
  const ticks = new Subscription(TICKS_WAIT, () => undefined);
  ticks.push(tick("A", 1));
  ticks.fail(new ClosedError(4801, "the token is over"));
  const reader = ticks[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ seq: 1 });
  await expect(reader.next()).rejects.toMatchObject({ name: "ClosedError", code: 4801 });
  await expect(reader.next()).rejects.toThrow("the token is over");
});

test("a second loop over one subscription is refused: it would get every other event", () => {
  const ticks = new Subscription(TICKS_WAIT, () => undefined);
  ticks[Symbol.asyncIterator]();
  expect(() => ticks[Symbol.asyncIterator]()).toThrow("subscribe again");
});
