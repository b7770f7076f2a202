/**
 * `tickcast.msgpack` with `compact=1`: about a third of the bytes of JSON, for more of the reader's time.
 *
 * Updates are arrays that name their symbol by a handle. Handles, and what the places of the arrays hold, are told on the
 * connection before they are used.
 */

import type { ServerMessage } from "../protocol.ts";
import { bytesOf, type Codec, type CodecSession, messagesOf } from "./codec.ts";
import { decode, encode } from "./msgpack.ts";
import { decimalOf, intervalOf, secondsOf, SIDES, timeOf } from "./values.ts";

export const COMPACT_CODEC: Codec = {
  name: "msgpack",
  subprotocol: "tickcast.msgpack",
  query: { batch: "1", compact: "1" },
  open: () => new CompactSession(),
};

type Body = Record<string, unknown>;
type Packed = number | bigint | string | null;

const CONDITIONS = ["odd_lot", "out_of_sequence", "auction", "opening", "closing", "hidden", "backfilled"];
const TIMES: ReadonlySet<string> = new Set(["timestamp", "server_timestamp"]);
const AS_THEY_ARE: ReadonlySet<string> = new Set(["venue", "crossed"]);

class CompactSession implements CodecSession {
  readonly #symbols = new Map<number, string>();
  #fields: readonly string[] = [];
  #states: readonly string[] = [];

  encode(request: object): Uint8Array<ArrayBuffer> {
    return encode(request);
  }

  decode(data: unknown): readonly ServerMessage[] {
    const value = decode(bytesOf(data));
    const parts = Array.isArray(value) && typeof value[0] !== "number" ? value : [value];
    return messagesOf(parts.map((part) => (Array.isArray(part) ? this.#array(part) : this.#map(part))).filter((one) => one !== null));
  }

  #map(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const message = value as Body;
    const layout = message["layout"] as { fields?: readonly string[]; states?: readonly string[] } | undefined;
    if (layout) {
      this.#fields = layout.fields ?? [];
      this.#states = layout.states ?? [];
    }
    this.#learn(message["symbol"], message);
    const symbols = message["symbols"];
    if (typeof symbols === "object" && symbols !== null && !Array.isArray(symbols)) {
      for (const [symbol, standing] of Object.entries(symbols as Record<string, Body>)) this.#learn(symbol, standing);
    }
    return message;
  }

  /** A handle is the codec's own affair: no message of JSON has one. */
  #learn(symbol: unknown, teller: Body): void {
    const handle = teller["handle"];
    if (typeof symbol === "string" && typeof handle === "number") this.#symbols.set(handle, symbol);
    delete teller["handle"];
  }

  /** Null: a kind of a later protocol, which is to be ignored. */
  #array(parts: readonly unknown[]): Body | null {
    const [kind, handle, seq, ...rest] = parts;
    const symbol = this.#symbols.get(handle as number);
    if (symbol === undefined) throw new SyntaxError(`expected a handle that was told, found ${String(handle)}`);
    switch (kind) {
      case 0:
        return this.#price({ type: "update", symbol, seq }, rest);
      case 1:
        return tradeOf({ type: "trade", channel: "trades", symbol, seq }, rest);
      case 2:
        return bookOf({ type: "update", channel: "book", symbol, seq }, rest);
      case 3:
        return barOf({ type: "bar", channel: "bars", symbol, seq }, rest);
      default:
        return null;
    }
  }

  #price(message: Body, [mask, ...values]: readonly unknown[]): Body {
    let rest = mask as number;
    let place = 0;
    for (let bit = 0; rest > 0; bit += 1, rest = Math.floor(rest / 2)) {
      if (rest % 2 === 0) continue;
      const name = this.#fields[bit];
      if (name !== undefined) message[name] = this.#value(name, values[place]);
      place += 1;
    }
    return message;
  }

  #value(name: string, value: unknown): unknown {
    if (AS_THEY_ARE.has(name)) return value;
    if (TIMES.has(name)) return timeOf(value as number | bigint | null);
    if (name === "side") return SIDES[value as number] ?? null;
    if (name === "state") return this.#states[value as number];
    if (name === "legs") return Array.isArray(value) ? { live: value[0] as number, of: value[1] as number } : null;
    return decimalOf(value as Packed);
  }
}

function tradeOf(message: Body, [id, price, size, side, timestamp, conditions]: readonly unknown[]): Body {
  message["id"] = String(id);
  message["price"] = decimalOf(price as Packed);
  message["size"] = decimalOf(size as Packed);
  message["side"] = SIDES[side as number] ?? null;
  message["timestamp"] = timeOf(timestamp as number | bigint | null);
  message["conditions"] = CONDITIONS.filter((_, bit) => ((conditions as number) >> bit) & 1);
  return message;
}

function bookOf(message: Body, [timestamp, bids, asks, digest]: readonly unknown[]): Body {
  message["timestamp"] = timeOf(timestamp as number | bigint | null);
  message["bids"] = levelsOf(bids as readonly Packed[]);
  message["asks"] = levelsOf(asks as readonly Packed[]);
  if (digest !== undefined && digest !== null) message["digest"] = digest;
  return message;
}

function levelsOf(flat: readonly Packed[]): (readonly [string | null, string | null])[] {
  const levels: (readonly [string | null, string | null])[] = [];
  for (let place = 0; place < flat.length; place += 2) {
    levels.push([decimalOf(flat[place] ?? null), decimalOf(flat[place + 1] ?? null)]);
  }
  return levels;
}

function barOf(message: Body, parts: readonly unknown[]): Body {
  const [interval, start, open, high, low, close, volume, notional, trades, flags] = parts;
  message["interval"] = intervalOf(interval as number);
  message["start"] = secondsOf(start as number);
  Object.assign(message, { open, high, low, close, volume, notional });
  for (const name of ["open", "high", "low", "close", "volume", "notional"]) message[name] = decimalOf(message[name] as Packed);
  message["trades"] = trades;
  message["final"] = ((flags as number) & 1) === 1;
  if ((flags as number) & 2) message["corrected"] = true;
  return message;
}
