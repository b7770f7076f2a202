import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import type { ClientRequest } from "../protocol.ts";
import { PROTOBUF_CODEC } from "./codec.ts";
import { ClientFrameSchema, MessageSchema, ServerFrameSchema, Side, State } from "./tickcast_pb.ts";

type Kinds = MessageInitShape<typeof MessageSchema>["kind"];

function bytesOf(...kinds: readonly Kinds[]): Uint8Array<ArrayBuffer> {
  return toBinary(ServerFrameSchema, create(ServerFrameSchema, { messages: kinds.map((kind) => create(MessageSchema, { kind } as MessageInitShape<typeof MessageSchema>)) }));
}

const packed = (mantissa: number, scale: number): bigint => BigInt(mantissa) * 32n + BigInt(scale);
const SNAPSHOT = { case: "snapshot", value: { symbol: "AAPL", epoch: 7n, values: { handle: 3, seq: 8n, price: packed(18540, 2), state: State.LIVE } } } as unknown as Kinds;

function opened() {
  const session = PROTOBUF_CODEC.open();
  expect(session.decode(bytesOf(SNAPSHOT))).toEqual([{ type: "snapshot", symbol: "AAPL", epoch: 7, seq: 8, price: "185.40", state: "live" }]);
  return { read: (kind: unknown) => session.decode(bytesOf(kind as Kinds))[0] };
}

test("an update has what changed, what became unknown, and what did not fit", () => {
  const { read } = opened();
  const values = {
    handle: 3, seq: 9n, bid: packed(-5, 3), timestamp: 1_000_000_000n, side: Side.SIDE_UNKNOWN, state: State.STALE, venue: "XNAS",
    crossed: false, legsLive: 0, legsOf: 3, unknown: [7, 9], wide: { 11: "123456789012345678901.5" },
  };
  expect(read({ case: "update", value: values })).toEqual({
    type: "update", symbol: "AAPL", seq: 9, bid: "-0.005", timestamp: null, side: null, state: "stale", venue: "XNAS", crossed: false,
    legs: { live: 0, of: 3 }, ask: null, volume: "123456789012345678901.5",
  });
});

test("trades, books and bars are the messages of JSON", () => {
  const { read } = opened();
  const trade = { handle: 3, seq: 1n, price: packed(1, 0), wide: { 4: "1e99" }, side: Side.SELL, timestamp: 1n, id: { case: "idNumber", value: 2n ** 60n }, conditions: ["auction"] };
  expect(read({ case: "trade", value: trade })).toEqual({
    type: "trade", channel: "trades", symbol: "AAPL", seq: 1, id: String(2n ** 60n), price: "1", size: "1e99", side: "sell",
    timestamp: "1970-01-01T00:00:00.000000001Z", conditions: ["auction"],
  });
  const book = { handle: 3, seq: 2n, bids: [packed(1, 0), packed(0, 0)], digest: 0, wide: [{ isAsk: true, price: "1e30", size: "2" }] };
  expect(read({ case: "book", value: book })).toEqual({
    type: "update", channel: "book", symbol: "AAPL", seq: 2, timestamp: null, bids: [["1", "0"]], asks: [["1e30", "2"]], digest: 0,
  });
  const bar = { handle: 3, seq: 3n, intervalS: 60, startS: 120n, open: packed(15, 1), trades: 4, final: true };
  expect(read({ case: "bar", value: bar })).toEqual({
    type: "bar", channel: "bars", symbol: "AAPL", interval: "1m", seq: 3, start: "1970-01-01T00:02:00Z", open: "1.5", high: null, low: null,
    close: null, volume: null, notional: null, trades: 4, final: true,
  });
});

