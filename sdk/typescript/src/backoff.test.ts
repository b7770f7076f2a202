import { expect, test } from "vitest";

import { backoffMs } from "./backoff.ts";

const OPTIONS = { baseMs: 100, capMs: 5_000 };

test("the wait doubles up to the cap", () => {
  const longest = [0, 1, 2, 3, 10, 5_000].map((attempt) => backoffMs(attempt, () => 1, OPTIONS));
  expect(longest).toEqual([100, 200, 400, 800, 5_000, 5_000]);
});

test("half of the wait is chance", () => {
  expect(backoffMs(2, () => 0, OPTIONS)).toBe(200);
  expect(backoffMs(2, () => 0.5, OPTIONS)).toBe(300);
  const waits = new Set(Array.from({ length: 50 }, () => backoffMs(3, Math.random, OPTIONS)));
  expect(waits.size).toBeGreaterThan(10);
});
