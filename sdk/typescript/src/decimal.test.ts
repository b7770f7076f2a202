import { expect, test } from "vitest";

import { addDecimals, compareDecimals, formatDecimal, groupDecimal, multiplyDecimals, roundDecimal, signOf, subtractDecimals } from "./decimal.ts";

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

test.each([
  ["0.1", "0.2", "0.3", "-0.1", "0.02"],
  ["185.40", "3", "188.40", "182.40", "556.20"],
  ["-0.5", "0.25", "-0.25", "-0.75", "-0.125"],
  ["99999999999999999999.99", "0.01", "100000000000000000000.00", "99999999999999999999.98", "999999999999999999.9999"],
  ["0", "-0.00", "0.00", "0.00", "0.00"],
])("%s and %s: sum %s, difference %s, product %s", (left, right, sum, difference, product) => {
  expect([addDecimals(left, right), subtractDecimals(left, right), multiplyDecimals(left, right)]).toEqual([sum, difference, product]);
});

test("what is subtracted after it was added leaves the number", () => {
  let seed = 11;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  for (let round = 0; round < 500; round += 1) {
    const text = (): string => `${random() % 2 ? "-" : ""}${random() % 100_000}.${String(random() % 10 ** (random() % 9)).padStart(1, "0")}`;
    const [a, b] = [text(), text()];
    expect(compareDecimals(subtractDecimals(addDecimals(a, b), b), a), `${a} ${b}`).toBe(0);
    expect(compareDecimals(multiplyDecimals(a, b), multiplyDecimals(b, a)), `${a} ${b}`).toBe(0);
  }
});

test.each(["", "1e5", "abc", "1.2.3", "NaN", " 1"])("arithmetic refuses %j", (text) => {
  for (const act of [addDecimals, subtractDecimals, multiplyDecimals]) expect(() => act(text, "1")).toThrow(TypeError);
});

test("decimals are formatted for people", () => {
  expect(formatDecimal("1234567.5", { digitsMin: 2, group: true })).toBe("1,234,567.50");
  expect(formatDecimal("0.123456", { digits: 4 })).toBe("0.1235");
  expect(formatDecimal("7", { digits: 2, digitsMin: 4 })).toBe("7.00");
  expect([formatDecimal("185.40"), formatDecimal("n/a", { digits: 2 })]).toEqual(["185.40", "n/a"]);
});
