import { expect, test } from "vitest";

import { compareDecimals, groupDecimal, roundDecimal, signOf } from "./decimal.ts";

test.each([
  ["185.40", "185.4", 0],
  ["9.99", "10", -1],
  ["-0.5", "-0.25", -1],
  ["0.000000000000000000000000000001", "0", 1],
  ["123456789012345678.91", "123456789012345678.90", 1],
  ["abc", "1", 0],
])("%s against %s is %i", (left, right, order) => {
  expect(compareDecimals(left, right)).toBe(order);
  expect(compareDecimals(right, left)).toBe(order === 0 ? 0 : -order);
});

test.each([
  ["0.125", 2, "0.13"],
  ["-0.125", 2, "-0.13"],
  ["-0.001", 2, "0.00"],
  ["9.999", 2, "10.00"],
  ["1.5", 0, "2"],
  ["7", 2, "7"],
  ["0.5", 2, "0.5"],
  ["n/a", 2, "n/a"],
])("%s to %i digits is %s", (text, digits, rounded) => {
  expect(roundDecimal(text, digits)).toBe(rounded);
});

test("rounding agrees with floats where floats are exact enough", () => {
  for (let value = -500; value <= 500; value += 7) {
    const text = (value / 16).toFixed(6);
    const expected = Math.sign(value) * (Math.floor((Math.abs(value) / 16) * 10 + 0.5) / 10);
    expect(Number(roundDecimal(text, 1))).toBeCloseTo(expected, 9);
  }
});

test("groups thousands before the point only", () => {
  expect(["1234567.12345", "-1000", "999", "x"].map(groupDecimal)).toEqual(["1,234,567.12345", "-1,000", "999", "x"]);
});

test("the sign of a decimal", () => {
  expect(["0.00", "-0.01", "3", null].map(signOf)).toEqual([0, -1, 1, 0]);
});
