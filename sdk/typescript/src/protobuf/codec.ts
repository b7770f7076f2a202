/**
 * `tickcast.proto`: the fewest bytes, read by `@bufbuild/protobuf`, which a program brings along that chooses it. Nothing
 * else of the SDK imports this folder, so nobody else carries that library.
 *
 * Prices, trades, books and bars are put together field by field; everything that comes seldom by its description, whose
 * names are the keys of JSON.
 */

import { create, type DescMessage, type Message as AnyMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";

import { bytesOf, type Codec, type CodecSession, messagesOf } from "../codecs/codec.ts";
import { decimalOf, intervalOf, secondsOf, SIDES, timeOf } from "../codecs/values.ts";
import type { ClientRequest, ServerMessage, SubscribeRequest } from "../protocol.ts";
import {
  AuthSchema,
  type Bar,
  BarSchema,
  type Book,
  type ClientFrame,
  ClientFrameSchema,
  FieldsSchema,
  type Message,
  MessageSchema,
  PingSchema,
  PlaceSchema,
  type Price,
  PriceSchema,
  RequestIdSchema,
  ServerFrameSchema,
  State,
  type Subscribe,
  SubscribeSchema,
  SyncSchema,
  TradeSchema,
  UnsubscribeSchema,
  VisibilitySchema,
} from "./tickcast_pb.ts";

export const PROTOBUF_CODEC: Codec = {
  name: "proto",
  subprotocol: "tickcast.proto",
  query: { batch: "1" },
  open: () => new ProtobufSession(),
};

type Body = Record<string, unknown>;
type Wide = { readonly [number: number]: string };
type Kind<Case> = Extract<Message["kind"], { case: Case }>["value"];

const PRICES = decimalsOf(PriceSchema);
const TRADES = decimalsOf(TradeSchema);
const BARS = decimalsOf(BarSchema);
/** Keys of `price` by the numbers of their fields. */
const PRICE_KEYS = new Map(PriceSchema.fields.map(({ number, name }) => [number, name === "legs_live" ? "legs" : name]));
/** Types of replies by the names that generated code has for them: `bookSnapshot` is `book_snapshot`. */
const KINDS = new Map(MessageSchema.fields.map((field) => [field.localName, field]));

class ProtobufSession implements CodecSession {
  readonly #symbols = new Map<number, string>();

  encode(request: ClientRequest): Uint8Array<ArrayBuffer> {
    return toBinary(ClientFrameSchema, frameOf(request));
  }

  decode(data: unknown): readonly ServerMessage[] {
    const bytes = bytesOf(data);
    let messages: readonly Message[];
    try {
      ({ messages } = fromBinary(ServerFrameSchema, bytes));
    } catch (error) {
      throw new SyntaxError(`expected a ServerFrame, found none: ${error instanceof Error ? error.message : String(error)}`);
    }
    return messagesOf(messages.map((message) => this.#read(message.kind)).filter((one) => one !== null));
  }

  /** Null: a kind of a later protocol, which is to be ignored. */
  #read(kind: Message["kind"]): Body | null {
    switch (kind.case) {
      case undefined:
        return null;
      case "update":
        return priceOf({ type: "update", symbol: this.#symbol(kind.value.handle) }, kind.value);
      case "trade":
        return tradeOf({ type: "trade", channel: "trades", symbol: this.#symbol(kind.value.handle) }, kind.value);
      case "book":
        return bookOf({ type: "update", channel: "book", symbol: this.#symbol(kind.value.handle) }, kind.value);
      case "bar":
        return this.#bar(kind.value);
      case "snapshot":
        return this.#snapshot(kind.value);
      case "bookSnapshot":
        return this.#bookSnapshot(kind.value);
      case "barsSnapshot":
        return this.#barsSnapshot(kind.value);
      default:
        return this.#reply(kind);
    }
  }

  #symbol(handle: number): string {
    const symbol = this.#symbols.get(handle);
    if (symbol === undefined) throw new SyntaxError(`expected a handle that was told, found ${handle}`);
    return symbol;
  }

  #bar(bar: Bar): Body {
    const head = { type: "bar", channel: "bars", symbol: this.#symbol(bar.handle), interval: intervalOf(bar.intervalS) };
    return { ...head, seq: Number(bar.seq), ...barOf(bar) };
  }

  #snapshot({ symbol, epoch, values }: Kind<"snapshot">): Body {
    if (!values) throw new SyntaxError("expected a snapshot with values, found none");
    this.#symbols.set(values.handle, symbol);
    return priceOf({ type: "snapshot", symbol, epoch: Number(epoch) }, values);
  }

  #bookSnapshot({ symbol, epoch, depth, state, last, book }: Kind<"bookSnapshot">): Body {
    if (!book) throw new SyntaxError("expected a snapshot with a book, found none");
    this.#symbols.set(book.handle, symbol);
    const head = { type: "snapshot", channel: "book", symbol, epoch: Number(epoch), depth, state: stateOf(state), last };
    return bookOf(head, book);
  }

  #barsSnapshot({ handle, seq, symbol, epoch, intervalS, state, bars }: Kind<"barsSnapshot">): Body {
    this.#symbols.set(handle, symbol);
    const head = { type: "snapshot", channel: "bars", symbol, interval: intervalOf(intervalS) };
    return { ...head, epoch: Number(epoch), seq: Number(seq), state: stateOf(state), bars: bars.map(barOf) };
  }

  #reply({ case: name, value }: Exclude<Message["kind"], { case: undefined }>): Body {
    const field = KINDS.get(name);
    if (field?.message === undefined) throw new SyntaxError(`expected a kind of message, found ${name}`);
    const { handle, ...reply } = plain(field.message, value);
    if (typeof handle === "number") this.#symbols.set(handle, reply["symbol"] as string);
    if (name === "subscribed" || name === "resumed") this.#learn(reply["symbols"] as Record<string, Body>);
    return { type: name === "statusSnapshot" ? "snapshot" : field.name, ...reply };
  }

  #learn(symbols: Record<string, Body>): void {
    for (const [symbol, standing] of Object.entries(symbols)) {
      const handle = standing["handle"];
      if (typeof handle === "number") this.#symbols.set(handle, symbol);
      delete standing["handle"];
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------- data

/** Fields that are decimals: the property, the key of JSON and the number. */
function decimalsOf(schema: DescMessage): readonly (readonly [property: string, key: string, number: number])[] {
  const decimals = schema.fields.filter((field) => field.scalar === ScalarType.SINT64);
  return decimals.map(({ localName, name, number }) => [localName, name, number]);
}

function priceOf(message: Body, price: Price): Body {
  const { timestamp, serverTimestamp, side, state, venue, crossed, legsLive, legsOf } = price;
  const values = price as unknown as Readonly<Record<string, bigint | undefined>>;
  message["seq"] = Number(price.seq);
  for (const [property, key] of PRICES) {
    const value = values[property];
    if (value !== undefined) message[key] = decimalOf(value);
  }
  if (timestamp !== undefined) message["timestamp"] = timeOf(timestamp);
  if (serverTimestamp !== undefined) message["server_timestamp"] = timeOf(serverTimestamp);
  if (side !== undefined) message["side"] = SIDES[side] ?? null;
  if (state !== undefined) message["state"] = stateOf(state);
  if (venue !== undefined) message["venue"] = venue;
  if (crossed !== undefined) message["crossed"] = crossed;
  if (legsOf !== undefined) message["legs"] = { live: legsLive ?? 0, of: legsOf };
  for (const number of price.unknown) {
    const key = PRICE_KEYS.get(number);
    if (key !== undefined) message[key] = null;
  }
  for (const number in price.wide) {
    const key = PRICE_KEYS.get(Number(number));
    if (key !== undefined) message[key] = price.wide[number];
  }
  return message;
}

function tradeOf(message: Body, trade: Kind<"trade">): Body {
  message["seq"] = Number(trade.seq);
  message["id"] = String(trade.id.value ?? "");
  assignDecimals(message, TRADES, trade);
  message["side"] = SIDES[trade.side] ?? null;
  message["timestamp"] = timeOf(trade.timestamp);
  message["conditions"] = trade.conditions;
  return message;
}

function bookOf(message: Body, { seq, bids, asks, timestamp, digest, wide }: Book): Body {
  message["seq"] = Number(seq);
  message["timestamp"] = timeOf(timestamp ?? null);
  const levels = { bids: levelsOf(bids), asks: levelsOf(asks) };
  for (const { isAsk, price, size } of wide) levels[isAsk ? "asks" : "bids"].push([price, size]);
  message["bids"] = levels.bids;
  message["asks"] = levels.asks;
  if (digest !== undefined) message["digest"] = digest;
  return message;
}

function levelsOf(flat: readonly bigint[]): (readonly [string | null, string | null])[] {
  const levels: (readonly [string | null, string | null])[] = [];
  for (let place = 0; place < flat.length; place += 2) {
    levels.push([decimalOf(flat[place] ?? null), decimalOf(flat[place + 1] ?? null)]);
  }
  return levels;
}

function barOf(bar: Bar): Body {
  const message: Body = { start: secondsOf(Number(bar.startS)) };
  assignDecimals(message, BARS, bar);
  message["trades"] = bar.trades;
  message["final"] = bar.final;
  if (bar.corrected) message["corrected"] = true;
  return message;
}

/** Of a message that is told whole: what is neither packed nor text is unknown. */
function assignDecimals(message: Body, decimals: typeof TRADES, from: { readonly wide: Wide }): void {
  const values = from as unknown as Readonly<Record<string, bigint | undefined>>;
  for (const [property, key, number] of decimals) message[key] = decimalOf(values[property] ?? from.wide[number] ?? null);
}

/** A state of a later protocol is none to rely on. */
function stateOf(state: State): string {
  return (State[state] as string | undefined ?? "UNVERIFIED").toLowerCase();
}

// ------------------------------------------------------------------------------------------------------------- replies

/** A message as the object that JSON has. What Protobuf has no words for has messages of its own: see the names here. */
function plain(schema: DescMessage, message: AnyMessage): Body {
  const values = message as unknown as Readonly<Record<string, unknown>>;
  const found: Body = {};
  for (const field of schema.fields) {
    const value = values[field.oneof ? field.oneof.localName : field.localName];
    if (value === undefined) continue;
    if (field.fieldKind === "list") found[field.name] = (value as readonly unknown[]).map((one) => (field.message ? special(field.message, one) : one));
    else if (field.fieldKind === "map") found[field.name] = mapped(field.message, value as Readonly<Record<string, unknown>>);
    else if (field.fieldKind === "message") found[field.name] = special(field.message, value);
    else if (field.fieldKind === "enum") found[field.name] = stateOf(value as State);
    else found[field.name] = scalarOf(field.scalar, value);
  }
  return found;
}

function scalarOf(type: ScalarType, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return type === ScalarType.SFIXED64 ? timeOf(value) : Number(value);
}

function mapped(schema: DescMessage | undefined, map: Readonly<Record<string, unknown>>): Body {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, schema ? special(schema, value) : value]));
}

function special(schema: DescMessage, value: unknown): unknown {
  switch (schema.name) {
    case "RequestId": {
      const id = (value as NonNullable<ClientFrame["id"]>).id;
      return typeof id.value === "bigint" ? Number(id.value) : id.value;
    }
    case "Fields": {
      const fields = value as { readonly all: boolean; readonly values: readonly string[] };
      return fields.all ? null : fields.values;
    }
    case "Json":
      return JSON.parse((value as { readonly text: string }).text);
    case "CountersBySymbol":
      return plain(schema, value as AnyMessage)["symbols"];
    default:
      return plain(schema, value as AnyMessage);
  }
}

// ------------------------------------------------------------------------------------------------------------ requests

function frameOf(request: ClientRequest): ClientFrame {
  const frame = create(ClientFrameSchema, { request: bodyOf(request) });
  const { id } = request;
  if (typeof id === "string") frame.id = create(RequestIdSchema, { id: { case: "text", value: id } });
  else if (id !== undefined) frame.id = create(RequestIdSchema, { id: { case: "number", value: BigInt(id) } });
  return frame;
}

function bodyOf(request: ClientRequest): ClientFrame["request"] {
  switch (request.action) {
    case "subscribe":
      return { case: "subscribe", value: subscriptionOf(request) };
    case "unsubscribe": {
      const { action: _, id: __, symbols, ...rest } = request;
      return { case: "unsubscribe", value: create(UnsubscribeSchema, { ...rest, symbols: [...symbols] }) };
    }
    case "visibility":
      return { case: "visibility", value: create(VisibilitySchema, { hidden: request.hidden }) };
    case "auth":
      return { case: "auth", value: create(AuthSchema, { token: request.token }) };
    case "ping":
      return { case: "ping", value: create(PingSchema) };
    case "sync":
      return { case: "sync", value: create(SyncSchema) };
  }
}

function subscriptionOf({ action: _, id: __, symbols, fields, resume, ...rest }: SubscribeRequest): Subscribe {
  const subscribe = create(SubscribeSchema, { ...rest, symbols: [...symbols] });
  if (fields) subscribe.fields = create(FieldsSchema, { values: [...fields] });
  for (const [symbol, { epoch, seq }] of Object.entries(resume ?? {})) {
    subscribe.resume[symbol] = create(PlaceSchema, { epoch: BigInt(epoch), seq: BigInt(seq) });
  }
  return subscribe;
}
