// A client of /stream, written from docs/protocol.md.

import { CODECS } from "./codecs.mjs";
import { Topic } from "./topic.mjs";

const SILENT_MS = 35_000;
const LONGEST_DELAY_MS = 30_000;
const LATER = new Set([4101, 4500, 4501]);
const RESUMED = new Set(["price", "trades"]);

export class Client {
  #codec;
  #socket = null;
  #watchdog;
  #attempts = 0;
  #ids = 0;
  #pending = new Map();
  #stopped = false;
  topics = new Map();
  feeds = new Map();
  gaps = new Map();
  delivery = null;
  subscriptions = [];
  connections = 0;
  heartbeats = 0;
  limit = null;
  errors = [];

  constructor(address, { codec = "json", batch = 1, firstDelayMs = 500, tell = () => {} } = {}) {
    Object.assign(this, { address, codecName: codec, batch, firstDelayMs, tell });
  }

  connect() {
    this.#codec = CODECS[this.codecName](this.batch);
    const socket = new WebSocket(`${this.address}?${this.#codec.query}`, [this.#codec.protocol]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    socket.onerror = () => {};
    this.#listen();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#watchdog);
    this.#socket.close(1000);
  }

  /** Sends a request; resolves with its reply, or null where the connection ends before. */
  request(request) {
    const id = (this.#ids += 1);
    return new Promise((resolve) => {
      this.#pending.set(id, { request, resolve });
      this.#send({ ...request, id });
    });
  }

  /** Watches symbols from now on, over breaks of the connection too. */
  async subscribe(terms) {
    this.subscriptions.push(terms);
    return this.request({ action: "subscribe", ...terms });
  }

  /** The gateway's counters and the own ones, of the same moment. */
  async sync() {
    const reply = await this.request({ action: "sync" });
    return { gateway: reply?.channels ?? null, own: reply?.own ?? null };
  }

  report() {
    return {
      connections: this.connections,
      heartbeats: this.heartbeats,
      limit: this.limit,
      errors: this.errors,
      topics: [...this.topics.values()].map((topic) => topic.report()),
      feeds: Object.fromEntries(this.feeds),
      gaps: [...this.gaps.values()],
      delivery: this.delivery,
    };
  }

  #opened() {
    this.connections += 1;
    this.#attempts = 0;
    this.tell({ event: "open", protocol: this.#socket.protocol });
    for (const terms of this.subscriptions) this.request({ action: "subscribe", ...terms, ...this.#resume(terms) });
  }

  #resume({ channel = "price", symbols }) {
    const known = [...this.topics.values()].filter(
      (topic) => RESUMED.has(channel) && topic.channel === channel && symbols.includes(topic.symbol) && topic.seq !== null,
    );
    if (known.length === 0) return {};
    return { resume: Object.fromEntries(known.map(({ symbol, epoch, seq }) => [symbol, { epoch, seq }])) };
  }

  #closed(code, reason) {
    clearTimeout(this.#watchdog);
    for (const { resolve } of this.#pending.values()) resolve(null);
    this.#pending.clear();
    for (const topic of this.topics.values()) topic.lose();
    const ours = code === 1002 || code === 1007 || code === 1009;
    if (this.#stopped || ours || (code >= 4800 && code < 4900)) {
      this.tell({ event: "end", code, reason });
      return;
    }
    const told = /retry in (\d+) ms/.exec(reason);
    const grown = Math.min(LONGEST_DELAY_MS, this.firstDelayMs * 2 ** this.#attempts);
    const delay = told ? Number(told[1]) : grown * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.tell({ event: "close", code, reason, delay_ms: Math.round(delay) });
    setTimeout(() => this.#stopped || this.connect(), delay);
  }

  /** Nothing for 35 s, though `hb` comes every 15 s: the connection is dead, whatever the socket says. */
  #listen() {
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#watchdog = setTimeout(() => {
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.#closed(1006, "silent");
    }, SILENT_MS);
  }

  #send(request) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(this.#codec.encode(request));
  }

  #received(data) {
    this.#listen();
    for (const frame of this.#codec.decode(data)) this.#frame(frame);
  }

  #frame(frame) {
    switch (frame.type) {
      case "hb":
        this.heartbeats += 1;
        return;
      case "rate":
        this.limit = { rate: frame.rate, reason: frame.reason };
        return;
      case "error":
        this.#refused(frame);
        return;
      case "subscribed":
        this.#subscribed(frame);
        return;
      case "resumed":
        for (const [symbol, standing] of Object.entries(frame.symbols)) {
          this.topics.get(keyOf({ channel: frame.channel, symbol }))?.resumed(standing);
        }
        return;
      case "synced":
        this.#answer(frame, { own: this.#counts(frame.channels) });
        return;
      case "feed":
        this.feeds.set(frame.feed.name, frame.feed);
        return;
      case "gap":
        this.gaps.set(frame.gap.id, frame.gap);
        return;
      case "delivery":
        this.delivery = frame.delivery;
        return;
      default:
        if (frame.channel === "status") this.#status(frame);
        else if (frame.symbol !== undefined) this.#data(frame);
        else this.#answer(frame);
    }
  }

  #subscribed(frame) {
    const request = this.#pending.get(frame.id)?.request ?? {};
    for (const [symbol, standing] of Object.entries(frame.symbols ?? {})) {
      const terms = { channel: frame.channel, interval: frame.interval, mode: frame.mode };
      const key = keyOf({ ...terms, symbol });
      if (frame.channel !== "status") {
        if (!this.topics.has(key)) this.topics.set(key, new Topic(symbol, terms));
        this.topics.get(key).acknowledge(standing, frame.depth, request.resume?.[symbol] !== undefined);
      }
    }
    const unknown = Object.keys(frame.symbols ?? {}).filter((symbol) => frame.symbols[symbol].state === "no_such_symbol");
    if (unknown.length > 0) this.#later({ ...request, action: "subscribe", symbols: unknown }, 1000);
    this.#answer(frame);
  }

  #refused(frame) {
    this.errors.push({ code: frame.code, reason: frame.reason });
    const request = this.#pending.get(frame.id)?.request;
    if (request && LATER.has(frame.code)) this.#later(request, 1000);
    this.#answer(frame);
  }

  #later(request, delay) {
    const socket = this.#socket;
    setTimeout(() => socket === this.#socket && this.request(request), delay * (1 + Math.random()));
  }

  #answer(frame, more = {}) {
    this.#pending.get(frame.id)?.resolve({ ...frame, ...more });
    this.#pending.delete(frame.id);
  }

