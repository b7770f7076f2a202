/**
 * The client's own count of what the gateway's `sync` counts, rule by rule (`docs/protocol.md`, sync): for each symbol of
 * each stream, since the connection's ack and in the current epoch, published = delivered + merged + lost.
 */

import type { Counted, Position, Recovery, ServerMessage, Stream, SymbolAck } from "./protocol.ts";

interface Topic {
  readonly stream: Stream;
  readonly symbol: string;
  epoch: number | null;
  seq: number | null;
  /** Counting begins behind it. */
  base: number;
  depth: number | undefined;
  isWatched: boolean;
  published: number;
  delivered: number;
  merged: number;
  lost: number;
}

/** Sums over all symbols since the client was made, over every connection. */
export interface Totals {
  readonly delivered: number;
  readonly merged: number;
  readonly lost: number;
}

export class Counts {
  readonly #topics = new Map<string, Topic>();
  readonly totals: { delivered: number; merged: number; lost: number } = { delivered: 0, merged: 0, lost: 0 };

  /** The gateway counts from here on; of later changes of terms only another depth of a book begins anew. */
  acknowledged(stream: Stream, symbol: string, ack: SymbolAck, depth: number | undefined, isResumed: boolean): void {
    if (ack.epoch === undefined || ack.seq === undefined) return;
    const topic = this.#open(stream, symbol);
    if (topic.isWatched && depth === topic.depth) return;
    topic.depth = depth;
    topic.isWatched = true;
    begin(topic);
    topic.base = ack.seq;
    if (!isResumed) Object.assign(topic, { epoch: ack.epoch, seq: ack.seq });
  }

  /** What was missed comes now, or, where that cannot be proved, everything begins where the gateway stands. */
  resumed(stream: Stream, symbol: string, { recovered, epoch, seq }: Recovery): void {
    if (!recovered && epoch !== undefined && seq !== undefined) Object.assign(this.#open(stream, symbol), { epoch, seq });
  }

  /** Of data alone: replies are counted by the two above. Returns how many ticks were merged into this one, or lost. */
  take(message: ServerMessage, stream: Stream): number {
    if (!("symbol" in message) || message.type === "status" || !("seq" in message)) return 0;
    const topic = this.#topics.get(`${stream} ${message.symbol}`);
    const seq = message.seq;
    if (!topic || typeof seq !== "number") return 0;
    const epoch = "epoch" in message ? message.epoch : undefined;
    const isBack = stream === "trades" && topic.seq !== null && seq <= topic.seq;
    if (isBack || (epoch !== undefined && epoch !== topic.epoch)) {
      begin(topic);
      Object.assign(topic, { epoch: epoch ?? null, seq: 0, base: 0 });
    }
    const jump = seq - Math.max(topic.seq ?? 0, topic.base);
    topic.seq = Math.max(seq, topic.seq ?? 0);
    if (jump <= 0) return 0;
    const delivered = message.type === "lost" ? 0 : 1;
    topic.published += jump;
    topic.delivered += delivered;
    this.totals.delivered += delivered;
    const rest = jump - delivered;
    if (stream === "trades") topic.lost += rest;
    else topic.merged += rest;
    if (stream === "trades") this.totals.lost += rest;
    else this.totals.merged += rest;
    return rest;
  }

  forget(stream: Stream, symbol: string): void {
    this.#topics.delete(`${stream} ${symbol}`);
  }

  /** The connection is gone: the gateway's count of the next one begins anew. */
  disconnected(): void {
    for (const topic of this.#topics.values()) topic.isWatched = false;
  }

  /** Where a stream of a symbol stands. */
  position(stream: Stream, symbol: string): Position | undefined {
    const topic = this.#topics.get(`${stream} ${symbol}`);
    return topic && topic.epoch !== null && topic.seq !== null ? { epoch: topic.epoch, seq: topic.seq } : undefined;
  }

  /** Trades carry no epoch: one that began without a word is learned from the gateway's counters. */
  learnEpoch(stream: Stream, symbol: string, epoch: number): void {
    const topic = this.#topics.get(`${stream} ${symbol}`);
    if (topic) topic.epoch ??= epoch;
  }

  of(stream: Stream, symbol: string): Counted | undefined {
    const topic = this.#topics.get(`${stream} ${symbol}`);
    if (!topic) return undefined;
    const { published, delivered, merged, lost } = topic;
    return { epoch: topic.epoch ?? 0, seq: topic.seq ?? 0, published, delivered, merged, lost };
  }

  #open(stream: Stream, symbol: string): Topic {
    const key = `${stream} ${symbol}`;
    let topic = this.#topics.get(key);
    if (!topic) {
      topic = { stream, symbol, epoch: null, seq: null, base: 0, depth: undefined, isWatched: false, published: 0, delivered: 0, merged: 0, lost: 0 };
      this.#topics.set(key, topic);
    }
    return topic;
  }
}

function begin(topic: Topic): void {
  Object.assign(topic, { published: 0, delivered: 0, merged: 0, lost: 0 });
}
