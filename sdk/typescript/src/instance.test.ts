import { expect, test } from "vitest";

import { instanceAfter } from "./instance.ts";
import type { InstanceMessage } from "./protocol.ts";

const SNAPSHOT: InstanceMessage = {
  type: "snapshot",
  channel: "status",
  feeds: [{ name: "xnas", venue: "XNAS", state: "connected", since: null, rate: 10 }, { nonsense: 1 }, 7],
  gaps: [{ id: "a-1", feed: "xnas", venue: "XNAS", ended: null, reason: "3 messages are missing" }],
  delivery: { rung: 1 },
};

test("a snapshot, then what changes", () => {
  let instance = instanceAfter(null, SNAPSHOT);
  expect(instance).toMatchObject({ feeds: [{ name: "xnas", rate: 10 }], gaps: [{ id: "a-1", instruments_count: 0 }], rung: 1 });
  instance = instanceAfter(instance, { type: "feed", channel: "status", feed: { name: "xnas", state: "failed" } });
  expect(instance?.feeds).toMatchObject([{ name: "xnas", venue: "XNAS", state: "failed", rate: 10 }]);
  instance = instanceAfter(instance, { type: "feed", channel: "status", feed: { name: "bats", state: "starting" } });
  expect(instance?.feeds.map((feed) => feed.name)).toEqual(["xnas", "bats"]);
  instance = instanceAfter(instance, { type: "gap", channel: "status", gap: { id: "b-2", feed: "bats", ended: null } });
  expect(instance?.gaps.map((gap) => gap.id)).toEqual(["b-2", "a-1"]);
  instance = instanceAfter(instance, { type: "gap", channel: "status", gap: { id: "a-1", feed: "xnas", ended: "2026-03-29T14:30:01Z" } });
  expect(instance?.gaps.map((gap) => gap.id)).toEqual(["b-2"]);
  instance = instanceAfter(instance, { type: "delivery", channel: "status", delivery: { rung: 3, word: "held" } });
  expect(instance?.rung).toBe(3);
});

test("changes without a snapshot, and what cannot be read, change nothing", () => {
  expect(instanceAfter(null, { type: "delivery", channel: "status", delivery: { rung: 3 } })).toBeNull();
  const instance = instanceAfter(null, SNAPSHOT);
  expect(instanceAfter(instance, { type: "gap", channel: "status" })).toBe(instance);
  expect(instanceAfter(instance, { type: "feed", channel: "status", feed: { name: 3 } })).toBe(instance);
});
