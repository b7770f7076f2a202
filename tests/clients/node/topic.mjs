// What is known of one symbol in one channel, and the own count of what came.

import { Book } from "./book.mjs";

const HEAD = new Set(["type", "symbol", "channel", "interval", "epoch", "seq", "state", "server_timestamp", "last", "digest", "handle"]);
const BARS_KEPT = 1000;
const TRADES_KEPT = 10_000;

export class Topic {
  constructor(symbol, terms) {
    this.symbol = symbol;
    this.channel = terms.channel;
    this.interval = terms.interval ?? null;
    this.depth = undefined;
    this.mode = terms.mode ?? { price: "merge", trades: "all" }[terms.channel] ?? "keyed";
    this.state = "unknown";
    this.epoch = null;
    this.seq = null;
    this.recovered = null;
    this.counts = { published: 0, delivered: 0, merged: 0, lost: 0 };
    this.snapshots = 0;
    this.digests = 0;
    this.wrongDigests = 0;
    this.values = {};
    this.book = new Book();
    this.bars = new Map();
    this.trades = [];
    this.received = 0;
    this.base = 0;
    this.isWatched = false;
  }

  /** The gateway counts from here on, in this epoch; of later changes of terms only another depth begins anew. */
  acknowledge({ state, epoch, seq }, depth, isResumed) {
    this.state = state;
    if (epoch === undefined || (this.isWatched && depth === this.depth)) return;
    this.depth = depth;
    this.isWatched = true;
    this.counts = { published: 0, delivered: 0, merged: 0, lost: 0 };
    this.base = seq;
    if (!isResumed) this.#stand(epoch, seq);
  }

  /** What was missed comes now, or, where it cannot be proved, everything begins where the gateway stands. */
  resumed({ recovered, epoch, seq }) {
    this.recovered = recovered;
    if (!recovered) this.#stand(epoch, seq);
  }

  /** A trade that counts from the beginning told of another epoch, but not which. */
  learnEpoch(epoch) {
    this.epoch ??= epoch;
  }

  /** The connection is gone: nothing says that what is known is current. */
  lose() {
    this.state = "unknown";
    this.isWatched = false;
  }

  /** Applies a frame; returns false when the book is not what the gateway says it is. */
  apply(frame) {
    if (frame.state !== undefined) this.state = frame.state;
    if (frame.type === "status") return true;
    this.#count(frame);
    if (frame.type === "snapshot") this.snapshots += 1;
    return this[`_${this.channel}`](frame);
  }

  #stand(epoch, seq) {
    this.epoch = epoch;
    this.seq = seq;
  }

  _price(frame) {
    if (frame.type === "snapshot") this.values = {};
    for (const [key, value] of Object.entries(frame)) if (!HEAD.has(key)) this.values[key] = value;
    return true;
  }

  _trades(frame) {
    if (frame.type !== "trade") return true;
    this.received += 1;
    this.trades.push(frame);
    if (this.trades.length > TRADES_KEPT) this.trades.shift();
    return true;
  }

  _book(frame) {
    if (frame.type === "snapshot") this.book.snapshot(frame);
    else this.book.update(frame);
    if (frame.digest === undefined || frame.digest === null) return true;
    this.digests += 1;
    if (this.book.agrees(frame)) return true;
    this.wrongDigests += 1;
    return false;
  }

  _bars(frame) {
    if (frame.type === "snapshot") this.bars.clear();
    for (const bar of frame.type === "snapshot" ? frame.bars : [frame]) {
      if (bar.trades === 0) this.bars.delete(bar.start);
      else this.bars.set(bar.start, Object.fromEntries(Object.entries(bar).filter(([key]) => !HEAD.has(key))));
    }
    for (const start of this.bars.keys()) {
      if (this.bars.size <= BARS_KEPT) break;
      this.bars.delete(start);
    }
    return true;
  }

  /** A jump of `seq` by n is n ticks: one delivered, the others merged or, in mode `all`, lost. */
  #count(frame) {
    if (frame.seq === undefined) return;
    const isBack = this.channel === "trades" && frame.seq <= this.seq;
    if (isBack || (frame.epoch !== undefined && frame.epoch !== this.epoch)) {
      this.#stand(frame.epoch ?? null, 0);
      this.base = 0;
      this.counts = { published: 0, delivered: 0, merged: 0, lost: 0 };
    }
    const jump = frame.seq - Math.max(this.seq ?? 0, this.base);
    this.seq = frame.seq;
    if (jump <= 0) return;
    const delivered = frame.type === "lost" ? 0 : 1;
    this.counts.published += jump;
    this.counts.delivered += delivered;
    this.counts[this.mode === "all" ? "lost" : "merged"] += jump - delivered;
  }

  report() {
    const shown = { symbol: this.symbol, channel: this.channel, interval: this.interval, state: this.state };
    Object.assign(shown, { epoch: this.epoch, seq: this.seq, recovered: this.recovered });
    Object.assign(shown, { counts: this.counts, snapshots: this.snapshots });
    if (this.channel === "price") shown.values = this.values;
    if (this.channel === "trades") Object.assign(shown, { received: this.received, trades: this.trades });
    if (this.channel === "bars") shown.bars = [...this.bars.values()];
    if (this.channel === "book") {
      Object.assign(shown, { bids: this.book.bids(), asks: this.book.asks() });
      Object.assign(shown, { digests: this.digests, wrong_digests: this.wrongDigests });
    }
    return shown;
  }
}
