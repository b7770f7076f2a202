import { expect, test } from "vitest";

import { Counts } from "./counts.ts";
import type { ServerMessage, Stream } from "./protocol.ts";

function counting(stream: Stream, { epoch = 7, seq = 100 } = {}) {
  const counts = new Counts();
  counts.acknowledged(stream, "A", { state: "live", epoch, seq }, undefined, false);
  const hear = (message: object): number => counts.take({ symbol: "A", ...message } as ServerMessage, stream);
  return { counts, hear, now: () => counts.of(stream, "A") };
}

test("a jump of seq is one delivered and the rest merged", () => {
  const { hear, now, counts } = counting("price");
  hear({ type: "snapshot", epoch: 7, seq: 100 });
  expect(now()).toMatchObject({ published: 0, delivered: 0 });
  expect([hear({ type: "update", seq: 101 }), hear({ type: "update", seq: 105 })]).toEqual([0, 3]);
  expect(now()).toEqual({ epoch: 7, seq: 105, published: 5, delivered: 2, merged: 3, lost: 0 });
  expect(counts.totals).toEqual({ delivered: 2, merged: 3, lost: 0 });
});

test("what is not beyond the highest seq counts nothing", () => {
  const { hear, now } = counting("book");
  hear({ type: "update", seq: 110 });
  hear({ type: "snapshot", epoch: 7, seq: 104 });
  hear({ type: "update", seq: 111 });
  expect(now()).toMatchObject({ published: 11, delivered: 2, merged: 9 });
});

test("another epoch begins anew", () => {
  const { hear, now } = counting("price");
  hear({ type: "update", seq: 103 });
  hear({ type: "snapshot", epoch: 9, seq: 4 });
  expect(now()).toEqual({ epoch: 9, seq: 4, published: 4, delivered: 1, merged: 3, lost: 0 });
});

test("trades that are missing are lost, those of a resume are not counted", () => {
  const { counts, hear, now } = counting("trades");
  hear({ type: "trade", seq: 101 });
  hear({ type: "lost", seq: 104, count: 3, epoch: 7 });
  expect(now()).toMatchObject({ published: 4, delivered: 1, lost: 3 });
  counts.disconnected();
  counts.acknowledged("trades", "A", { state: "live", epoch: 7, seq: 110 }, undefined, true);
  for (const seq of [105, 106, 110]) hear({ type: "trade", seq });
  expect(now()).toMatchObject({ published: 0, seq: 110 });
  hear({ type: "trade", seq: 111 });
  expect(now()).toMatchObject({ published: 1, delivered: 1 });
});

test("a change of terms goes on counting, another depth does not", () => {
  const { counts, hear, now } = counting("book");
  hear({ type: "update", seq: 101 });
  counts.acknowledged("book", "A", { state: "live", epoch: 7, seq: 101 }, undefined, false);
  expect(now()).toMatchObject({ published: 1 });
  counts.acknowledged("book", "A", { state: "live", epoch: 7, seq: 101 }, 50, false);
  expect(now()).toMatchObject({ published: 0 });
});

test("a resume that was not recovered stands where the gateway does", () => {
  const { counts, hear, now } = counting("trades");
  counts.disconnected();
  counts.acknowledged("trades", "A", { state: "live", epoch: 9, seq: 50 }, undefined, true);
  counts.resumed("trades", "A", { recovered: false, reason: "epoch_changed", epoch: 9, seq: 50 });
  hear({ type: "trade", seq: 51 });
  expect(now()).toEqual({ epoch: 9, seq: 51, published: 1, delivered: 1, merged: 0, lost: 0 });
});
