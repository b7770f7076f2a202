import { crc32 as reference } from "node:zlib";

import { expect, test } from "vitest";

import { crc32 } from "./crc.ts";

test("the check value of the standard, and nothing at all", () => {
  expect(crc32("123456789")).toBe(0xcbf43926);
  expect(crc32("")).toBe(0);
});

test.each(["185.41:300,185.40:1200,185.43:100", "67123.45000000:0.5", "a".repeat(5_000)])("agrees with zlib: %s", (text) => {
  expect(crc32(text)).toBe(reference(text));
});
