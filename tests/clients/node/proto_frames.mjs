// Messages of tickcast.proto as the frames of tickcast.json that they stand for.

import { INTERVALS, decimal, seconds, time } from "./values.mjs";

const SIDES = { SIDE_UNKNOWN: null, BUY: "buy", SELL: "sell" };
const PRICE = ["price", "size", "bid", "bid_size", "ask", "ask_size", "volume", "change", "change_pct", "high", "low", "open", "prev_close"];
const BAR = ["open", "high", "low", "close", "volume", "notional"];

export class ProtoFrames {
  #symbols = new Map();

  constructor(schema) {
    this.schema = schema;
  }

  read(message) {
    const [kind, body] = Object.entries(message)[0] ?? [];
    if (kind === undefined) return [];
    return [this[`_${kind}`]?.(body) ?? this.#reply(kind, body)];
  }

  _update(body) {
    return { type: "update", symbol: this.#symbols.get(body.handle), ...this.#price(body) };
  }

  _snapshot({ symbol, epoch, values }) {
    this.#symbols.set(values.handle, symbol);
    return { type: "snapshot", symbol, epoch, ...this.#price(values) };
  }

  _trade({ handle, seq, side, timestamp, id_number, id_text, conditions, ...rest }) {
    const numbers = this.#decimals("Trade", ["price", "size"], rest, true);
    const found = { type: "trade", channel: "trades", symbol: this.#symbols.get(handle), seq };
    return { ...found, ...numbers, id: String(id_number ?? id_text), side: SIDES[side], timestamp: time(timestamp), conditions };
  }

  _book(body) {
    return { type: "update", channel: "book", symbol: this.#symbols.get(body.handle), ...this.#levels(body) };
  }

  _book_snapshot({ symbol, epoch, depth, state, last, book }) {
    this.#symbols.set(book.handle, symbol);
    return { type: "snapshot", channel: "book", symbol, epoch, depth, state: state.toLowerCase(), last, ...this.#levels(book) };
  }

  _bar(body) {
    const interval = INTERVALS[body.interval_s];
    return { type: "bar", channel: "bars", symbol: this.#symbols.get(body.handle), interval, seq: body.seq, ...this.#bar(body) };
  }

  _bars_snapshot({ handle, seq, symbol, epoch, interval_s, state, bars }) {
    this.#symbols.set(handle, symbol);
    const head = { type: "snapshot", channel: "bars", symbol, interval: INTERVALS[interval_s], epoch, seq };
    return { ...head, state: state.toLowerCase(), bars: bars.map((bar) => this.#bar(bar)) };
  }

  _status({ symbol, state, since, reason = null }) {
    return { type: "status", symbol, state: state.toLowerCase(), since: time(since), reason };
  }

  _status_snapshot({ feeds, gaps, delivery, channel, seq }) {
    const plain = { feeds: feeds.map(json), gaps: gaps.map(json), delivery: json(delivery) };
    return { type: "snapshot", channel, seq, ...plain };
  }

  /** Replies have the keys of JSON. */
  #reply(type, { id, ...rest }) {
    const frame = { type, ...rest };
    if (id) frame.id = id.text ?? Number(id.number);
    if (type === "subscribed" || type === "resumed") {
      for (const [symbol, { handle }] of Object.entries(rest.symbols)) if (handle !== undefined) this.#symbols.set(handle, symbol);
    }
    if (rest.fields) frame.fields = rest.fields.all ? null : rest.fields.values;
    if (type === "synced") frame.channels = mapped(rest.channels, ({ symbols }) => symbols);
    for (const key of ["feed", "gap", "delivery"]) if (rest[key]) frame[key] = json(rest[key]);
    return frame;
  }

  #price({ seq, timestamp, side, state, venue, server_timestamp, crossed, legs_live, legs_of, unknown, ...rest }) {
    const found = { seq, ...this.#decimals("Price", PRICE, rest, false) };
    for (const number of unknown) found[this.schema.messages.Price[number].name] = null;
    const others = {
      timestamp: timestamp && time(timestamp),
      server_timestamp: server_timestamp && time(server_timestamp),
      side: side && SIDES[side],
      state: state?.toLowerCase(),
      venue,
      crossed,
      legs: legs_of === undefined ? undefined : { live: legs_live, of: legs_of },
    };
    for (const [key, value] of Object.entries(others)) if (value !== undefined) found[key] = value;
    return found;
  }

  #bar({ start_s, trades, final, corrected, ...rest }) {
    const bar = { start: seconds(start_s), ...this.#decimals("Bar", BAR, rest, true), trades, final };
    return corrected ? { ...bar, corrected } : bar;
  }

  #levels({ seq, bids, asks, wide, timestamp = null, digest }) {
    const found = { seq, bids: pairs(bids), asks: pairs(asks), timestamp: time(timestamp), digest };
    for (const { is_ask, price, size } of wide) found[is_ask ? "asks" : "bids"].push([price, size]);
    return found;
  }

  /** Packed numbers and those that did not fit; where `isWhole`, what is missing is unknown. */
  #decimals(type, names, { wide, ...values }, isWhole) {
    const found = {};
    for (const name of names) {
      if (values[name] !== undefined) found[name] = decimal(values[name]);
      else if (isWhole) found[name] = null;
    }
    for (const [number, text] of Object.entries(wide)) found[this.schema.messages[type][number].name] = text;
    return found;
  }
}

/** A request of JSON as a ClientFrame. */
export function request({ id, action, fields, ...rest }) {
  const body = { ...rest };
  if (fields !== undefined) body.fields = fields === null ? { all: true } : { values: fields };
  return { id: id === undefined ? undefined : { number: id }, [action]: body };
}

const json = ({ text }) => JSON.parse(text);
const mapped = (object, change) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, place) => [decimal(flat[2 * place]), decimal(flat[2 * place + 1])]);