  #status(frame) {
    this.feeds = new Map(frame.feeds.map((feed) => [feed.name, feed]));
    this.gaps = new Map(frame.gaps.map((gap) => [gap.id, gap]));
    this.delivery = frame.delivery;
  }

  #data(frame) {
    if (frame.type === "status") {
      for (const topic of this.topics.values()) if (topic.symbol === frame.symbol) topic.apply(frame);
      return;
    }
    const channel = frame.channel ?? "price";
    const topic = this.topics.get(keyOf({ ...frame, channel }));
    if (topic === undefined || topic.apply(frame)) return;
    const terms = this.subscriptions.find((each) => each.channel === "book" && each.symbols.includes(frame.symbol));
    this.request({ action: "unsubscribe", channel: "book", symbols: [frame.symbol] });
    this.request({ action: "subscribe", ...terms, symbols: [frame.symbol] });
  }

  #counts(channels) {
    const own = {};
    for (const topic of this.topics.values()) {
      const name = topic.interval ? `${topic.channel}:${topic.interval}` : topic.channel;
      topic.learnEpoch(channels[name]?.[topic.symbol]?.epoch);
      (own[name] ??= {})[topic.symbol] = { epoch: topic.epoch, seq: topic.seq, ...topic.counts };
    }
    return own;
  }
}

const keyOf = ({ channel, interval, symbol }) => [channel, interval ?? "", symbol].join("|");
