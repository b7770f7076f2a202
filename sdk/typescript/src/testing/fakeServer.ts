/** A scripted server in the same process, for tests: it hands out sockets, remembers requests and says what it is told. */

import type { CloseLike, SocketLike } from "../contract.ts";
import type { Channel, Position, ServerMessage } from "../protocol.ts";

type Request = Readonly<Record<string, unknown>> & { readonly action: string; readonly id: number };

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

/** One connection, seen from both ends. */
export class FakeSocket implements SocketLike {
  readyState = CONNECTING;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: ((event: CloseLike) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly requests: Request[] = [];
  closedByClient: { readonly code: number | undefined; readonly reason: string | undefined } | null = null;
  readonly url: string;
  readonly subprotocols: readonly string[];
  readonly #answer: (socket: FakeSocket, request: Request) => void;

  constructor(url: string, subprotocols: readonly string[], answer: (socket: FakeSocket, request: Request) => void) {
    this.url = url;
    this.subprotocols = subprotocols;
    this.#answer = answer;
  }

  // the client's end

  send(text: string | Uint8Array<ArrayBuffer>): void {
    if (this.readyState !== OPEN) throw new Error(`expected an open socket, found state ${this.readyState}`);
    const request = JSON.parse(String(text)) as Request;
    this.requests.push(request);
    this.#answer(this, request);
  }

  close(code?: number, reason?: string): void {
    this.readyState = CLOSED;
    this.closedByClient = { code, reason };
  }

  // the server's end

  accept(): void {
    this.readyState = OPEN;
    this.onopen?.({} as never);
  }

  /** One message, an array, as a connection gets it that asked for `batch=1`. */
  say(...messages: readonly ServerMessage[]): void {
    this.sayText(JSON.stringify(messages));
  }

  sayText(text: unknown): void {
    if (this.readyState === OPEN) this.onmessage?.({ data: text });
  }

  end(code: number, reason = ""): void {
    this.readyState = CLOSED;
    this.onclose?.({ code, reason });
  }
}

/** Answers requests by the protocol where `answers` is on; positions are those of `instruments`. */
export class FakeServer {
  readonly sockets: FakeSocket[] = [];
  readonly instruments = new Map<string, { epoch: number; seq: number; price: string }>();
  answers = true;
  /** How late everything is, in seconds; 0 = it is not. */
  delayS = 0;
  /** Changes the next replies before they go out. */
  refuse: ((request: Request) => ServerMessage | null) | null = null;

  readonly createSocket = (url: string, subprotocols: readonly string[]): FakeSocket => {
    const socket = new FakeSocket(url, subprotocols, (from, request) => this.#answer(from, request));
    this.sockets.push(socket);
    return socket;
  };

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("expected a connection, found none");
    return socket;
  }

  /** Every request of one kind on the newest connection. */
  requests(action: string): readonly Request[] {
    return this.last.requests.filter((request) => request.action === action);
  }

  get #live() {
    return this.delayS > 0 ? "delayed" : "live";
  }

  snapshot(symbol: string): ServerMessage {
    const instrument = this.instruments.get(symbol);
    if (!instrument) throw new Error(`expected a known symbol, found ${symbol}`);
    return { type: "snapshot", symbol, price: instrument.price, bid: "1.0", state: this.#live, epoch: instrument.epoch, seq: instrument.seq };
  }

  #answer(socket: FakeSocket, request: Request): void {
    if (!this.answers) return;
    const refusal = this.refuse?.(request);
    if (refusal) return socket.say(refusal);
    if (request.action === "visibility") return socket.say({ type: "visibility", id: request.id });
    if (request.action === "unsubscribe") return socket.say({ type: "unsubscribed", id: request.id });
    if (request.action === "auth") {
      const scope = { subject: "reader", symbols: ["*"], channels: [], depth: 50, rate: 0, delay_s: 0 };
      return socket.say({ type: "authenticated", id: request.id, ...scope });
    }
    const symbols = request["symbols"] as readonly string[];
    if (request["channel"] === "status") return socket.say({ type: "subscribed", id: request.id, channel: "status", symbols: {} });
    const channel = (request["channel"] ?? "price") as Channel;
    const resume = (request["resume"] ?? {}) as Readonly<Record<string, Position>>;
    const acks = Object.fromEntries(symbols.map((symbol) => [symbol, this.#ack(symbol)]));
    const replies: ServerMessage[] = [{ type: "subscribed", id: request.id, channel, symbols: acks, ...(this.delayS > 0 ? { delay_s: this.delayS } : {}) }];
    const outcomes = Object.entries(resume).map(([symbol, place]) => [symbol, this.#outcome(symbol, place)] as const);
    if (outcomes.length > 0) replies.push({ type: "resumed", id: request.id, symbols: Object.fromEntries(outcomes) });
    for (const symbol of symbols) {
      const place = resume[symbol];
      const instrument = this.instruments.get(symbol);
      const isUnchanged = place?.epoch === instrument?.epoch && place?.seq === instrument?.seq;
      if (channel === "price" && instrument && !isUnchanged) replies.push(this.snapshot(symbol));
    }
    socket.say(...replies);
  }

  #ack(symbol: string) {
    const instrument = this.instruments.get(symbol);
    return instrument
      ? ({ state: this.#live, epoch: instrument.epoch, seq: instrument.seq } as const)
      : ({ state: "no_such_symbol" } as const);
  }

  #outcome(symbol: string, place: Position): { recovered: boolean; reason?: string } {
    const instrument = this.instruments.get(symbol);
    if (!instrument) return { recovered: false, reason: "unknown" };
    if (instrument.epoch !== place.epoch) return { recovered: false, reason: "epoch_changed" };
    return place.seq > instrument.seq ? { recovered: false, reason: "ahead" } : { recovered: true };
  }
}
