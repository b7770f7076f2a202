// A book of price levels, and the digest that proves it.

import { compare, isZero } from "./decimal.mjs";

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 (IEEE) of ASCII text. */
export function crc32(text) {
  let value = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    value = TABLE[(value ^ text.charCodeAt(index)) & 0xff] ^ (value >>> 8);
  }
  return ~value >>> 0;
}

/** Levels by the text of their price: one whose digits change is deleted and told anew. */
export class Book {
  #bids = new Map();
  #asks = new Map();
  #inSnapshot = false;

  /** The first part of a snapshot replaces everything, further parts add to it until one is the last. */
  snapshot(frame) {
    if (!this.#inSnapshot) {
      this.#bids.clear();
      this.#asks.clear();
    }
    this.#inSnapshot = frame.last === false;
    this.#set(frame);
  }

  update(frame) {
    this.#set(frame);
  }

  /** Whether the digest, where the message has one, is that of this book. */
  agrees(frame) {
    return frame.digest === undefined || frame.digest === null || frame.digest === this.digest();
  }

  digest() {
    return crc32([...this.bids(), ...this.asks()].map(([price, size]) => `${price}:${size}`).join(","));
  }

  bids() {
    return [...this.#bids].sort(([left], [right]) => compare(right, left));
  }

  asks() {
    return [...this.#asks].sort(([left], [right]) => compare(left, right));
  }

  #set({ bids = [], asks = [] }) {
    for (const [side, levels] of [[this.#bids, bids], [this.#asks, asks]]) {
      for (const [price, size] of levels) {
        if (isZero(size)) side.delete(price);
        else side.set(price, size);
      }
    }
  }
}
