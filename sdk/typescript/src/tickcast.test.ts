import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FakeServer } from "./testing/fakeServer.ts";
import { addressOf, connect, type ConnectOptions, type Tickcast } from "./tickcast.ts";

let open: Tickcast[] = [];
beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => {
  for (const market of open) market.close();
  open = [];
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function connected(options: ConnectOptions = {}) {
  const server = new FakeServer();
  server.instruments.set("AAPL", { epoch: 7, seq: 912, price: "185.40" });
  server.instruments.set("MSFT", { epoch: 7, seq: 100, price: "421.07" });
  const market = connect("http://test:8000/", { createSocket: server.createSocket, backoff: { baseMs: 100, capMs: 100 }, ...options });
  open.push(market);
  await vi.advanceTimersByTimeAsync(0);
  return { server, market };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

test("everything watched before the connection opens is asked for as it does, each on its terms", async () => {
  const { server, market } = await connected();
  market.prices(["AAPL"], { rate: 5, fields: ["price"] });
  market.books("AAPL", { depth: 50 });
  market.bars("AAPL", { interval: "1m" });
  server.last.accept();
  await market.live();
  expect(server.last.url).toBe("ws://test:8000/stream?numbers=string&batch=1");
  expect(server.requests("subscribe").map(({ id: _, ...rest }) => rest)).toEqual([
    { action: "subscribe", channel: "price", rate: 5, fields: ["price"], symbols: ["AAPL"] },
    { action: "subscribe", channel: "book", rate: 20, depth: 50, symbols: ["AAPL"] },
    { action: "subscribe", channel: "bars", interval: "1m", rate: 1, symbols: ["AAPL"] },
  ]);
});

test("subscriptions to one symbol share what is sent, and the last to go ends it", async () => {
  const { server, market } = await connected();
  server.last.accept();
  const slow = market.prices("AAPL", { rate: 1, fields: ["price"] });
  await settle();
  const quick = market.prices("AAPL", { rate: 10, fields: ["bid"] });
  await settle();
  expect(server.requests("subscribe").at(-1)).toMatchObject({ rate: 10, fields: ["bid", "price"] });
  quick.close();
  await settle();
  expect(server.requests("subscribe").at(-1)).toMatchObject({ rate: 1, fields: ["price"] });
  expect(server.requests("unsubscribe")).toEqual([]);
  slow.close();
  await settle();
  expect(server.requests("unsubscribe")).toMatchObject([{ symbols: ["AAPL"], channel: "price" }]);
});

test("one who goes while another comes in the same moment costs nothing, and what is known stays", async () => {
  const { server, market } = await connected();
  server.last.accept();
  const first = market.prices("AAPL");
  await settle();
  const asked = server.last.requests.length;
  first.close();
  const seen: unknown[] = [];
  market.prices("AAPL").on((tick) => seen.push(tick.price));
  await settle();
  expect([server.last.requests.length, seen]).toEqual([asked, ["185.40"]]);
});

test("ticks are whole and never changed; a lost connection makes them stale, and its return live", async () => {
  const { server, market } = await connected();
  server.last.accept();
  const seen: [string | null | undefined, string, number][] = [];
  const ticks: object[] = [];
  market.prices("AAPL").on((tick) => {
    seen.push([tick.price, tick.state, tick.merged]);
    ticks.push(Object.freeze(tick));
  });
  await settle();
  server.last.say({ type: "update", symbol: "AAPL", bid: "185.39", seq: 915 });
  expect(market.tick("AAPL")).toMatchObject({ price: "185.40", bid: "185.39", epoch: 7, seq: 915 });
  server.last.end(1006);
  expect(market.tick("AAPL")).toMatchObject({ state: "stale", reason: "connection lost", price: "185.40" });
  await vi.advanceTimersByTimeAsync(100);
  server.instruments.set("AAPL", { epoch: 7, seq: 915, price: "185.40" });
  server.last.accept();
  expect(seen.slice(-4)).toEqual([["185.40", "live", 2], ["185.40", "stale", 0], ["185.40", "stale", 0], ["185.40", "live", 0]]);
  expect(new Set(ticks).size).toBe(ticks.length);
  expect(market.counters).toMatchObject({ connections: 2, delivered: 1, merged: 2, lost: 0 });
});

test("a token is told in the first message and asked for again before each attempt; it is in no address", async () => {
  let made = 0;
  const { server, market } = await connected({ token: () => `secret-${(made += 1)}` });
  market.prices("AAPL");
  server.last.accept();
  expect(server.last.requests[0]).toMatchObject({ action: "auth", token: "secret-1" });
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(100);
  server.last.accept();
  expect(server.last.requests[0]).toMatchObject({ action: "auth", token: "secret-2" });
  expect(server.sockets.some((socket) => socket.url.includes("secret"))).toBe(false);
});

test("a ticket is part of the address, another one each time; a callback that fails is tried again", async () => {
  const tickets = ["one", new Error("no ticket today"), "two"];
  const { server } = await connected({
    ticket: async () => {
      const next = tickets.shift();
      if (next instanceof Error) throw next;
      return next ?? "";
    },
  });
  expect(new URL(server.last.url).searchParams.get("ticket")).toBe("one");
  server.last.accept();
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(100);
  expect(server.sockets).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(100);
  expect(new URL(server.last.url).searchParams.get("ticket")).toBe("two");
});

test("a token that comes after the end is of no use", async () => {
  let give: (token: string) => void = () => undefined;
  const { server, market } = await connected({ token: () => new Promise<string>((resolve) => (give = resolve)) });
  market.close();
  give("late");
  await settle();
  expect(server.sockets).toEqual([]);
});

test("a newer token is shown on the connection before the old one is over", async () => {
  let made = 0;
  const { server } = await connected({ token: () => `token-${(made += 1)}` });
  server.answers = false;
  server.last.accept();
  const until = new Date(Date.now() + 100_000).toISOString();
  const access = { subject: "me", symbols: ["*"], channels: ["price"], depth: 10, rate: 0, delay_s: 0 } as const;
  server.last.say({ type: "authenticated", id: server.last.requests[0]?.id ?? 0, until, ...access });
  for (let part = 0; part < 8; part += 1) {
    server.last.say({ type: "hb" });
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(server.requests("auth").map((one) => one["token"])).toEqual(["token-1", "token-2"]);
});

test.each([
  [{ code: 1006, reason: "", status: 403 }, "stopped"],
  [{ code: 1006, reason: "", status: 429, retryAfterMs: 7_000 }, "offline"],
  [{ code: 1006, reason: "", status: 503 }, "offline"],
  [{ code: 4801, reason: "who are you" }, "stopped"],
  [{ code: 1009, reason: "" }, "stopped"],
  [{ code: 4702, reason: "drain" }, "offline"],
] as const)("%o leaves it %s", async (told, phase) => {
  const { server, market } = await connected();
  const loop = (async () => {
    for await (const _ of market.prices("AAPL")) void _;
    return "ended";
  })().catch((error: unknown) => error);
  server.last.readyState = 3;
  server.last.onclose?.(told);
  expect(market.connection.phase).toBe(phase);
  if (phase === "stopped") {
    expect(await loop).toMatchObject({ name: "ClosedError" });
    await expect(market.live()).rejects.toThrow("does not want a reconnect");
  } else if ("retryAfterMs" in told) expect(market.connection).toMatchObject({ retryAtMs: Date.now() + 7_000 });
});

test("the gateway's counters are compared with our own", async () => {
  const { server, market } = await connected();
  market.prices("AAPL");
  server.last.accept();
  server.last.say({ type: "update", symbol: "AAPL", bid: "1", seq: 914 });
  server.answers = false;
  const same = { epoch: 7, seq: 914, published: 2, delivered: 1, merged: 1, lost: 0 };
  for (const [told, agrees] of [[same, true], [{ ...same, merged: 0, published: 1 }, false]] as const) {
    const synced = market.sync();
    await settle();
    server.last.say({ type: "synced", id: server.last.requests.at(-1)?.id ?? 0, channels: { price: { AAPL: told } } });
    expect(await synced).toMatchObject({ agrees, own: { price: { AAPL: same } } });
  }
  const lost = market.sync();
  await settle();
  server.last.end(1006);
  expect(await lost).toBeNull();
});

test("patterns bring symbols, and take them away again", async () => {
  const { server, market } = await connected();
  server.answers = false;
  server.last.accept();
  const seen: string[] = [];
  const all = market.prices("XNAS:*");
  all.on((tick) => seen.push(`${tick.symbol} ${tick.state}`));
  await settle();
  const symbols = { "XNAS:AAPL": { state: "live", epoch: 7, seq: 1 } } as const;
  server.last.say({ type: "subscribed", id: server.last.requests[0]?.id ?? 0, channel: "price", symbols, patterns: { "XNAS:*": ["XNAS:AAPL"] } });
  server.last.say({ type: "snapshot", symbol: "XNAS:AAPL", price: "1", epoch: 7, seq: 1, state: "live" });
  server.last.say({ type: "subscribed", channel: "price", symbols: { "XNAS:NEW": { state: "empty", epoch: 7, seq: 0 } }, patterns: { "XNAS:*": ["XNAS:NEW"] } });
  expect(new Set(seen)).toEqual(new Set(["XNAS:AAPL live", "XNAS:NEW empty"]));
  all.close();
  await settle();
  expect(server.requests("unsubscribe")).toMatchObject([{ symbols: ["XNAS:*"] }]);
  expect(market.records.quote("XNAS:AAPL")).toBeUndefined();
});

test.each([
  ["http://host:8000", "ws://host:8000/stream"],
  ["https://host/prices/", "wss://host/prices/stream"],
  ["ws://host:1/stream", "ws://host:1/stream"],
  ["wss://host", "wss://host/stream"],
])("%s is dialled as %s", (url, address) => {
  expect(addressOf(url)).toBe(address);
});

test("what is no address, or no name, is refused at once", async () => {
  expect(() => addressOf("ftp://host")).toThrow("http, https, ws or wss");
  const { market } = await connected();
  for (const symbols of ["", ["AAPL", ""], "*"]) expect(() => market.prices(symbols)).toThrow(TypeError);
});

test("what is late says so, on every tick and of the connection, and stays so over a break", async () => {
  const { server, market } = await connected();
  server.delayS = 900;
  const told: number[] = [];
  market.on("delay", (delayS) => told.push(delayS));
  market.on("instance", () => undefined); // the answer to it says nothing of a delay
  const states: string[] = [];
  market.prices("AAPL").on((tick) => states.push(tick.state));
  expect(market.delayS).toBe(0);
  server.last.accept();
  await market.live();
  await settle();
  expect([market.delayS, told, market.tick("AAPL").state, market.tick("AAPL").price]).toEqual([900, [900], "delayed", "185.40"]);
  server.last.say({ type: "status", symbol: "AAPL", state: "halted" });
  expect([market.tick("AAPL").state, market.delayS]).toEqual(["halted", 900]);
  server.last.end(1006);
  expect(market.tick("AAPL").state).toBe("stale");
  await vi.advanceTimersByTimeAsync(200);
  server.last.accept();
  await market.live();
  expect([market.tick("AAPL").state, told]).toEqual(["delayed", [900]]);
  expect(states).not.toContain("live");
});
