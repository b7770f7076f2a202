import { crc32 } from "node:zlib";

import { expect, test } from "vitest";

import { Books, digestOf } from "./books.ts";
import type { BookSnapshotMessage, BookUpdateMessage } from "./protocol.ts";

const SNAPSHOT: BookSnapshotMessage = {
  type: "snapshot",
  symbol: "AAPL",
  channel: "book",
  depth: 10,
  bids: [["185.41", "300"], ["185.40", "1200"]],
  asks: [["185.43", "100"], ["185.50", "0.25"]],
  timestamp: "2026-03-29T14:30:01Z",
  epoch: 7,
  seq: 912,
  state: "live",
  last: true,
  digest: crc32("185.41:300,185.40:1200,185.43:100,185.50:0.25"),
};

function opened(snapshot: BookSnapshotMessage = SNAPSHOT) {
  const books = new Books();
  const book = books.open("AAPL");
  expect(books.snapshot(snapshot)).toBe(snapshot.digest === undefined ? "changed" : "verified");
  return { books, book };
}

function update(change: Partial<BookUpdateMessage>): BookUpdateMessage {
  return { type: "update", symbol: "AAPL", channel: "book", seq: 913, ...change };
}

test("a snapshot is verified, and levels are applied by price, best first", () => {
  const { books, book } = opened();
  expect(book).toMatchObject({ complete: true, verified: 1, seq: 912 });
  expect(books.update(update({ bids: [["185.405", "7"], ["185.41", "250"]], asks: [["185.43", "0"], ["1000.1", "1"]] }))).toBe("changed");
  expect(book.bids).toEqual([
    { price: "185.41", size: "250" },
    { price: "185.405", size: "7" },
    { price: "185.40", size: "1200" },
  ]);
  expect(book.asks.map((level) => level.price)).toEqual(["185.50", "1000.1"]);
  expect(books.update(update({ seq: 914, asks: [["77", "0.000"]] }))).toBe("changed"); // a level that is not there
  expect(books.update(update({ seq: 914, asks: [["77", "1"]] }))).toBe("ignored"); // seen before
});

test.each([
  ["deleted first", [["185.41", "0"], ["185.4100", "9"]]],
  ["told first", [["185.4100", "9"], ["185.41", "0"]]],
] as const)("a price whose digits change is another level, the old one %s", (_, bids) => {
  const { books, book } = opened();
  books.update(update({ bids }));
  expect(book.bids).toEqual([{ price: "185.4100", size: "9" }, { price: "185.40", size: "1200" }]);
});

test("prices below zero are in order too", () => {
  const { digest: _, ...rest } = SNAPSHOT;
  const { book } = opened({ ...rest, bids: [["-2", "1"], ["-1.5", "1"]], asks: [["0", "1"], ["-1", "1"]] });
  expect([book.bids[0]?.price, book.asks[0]?.price]).toEqual(["-1.5", "-1"]);
});

test("a book that does not add up is thrown away and counted", () => {
  const { books, book } = opened();
  const digest = digestOf({ bids: book.bids, asks: book.asks.slice(1) });
  expect(books.update(update({ asks: [["185.43", "0"]], digest }))).toBe("verified");
  expect(books.update(update({ seq: 920, bids: [["185.30", "1"]], digest }))).toBe("broken");
  expect(book).toMatchObject({ complete: false, bids: [], asks: [], verified: 2, failed: 1 });
  expect(books.update(update({ seq: 921 }))).toBe("ignored");
  books.snapshot(SNAPSHOT);
  expect(book).toMatchObject({ complete: true, reason: null });
});

test("a snapshot in parts counts with its last one", () => {
  const books = new Books();
  const book = books.open("AAPL");
  const { digest, ...rest } = SNAPSHOT;
  books.snapshot({ ...rest, asks: [], last: false });
  expect(book.complete).toBe(false);
  expect(books.update(update({}))).toBe("ignored");
  books.snapshot({ ...rest, bids: [], ...(digest === undefined ? {} : { digest }) });
  expect(book).toMatchObject({ complete: true, verified: 1 });
  expect(book.bids).toHaveLength(2);
});

test("a book that is not whole is empty and says so", () => {
  const { book, books } = opened();
  books.snapshot({ ...SNAPSHOT, bids: [], asks: [], state: "repairing", digest: crc32("") });
  expect(book).toMatchObject({ bids: [], asks: [], state: "repairing", complete: true });
});

test("an update of a foreign epoch breaks the book; those of others are nobody's", () => {
  const { books, book } = opened();
  expect(books.update(update({ epoch: 8 }))).toBe("broken");
  expect(book.complete).toBe(false);
  expect(books.update(update({ symbol: "MSFT" }))).toBe("ignored");
});
