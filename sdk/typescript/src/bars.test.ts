import { expect, test } from "vitest";

import { Bars, BARS_MAX } from "./bars.ts";
import type { Bar, BarMessage } from "./protocol.ts";

function bar(second: number, close: string, change: Partial<Bar> = {}): Bar {
  const start = new Date(second * 1000).toISOString();
  return { start, open: "1", high: "9", low: "1", close, volume: "10", trades: 2, final: true, ...change };
}

function message(second: number, close: string, change: Partial<BarMessage> = {}): BarMessage {
  return { type: "bar", channel: "bars", symbol: "AAPL", interval: "1s", seq: second, ...bar(second, close), ...change };
}

function watched() {
  const bars = new Bars();
  const series = bars.open("AAPL", "1s");
  const recent = [bar(10, "1"), bar(11, "2")];
  expect(bars.snapshot({ type: "snapshot", channel: "bars", symbol: "AAPL", interval: "1s", bars: recent, epoch: 7, seq: 11 })).toEqual(recent);
  return { bars, series, closes: () => series.bars.map((one) => one.close) };
}

test("the newest values of a bar replace it, a new one follows", () => {
  const { bars, closes } = watched();
  bars.bar(message(11, "2.5"));
  bars.bar(message(12, "3", { final: false }));
  bars.bar(message(12, "3.5"));
  expect(closes()).toEqual(["1", "2.5", "3.5"]);
});

test("a corrected bar is changed where it stands, and counted; a late one finds its place", () => {
  const { bars, series, closes } = watched();
  bars.bar(message(13, "4"));
  bars.bar(message(10, "0.5", { corrected: true, seq: 14 }));
  bars.bar(message(12, "3"));
  expect(closes()).toEqual(["0.5", "2", "3", "4"]);
  expect(series).toMatchObject({ corrections: 1, seq: 14 });
});

test("a bounded number is kept, and nothing of what nobody watches or has no beginning", () => {
  const { bars, closes } = watched();
  for (let second = 12; second < 12 + 2 * BARS_MAX; second += 1) bars.bar(message(second, String(second)));
  expect(closes()).toHaveLength(BARS_MAX);
  expect(closes().at(-1)).toBe(String(11 + 2 * BARS_MAX));
  expect(bars.bar(message(1, "1", { symbol: "MSFT" }))).toBeNull();
  bars.open("AAPL", "1m");
  expect(bars.bar(message(60, "1", { interval: "1m" }))).toBeNull();
});
