// Arrays of tickcast.msgpack with compact=1, as the maps that they stand for.

import { INTERVALS, decimal, seconds, time } from "./values.mjs";

const SIDES = [null, "buy", "sell"];
const CONDITIONS = ["odd_lot", "out_of_sequence", "auction", "opening", "closing", "hidden"];
const KINDS = [price, trade, book, bar];

export class Compact {
  #symbols = new Map();
  #layout = null;

  read(message) {
    if (Array.isArray(message)) {
      if (typeof message[0] !== "number") return message.map((each) => this.read(each)[0]);
      const [kind, handle, ...rest] = message;
      return KINDS[kind] === undefined ? [] : [{ symbol: this.#symbols.get(handle), ...KINDS[kind](rest, this.#layout) }];
    }
    this.#layout = message.layout ?? this.#layout;
    this.#learn(message.symbol, message.handle);
    if (message.symbols && !Array.isArray(message.symbols)) {
      for (const [symbol, { handle }] of Object.entries(message.symbols)) this.#learn(symbol, handle);
    }
    return [message];
  }

  #learn(symbol, handle) {
    if (typeof handle === "number") this.#symbols.set(handle, symbol);
  }
}

const VALUES = {
  side: (value) => SIDES[value],
  venue: (value) => value,
  crossed: (value) => value,
  timestamp: time,
  server_timestamp: time,
  state: (value, layout) => layout.states[value],
  legs: (value) => value && { live: value[0], of: value[1] },
};

function price([seq, mask, ...values], layout) {
  const frame = { type: "update", seq };
  let place = 0;
  layout.fields.forEach((name, bit) => {
    if (Math.floor(mask / 2 ** bit) % 2 === 0) return;
    frame[name] = (VALUES[name] ?? decimal)(values[place], layout);
    place += 1;
  });
  return frame;
}

function trade([seq, id, price_, size, side, timestamp, conditions]) {
  const names = CONDITIONS.filter((_, bit) => (conditions >> bit) & 1);
  const numbers = { price: decimal(price_), size: decimal(size) };
  return { type: "trade", channel: "trades", seq, id: String(id), ...numbers, side: SIDES[side], timestamp: time(timestamp), conditions: names };
}

const levels = (flat) =>
  Array.from({ length: flat.length / 2 }, (_, place) => [decimal(flat[2 * place]), decimal(flat[2 * place + 1])]);

function book([seq, timestamp, bids, asks, digest]) {
  return { type: "update", channel: "book", seq, timestamp: time(timestamp), bids: levels(bids), asks: levels(asks), digest };
}

function bar([seq, interval, start, open, high, low, close, volume, notional, trades, flags]) {
  const prices = { open: decimal(open), high: decimal(high), low: decimal(low), close: decimal(close) };
  const sums = { volume: decimal(volume), notional: decimal(notional), trades, final: (flags & 1) === 1 };
  const frame = { type: "bar", channel: "bars", interval: INTERVALS[interval], start: seconds(start), ...prices, ...sums, seq };
  return flags & 2 ? { ...frame, corrected: true } : frame;
}
