import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { TickcastClient } from "./client.ts";
import type { ClientOptions, Connection } from "./contract.ts";
import { FakeServer } from "./testing/fakeServer.ts";
import type { ErrorMessage, ServerMessage } from "./protocol.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

function connected(options: Partial<ClientOptions> = {}) {
  const server = new FakeServer();
  server.instruments.set("AAPL", { epoch: 7, seq: 912, price: "185.40" });
  server.instruments.set("MSFT", { epoch: 7, seq: 100, price: "421.07" });
  const connections: Connection[] = [];
  const errors: ErrorMessage[] = [];
  const client = new TickcastClient(
    { url: "ws://test/stream", createSocket: server.createSocket, random: () => 1, backoff: { baseMs: 250, capMs: 15_000 }, ...options },
    { onApplied: () => undefined, onConnection: (one) => connections.push(one), onError: (one) => errors.push(one) },
  );
  client.watch(["AAPL", "MSFT"]);
  client.start();
  server.last.accept();
  const phases = () => connections.map((one) => one.phase);
  return { server, client, connections, errors, phases };
}

test("asks for strings and batches with the first version of the protocol", () => {
  const { server, client, phases } = connected();
  expect(server.last.url).toBe("ws://test/stream?numbers=string&batch=1");
  expect(server.last.subprotocols).toEqual(["tickcast.json"]);
  expect(server.requests("subscribe")).toMatchObject([{ symbols: ["AAPL", "MSFT"], channel: "price", rate: 20 }]);
  expect(client.quote("AAPL")?.fields.price).toBe("185.40");
  expect(phases()).toEqual(["connecting", "live"]);
});

test("resumes with epoch and seq after a loss", async () => {
  const { server, client, phases } = connected();
  server.last.say({ type: "update", symbol: "AAPL", price: "185.43", seq: 915 });
  server.last.end(1006);
  expect(client.connection).toMatchObject({ phase: "offline", attempt: 1, retryAtMs: 1_000_250 });
  await vi.advanceTimersByTimeAsync(250);
  server.last.accept();
  expect(server.sockets).toHaveLength(2);
  expect(server.requests("subscribe")).toMatchObject([
    { resume: { AAPL: { epoch: 7, seq: 915 }, MSFT: { epoch: 7, seq: 100 } } },
  ]);
  expect(phases()).toEqual(["connecting", "live", "offline", "offline", "resuming", "live"]);
});

test("after a recovered resume nothing is lost and the counters go on", async () => {
  const { server, client } = connected();
  server.last.end(1006);
  server.instruments.set("AAPL", { epoch: 7, seq: 922, price: "186.00" });
  await vi.advanceTimersByTimeAsync(250);
  server.last.accept();
  expect(client.quote("AAPL")).toMatchObject({ complete: true, received: 1, merged: 9, resets: 0, fields: { price: "186.00" } });
});

test("fails closed when the epoch changed while away", async () => {
  const { server, client } = connected();
  server.last.end(4702, "drain");
  server.instruments.set("AAPL", { epoch: 8, seq: 1, price: "200.00" });
  await vi.advanceTimersByTimeAsync(250);
  server.answers = false;
  server.last.accept();
  const id = server.last.requests[0]?.id ?? 0;
  server.last.say({ type: "subscribed", id, channel: "price", symbols: { AAPL: { state: "live", epoch: 8, seq: 1 } } });
  server.last.say({ type: "update", symbol: "AAPL", price: "0.01", seq: 913 });
  expect(client.quote("AAPL")).toMatchObject({ complete: false, resets: 1, fields: { price: "185.40" } });
  server.last.say({ type: "resumed", id, symbols: { AAPL: { recovered: false, reason: "epoch_changed" } } });
  expect(client.quote("AAPL")).toMatchObject({ complete: false });
  server.last.say(server.snapshot("AAPL"));
  expect(client.quote("AAPL")).toMatchObject({ complete: true, epoch: 8, merged: 0, fields: { price: "200.00" } });
});

test("is live again only when the server has answered every subscription", async () => {
  const { server, client } = connected();
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(250);
  server.answers = false;
  server.last.accept();
  const id = server.last.requests[0]?.id ?? 0;
  server.last.say({ type: "subscribed", id, channel: "price", symbols: {} });
  expect(client.connection.phase).toBe("resuming");
  server.last.say({ type: "resumed", id, symbols: {} });
  expect(client.connection.phase).toBe("live");
});

test("waits longer from attempt to attempt, and short again after a stable connection", async () => {
  const { server, client } = connected({ backoff: { baseMs: 100, capMs: 400 } });
  const waits: number[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    server.last.end(1006);
    const connection = client.connection;
    if (connection.phase !== "offline" || connection.retryAtMs === null) throw new Error(connection.phase);
    waits.push(connection.retryAtMs - Date.now());
    await vi.advanceTimersByTimeAsync(waits.at(-1) ?? 0);
  }
  expect(waits).toEqual([100, 200, 400, 400]);
  server.last.accept();
  await vi.advanceTimersByTimeAsync(6_000);
  server.last.end(1006);
  expect(client.connection).toMatchObject({ phase: "offline", attempt: 1, retryAtMs: Date.now() + 100 });
});

