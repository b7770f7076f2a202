import { expect, test } from "vitest";

import { formatAge, formatDuration, formatMs, formatPercent, formatQuantity, formatSigned, formatSpan, formatTime } from "./format.ts";

test.each([[0, "0 s"], [59_999, "59 s"], [60_000, "1 min"], [3_600_000, "1 h"], [172_800_000, "2 d"], [-5, "0 s"]])(
  "%i ms reads %s",
  (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text),
);

test("an age is unknown before the first update", () => {
  expect([formatAge(0, 9_000), formatAge(8_500, 9_000), formatAge(1_000, 9_000)]).toEqual(["–", "< 1 s", "8 s"]);
});

test("a change carries its sign and no zeros that say nothing", () => {
  expect(["0.5", "-0.08000000", "0.00", "0.0125", null].map(formatSigned)).toEqual(["+0.5", "−0.08", "0.00", "+0.0125", "–"]);
});

test("a percentage has two digits and no negative zero", () => {
  expect(["0.1349", "-0.0149", "-0.001", null].map(formatPercent)).toEqual(["+0.13 %", "−0.01 %", "0.00 %", "–"]);
});

test("quantities are grouped, long decimals cut where the whole part is long", () => {
  const texts = ["1250000", "0.00012345", "1234567.891", "12.34567", "50.00000000", "0.500", "100", null];
  expect(texts.map(formatQuantity)).toEqual(["1,250,000", "0.00012345", "1,234,568", "12.346", "50", "0.5", "100", "–"]);
});

test("milliseconds keep about three digits", () => {
  expect([0.314, 17.24, 214.6, null].map(formatMs)).toEqual(["0.31", "17.2", "215", "–"]);
});

test("a span is fine while it is short", () => {
  expect([0.4, 87.3, 1_250, 61_000].map(formatSpan)).toEqual(["0 ms", "87 ms", "1.3 s", "1 min"]);
  expect(formatSpan(Number.NaN)).toBe("–");
});

test("what is no time is unknown", () => {
  expect(formatTime("soon")).toBe("–");
  expect(formatTime("2026-03-29T14:30:01.234Z")).toMatch(/^\d\d:\d\d:01\.234$/);
});