test("replies have the keys of JSON, and tell handles", () => {
  const { read } = opened();
  const symbols = { MSFT: { state: "live", epoch: 7n, seq: 0n, handle: 4 }, NOBODY: { state: "no_such_symbol" } };
  const ack = { id: { id: { case: "number", value: 5n } }, channel: "price", symbols, rate: 20, mode: "conflated", fields: { all: true }, patterns: { "M*": { values: ["MSFT"] } } };
  expect(read({ case: "subscribed", value: ack })).toEqual({
    type: "subscribed", id: 5, channel: "price", rate: 20, mode: "conflated", fields: null, patterns: { "M*": ["MSFT"] },
    symbols: { MSFT: { state: "live", epoch: 7, seq: 0 }, NOBODY: { state: "no_such_symbol" } },
  });
  expect(read({ case: "update", value: { handle: 4, seq: 1n } })).toEqual({ type: "update", symbol: "MSFT", seq: 1 });
  const counters = { epoch: 7n, seq: 9n, published: 9n, delivered: 8n, merged: 1n, lost: 0n };
  expect(read({ case: "synced", value: { id: { id: { case: "text", value: "x" } }, channels: { price: { symbols: { AAPL: counters } } } } })).toEqual({
    type: "synced", id: "x", channels: { price: { AAPL: { epoch: 7, seq: 9, published: 9, delivered: 8, merged: 1, lost: 0 } } },
  });
  expect(read({ case: "status", value: { handle: 9, symbol: "IBM", state: 99, since: 0n } })).toEqual({
    type: "status", symbol: "IBM", state: "unverified", since: "1970-01-01T00:00:00Z",
  });
  expect(read({ case: "statusSnapshot", value: { channel: "status", seq: 1n, feeds: [{ text: '{"feed":"xnas"}' }], delivery: { text: "{}" } } })).toEqual({
    type: "snapshot", channel: "status", seq: 1, feeds: [{ feed: "xnas" }], gaps: [], delivery: {},
  });
});

test("what is not known is left alone, and what cannot be read is said", () => {
  const session = PROTOBUF_CODEC.open();
  expect(session.decode(Uint8Array.of(10, 4, 0xfa, 0x3f, 1, 65))).toEqual([]); // a kind of a later protocol
  expect(() => session.decode(bytesOf({ case: "update", value: { handle: 5 } } as unknown as Kinds))).toThrow("handle");
  expect(() => session.decode("{}")).toThrow(SyntaxError);
  let seed = 11;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  const whole = bytesOf(SNAPSHOT, { case: "hb", value: { serverTimestamp: "2026-03-29T14:30:01Z" } } as unknown as Kinds);
  for (let round = 0; round < 2_000; round += 1) {
    const bytes = whole.slice();
    bytes[random() % bytes.length] = random() % 256;
    try {
      PROTOBUF_CODEC.open().decode(bytes);
    } catch (error) {
      expect(error, `round ${round}`).toBeInstanceOf(SyntaxError);
    }
  }
});

test("every request is written", () => {
  const session = PROTOBUF_CODEC.open();
  const written = (request: ClientRequest) => fromBinary(ClientFrameSchema, session.encode(request) as Uint8Array);
  const resume = { AAPL: { epoch: 2 ** 52, seq: 5 } };
  const subscribe = written({ action: "subscribe", id: 1, symbols: ["AAPL"], channel: "price", rate: 0, fields: ["bid"], resume });
  expect(subscribe).toMatchObject({
    id: { id: { case: "number", value: 1n } },
    request: { case: "subscribe", value: { symbols: ["AAPL"], channel: "price", rate: 0, fields: { values: ["bid"], all: false }, resume: { AAPL: { epoch: 2n ** 52n, seq: 5n } } } },
  });
  expect(written({ action: "unsubscribe", id: "x", symbols: ["A"], channel: "bars", interval: "1m" })).toMatchObject({
    id: { id: { case: "text", value: "x" } },
    request: { case: "unsubscribe", value: { symbols: ["A"], channel: "bars", interval: "1m" } },
  });
  expect(written({ action: "visibility", hidden: false }).request).toMatchObject({ case: "visibility", value: { hidden: false } });
  expect(written({ action: "auth", token: "t" }).request).toMatchObject({ case: "auth", value: { token: "t" } });
  expect([written({ action: "ping" }).request.case, written({ action: "sync" }).request.case]).toEqual(["ping", "sync"]);
});