test("47xx comes back, 48xx does not until asked", async () => {
  const { server, client } = connected();
  server.last.end(4701, "slow");
  expect(client.connection).toMatchObject({ phase: "offline", reason: "slow (4701)" });
  await vi.advanceTimersByTimeAsync(250);
  server.last.accept();
  server.last.end(4801, "token expired");
  expect(client.connection).toEqual({ phase: "stopped", code: 4801, reason: "token expired" });
  await vi.advanceTimersByTimeAsync(120_000);
  expect(server.sockets).toHaveLength(2);
  client.retryNow();
  expect(server.sockets).toHaveLength(3);
});

test("silence beyond the heartbeat is a loss, a heartbeat is not silence", async () => {
  const { server, client } = connected({ silenceMs: 25_000 });
  await vi.advanceTimersByTimeAsync(20_000);
  server.last.say({ type: "hb" });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(client.connection.phase).toBe("live");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(client.connection).toMatchObject({ phase: "offline", reason: "nothing heard for 25 s" });
  expect(server.last.closedByClient?.code).toBe(4001);
});

test("a server that never answers the handshake is given up", async () => {
  const server = new FakeServer();
  const client = new TickcastClient(
    { url: "ws://test/stream", createSocket: server.createSocket, random: () => 1, backoff: { baseMs: 250, capMs: 15_000 }, connectTimeoutMs: 10_000 },
    { onApplied: () => undefined, onConnection: () => undefined },
  );
  client.start();
  await vi.advanceTimersByTimeAsync(10_250);
  expect(server.sockets).toHaveLength(2);
  client.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("what cannot be read ends the connection rather than the truth", () => {
  for (const text of ["{", "[1]", '{"no":"type"}', new ArrayBuffer(1)]) {
    const { server, client } = connected();
    server.last.sayText(text);
    expect(client.connection).toMatchObject({ phase: "offline" });
    expect(server.last.closedByClient?.code).toBe(4000);
  }
});

test("a hidden page says so, also on a new connection", async () => {
  const { server, client } = connected();
  client.setHidden(true);
  expect(server.requests("visibility")).toMatchObject([{ hidden: true }]);
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(250);
  server.last.accept();
  expect(server.last.requests[0]).toMatchObject({ action: "visibility", hidden: true });
  client.setHidden(false);
  expect(server.requests("visibility")).toMatchObject([{ hidden: true }, { hidden: false }]);
});

test("additions of one moment go out in one request, removals are forgotten", async () => {
  const { server, client } = connected();
  server.instruments.set("NVDA", { epoch: 7, seq: 1, price: "9" });
  client.watch(["NVDA"]);
  client.watch(["XXXX", "NVDA"]);
  client.unwatch(["MSFT"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(server.requests("subscribe").slice(1)).toMatchObject([{ symbols: ["NVDA", "XXXX"] }]);
  expect(server.requests("unsubscribe")).toMatchObject([{ symbols: ["MSFT"], channel: "price" }]);
  expect(client.quote("MSFT")).toBeUndefined();
  expect(client.quote("XXXX")).toMatchObject({ state: "no_such_symbol", complete: false });
});

test("long lists are asked for in parts", () => {
  const { server, client } = connected();
  client.watch(Array.from({ length: 450 }, (_, index) => `S${index}`));
  server.last.end(1006);
  client.retryNow();
  server.last.accept();
  expect(server.requests("subscribe").map((one) => (one["symbols"] as string[]).length)).toEqual([200, 200, 52]);
});

test("a refused subscription is said in its rows; the server's own trouble is tried again", async () => {
  const { server, client, errors } = connected();
  server.refuse = (request) => ({ type: "error", id: request.id, code: 4102, reason: "too many symbols" });
  client.watch(["NVDA"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(client.quote("NVDA")).toMatchObject({ reason: "4102: too many symbols", complete: false });
  server.instruments.set("TSLA", { epoch: 7, seq: 1, price: "9" });
  server.refuse = (request) => ({ type: "error", id: request.id, code: 4500, reason: "busy" });
  client.watch(["TSLA"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(errors.map((one) => one.code)).toEqual([4102, 4500]);
  server.refuse = null;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(client.quote("TSLA")).toMatchObject({ complete: true });
});

test("an update of a foreign epoch makes the client ask for a snapshot", () => {
  const { server, client } = connected();
  server.instruments.set("AAPL", { epoch: 8, seq: 4, price: "3.00" });
  server.last.say({ type: "update", symbol: "AAPL", price: "2.00", seq: 4, epoch: 8 });
  expect(client.quote("AAPL")).toMatchObject({ complete: true, epoch: 8, fields: { price: "3.00" } });
});

test("asks again for an unknown symbol with growing waits for as long as it is wanted", async () => {
  const { server, client } = connected();
  client.watch(["LATE"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(client.quote("LATE")?.state).toBe("no_such_symbol");
  const asked = () => server.requests("subscribe").filter((one) => String(one["symbols"]) === "LATE").length;
  expect(asked()).toBe(1);
  for (const [index, wait] of [1, 2, 4, 8, 16, 30, 30].entries()) {
    await vi.advanceTimersByTimeAsync(wait * 500);
    server.last.say({ type: "hb" } as ServerMessage);
    await vi.advanceTimersByTimeAsync(wait * 500 - 1);
    expect(asked()).toBe(index + 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked()).toBe(index + 2);
  }
  client.unwatch(["LATE"]);
  await vi.advanceTimersByTimeAsync(20_000);
  server.last.say({ type: "hb" } as ServerMessage);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked()).toBe(8);
});

test("a symbol that a restarted server learns of late is live again by itself", async () => {
  const { server, client } = connected();
  server.instruments.delete("AAPL");
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(250);
  server.last.accept();
  expect(client.quote("AAPL")).toMatchObject({ state: "no_such_symbol", complete: false, fields: {} });
  server.instruments.set("AAPL", { epoch: 9, seq: 3, price: "190.00" });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(client.quote("AAPL")).toMatchObject({ state: "live", complete: true, epoch: 9, fields: { price: "190.00" } });
});

test("the server's own wait before coming back is kept to", () => {
  const { server, client } = connected();
  server.last.end(4702, "the gateway stops: retry in 1500 ms");
  expect(client.connection).toMatchObject({ phase: "offline", retryAtMs: 1_001_500 });
});

test("a wait out of all proportion is not", () => {
  const { server, client } = connected();
  server.last.end(4702, "retry in 999999 ms");
  expect(client.connection).toMatchObject({ phase: "offline", retryAtMs: 1_120_000 });
});

test("books and bars are asked for by their terms; a book that does not add up is asked for anew", async () => {
  const { server, client } = connected();
  client.watch(["AAPL"], "book");
  client.watch(["AAPL"], "bars:1m");
  await vi.advanceTimersByTimeAsync(0);
  const asked = () => server.requests("subscribe").slice(1).filter((one) => one["channel"] !== "status");
  expect(asked()).toMatchObject([
    { channel: "book", symbols: ["AAPL"], depth: 10, rate: 20 },
    { channel: "bars", symbols: ["AAPL"], interval: "1m" },
  ]);
  const book = { symbol: "AAPL", channel: "book", bids: [["1", "2"]], asks: [], epoch: 7, seq: 912, last: true } as const;
  server.last.say({ type: "snapshot", ...book, digest: 0x8a0ef69f } as unknown as ServerMessage);
  expect(client.book("AAPL")).toMatchObject({ complete: false, failed: 1 });
  expect(server.requests("unsubscribe")).toMatchObject([{ channel: "book", symbols: ["AAPL"] }]);
  expect(asked().at(-1)).toMatchObject({ channel: "book" });
  server.last.say({ type: "snapshot", ...book });
  expect(client.book("AAPL")).toMatchObject({ complete: true, bids: [{ price: "1", size: "2" }] });
  client.unwatch(["AAPL"], "bars:1m");
  await vi.advanceTimersByTimeAsync(0);
  expect(server.requests("unsubscribe").at(-1)).toMatchObject({ channel: "bars", interval: "1m" });
});

test("a refused book says why, and the price of its symbol lives on", async () => {
  const { server, client } = connected();
  server.refuse = (request) => ({ type: "error", id: request.id, code: 4004, reason: "channel is unknown" });
  client.watch(["AAPL"], "book");
  await vi.advanceTimersByTimeAsync(0);
  expect(client.book("AAPL")).toMatchObject({ complete: false, reason: "4004: channel is unknown" });
  expect(client.quote("AAPL")).toMatchObject({ complete: true });
});

test("tells of the instance and of a lower rate, and forgets both with the connection", () => {
  const server = new FakeServer();
  const told: unknown[] = [];
  const rates: unknown[] = [];
  const client = new TickcastClient(
    { url: "ws://test/stream", createSocket: server.createSocket, random: () => 1 },
    {
      onApplied: () => undefined,
      onConnection: () => undefined,
      onInstance: (instance) => told.push(instance?.rung ?? null),
      onRate: (rate) => rates.push(rate?.rate ?? null),
    },
  );
  client.start();
  server.last.accept();
  expect(server.requests("subscribe")).toMatchObject([{ channel: "status", symbols: ["*"] }]);
  server.last.say({ type: "snapshot", channel: "status", feeds: [], gaps: [], delivery: { rung: 2 } });
  server.last.say({ type: "rate", rate: 5, reason: "slow" }, { type: "rate", rate: 20, reason: "restored" });
  server.last.say({ type: "rate", rate: 1, reason: "overload" });
  server.last.end(1006);
  expect(told).toEqual([2, null]);
  expect(rates).toEqual([5, null, 1, null]);
  client.stop();
});
