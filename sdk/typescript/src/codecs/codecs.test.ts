import { expect, test } from "vitest";

import { choose } from "./choice.ts";
import { COMPACT_CODEC } from "./compact.ts";
import { JSON_CODEC } from "./json.ts";
import { decode, encode } from "./msgpack.ts";
import { decimalOf, secondsOf, timeOf } from "./values.ts";

test.each([
  [18542 * 32 + 2, "185.42"],
  [-5 * 32 + 3, "-0.005"],
  [0, "0"],
  [3, "0.000"],
  [100 * 32, "100"],
  [-100 * 32, "-100"],
  [(67412n << 5n) | 0n, "67412"],
  [(123456789012345678901n << 5n) | 8n, "1234567890123.45678901"],
  [-((5n << 5n) - 3n), "-0.005"],
  ["185.40", "185.40"],
  [null, null],
])("packed %s is %s", (packed, text) => {
  expect(decimalOf(packed)).toBe(text);
});

test("every packed number that fits is the decimal it was made of", () => {
  for (let mantissa = -2_000; mantissa <= 2_000; mantissa += 37) {
    for (let scale = 0; scale < 32; scale += 1) {
      const text = decimalOf(mantissa * 32 + scale) ?? "";
      expect(Number(text)).toBeCloseTo(mantissa / 10 ** scale, 12);
      expect(text.split(".")[1]?.length ?? 0).toBe(scale);
      expect(decimalOf(BigInt(mantissa * 32 + scale))).toBe(text);
    }
  }
});

test("times have the digits that they need", () => {
  expect(timeOf(1_774_794_601_234_000_000n)).toBe("2026-03-29T14:30:01.234Z");
  expect(timeOf(1_774_794_601_000_000_001n)).toBe("2026-03-29T14:30:01.000000001Z");
  expect([timeOf(0), timeOf(null), secondsOf(60)]).toEqual(["1970-01-01T00:00:00Z", null, "1970-01-01T00:01:00Z"]);
});

test("MessagePack reads what it wrote", () => {
  const value = { action: "subscribe", symbols: ["AAPL", "Zürich €", "x".repeat(70_000)], rate: 0.5, id: 2 ** 40, no: null, yes: true, negative: -3 };
  expect(decode(encode(value))).toEqual(value);
  expect(decode(encode({ gone: undefined, kept: 1 }))).toEqual({ kept: 1 });
});

test("MessagePack reads every form that a gateway may choose", () => {
  const cases: [readonly number[], unknown][] = [
    [[0x05], 5],
    [[0xff], -1],
    [[0xcc, 200], 200],
    [[0xcd, 1, 0], 256],
    [[0xce, 0, 1, 0, 0], 65_536],
    [[0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0], 9007199254740992n],
    [[0xd0, 0x80], -128],
    [[0xd1, 0xff, 0], -256],
    [[0xd2, 0xff, 0xff, 0, 0], -65_536],
    [[0xca, 0x3f, 0, 0, 0], 0.5],
    [[0x92, 1, 0xa1, 0x61], [1, "a"]],
    [[0xdc, 0, 1, 0xc3], [true]],
    [[0x81, 0xa1, 0x61, 0xc0], { a: null }],
    [[0xde, 0, 1, 0xd9, 1, 0x61, 0xc2], { a: false }],
    [[0xa2, 0xc3, 0xbc], "ü"],
  ];
  for (const [bytes, value] of cases) expect(decode(Uint8Array.from(bytes))).toEqual(value);
});

test("damaged bytes are an error and never anything else", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  const whole = encode([{ type: "update", symbol: "AAPL", price: "1.5", list: [1, 2, 3] }]);
  for (let round = 0; round < 3_000; round += 1) {
    const bytes = round % 2 === 0 ? whole.slice() : Uint8Array.from({ length: random() % 40 }, () => random() % 256);
    if (round % 2 === 0) bytes[random() % bytes.length] = random() % 256;
    try {
      COMPACT_CODEC.open().decode(bytes);
    } catch (error) {
      expect(error, `round ${round}`).toBeInstanceOf(SyntaxError);
    }
  }
});

test("a key that would set a prototype is only a key", () => {
  const read = decode(encode(JSON.parse('{"__proto__":{"type":"update"},"a":1}'))) as { type?: string; a: number };
  expect([read.type, read.a, Object.keys(read)]).toEqual([undefined, 1, ["__proto__", "a"]]);
});

test("compact arrays become the messages of JSON", () => {
  const session = COMPACT_CODEC.open();
  const layout = { updates: [], fields: ["price", "bid", "side", "timestamp", "state", "legs", "venue"], states: ["empty", "syncing", "live"] };
  const [ack] = session.decode(encode([{ type: "subscribed", id: 1, channel: "price", symbols: { AAPL: { state: "live", epoch: 7, seq: 1, handle: 3 } }, layout }]));
  expect(ack).toMatchObject({ type: "subscribed", id: 1 });
  expect((ack as { symbols: unknown }).symbols).toEqual({ AAPL: { state: "live", epoch: 7, seq: 1 } });
  expect(session.decode(encode([[0, 3, 9, 0b1111111, 593346, null, 1, 1_000_000_000, 2, [2, 3], "XNAS"]]))).toEqual([
    { type: "update", symbol: "AAPL", seq: 9, price: "185.42", bid: null, side: "buy", timestamp: "1970-01-01T00:00:01Z", state: "live", legs: { live: 2, of: 3 }, venue: "XNAS" },
  ]);
  expect(session.decode(encode([2, 3, 10, null, [593346, 32], [], 77]))).toEqual([
    { type: "update", channel: "book", symbol: "AAPL", seq: 10, timestamp: null, bids: [["185.42", "1"]], asks: [], digest: 77 },
  ]);
  expect(session.decode(encode([1, 3, 11, 8817, 593346, 32, 2, 0, 65]))).toMatchObject([
    { type: "trade", id: "8817", price: "185.42", side: "sell", conditions: ["odd_lot", "backfilled"] },
  ]);
  expect(session.decode(encode([3, 3, 12, 60, 60, 32, 64, 32, 64, 96, null, 3, 3]))).toMatchObject([
    { type: "bar", interval: "1m", start: "1970-01-01T00:01:00Z", high: "2", notional: null, final: true, corrected: true },
  ]);
  expect(session.decode(encode([[9, 3, 13, "of a later protocol"]]))).toEqual([]);
  expect(() => session.decode(encode([0, 4, 1, 0]))).toThrow("handle");
});

test("JSON is one message or a batch of them, and nothing else", () => {
  const session = JSON_CODEC.open();
  expect(session.decode('{"type":"hb"}')).toEqual([{ type: "hb" }]);
  expect(session.decode('[{"type":"hb"},{"type":"hb"}]')).toHaveLength(2);
  for (const wrong of ["{", "[1]", "null", '{"no":"type"}', new ArrayBuffer(1)]) expect(() => session.decode(wrong)).toThrow(SyntaxError);
});

test("JSON is chosen by itself, and always offered; a reader who saves data gets fewer bytes", () => {
  expect(choose("auto")).toEqual([JSON_CODEC]);
  expect(choose("msgpack")).toEqual([COMPACT_CODEC, JSON_CODEC]);
  const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { connection: { saveData: true } }, configurable: true });
  expect(choose("auto")[0]).toBe(COMPACT_CODEC);
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
  else Reflect.deleteProperty(globalThis, "navigator");
});
