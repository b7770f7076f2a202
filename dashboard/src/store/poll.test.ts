import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Poll } from "./poll.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("asks again after the interval, and not once stopped", async () => {
  let asked = 0;
  const poll = new Poll(async () => (asked += 1), 2_000);
  poll.start();
  poll.start();
  await vi.advanceTimersByTimeAsync(4_000);
  expect([asked, poll.state.value]).toEqual([3, { answer: 3, error: null }]);
  poll.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(3);
});

test("a failure is said beside the last answer, and the next answer clears it", async () => {
  const outcomes = [1, new Error("HTTP 503"), 2];
  const poll = new Poll(async () => {
    const outcome = outcomes.shift();
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }, 1_000);
  poll.start();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(poll.state.value).toEqual({ answer: 1, error: "HTTP 503" });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(poll.state.value).toEqual({ answer: 2, error: null });
  poll.stop();
});

test("another question is asked at once, but not while stopped", async () => {
  const asked: string[] = [];
  let question = "all";
  const poll = new Poll(async () => {
    asked.push(question);
    return question;
  }, 1_000);
  poll.again();
  expect(asked).toEqual([]);
  poll.start();
  await vi.advanceTimersByTimeAsync(10);
  question = "XNAS";
  poll.again();
  await vi.advanceTimersByTimeAsync(10);
  expect([asked, poll.state.value.answer]).toEqual([["all", "XNAS"], "XNAS"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked.length).toBe(3);
  poll.stop();
});

test("an answer that comes after the stop is dropped", async () => {
  let answer: (value: number) => void = () => undefined;
  const poll = new Poll(() => new Promise<number>((resolve) => (answer = resolve)), 1_000);
  poll.start();
  poll.stop();
  answer(7);
  await vi.advanceTimersByTimeAsync(10);
  expect(poll.state.value.answer).toBeNull();
});
