import { expect, test } from "vitest";

import { Ledger, nothingApplied } from "./ledger.ts";
import type { ServerMessage } from "./protocol.ts";

function ledgerWith(...messages: readonly ServerMessage[]) {
  const ledger = new Ledger();
  const applied = nothingApplied();
  for (const message of messages) ledger.apply(message, 1_000, applied);
  return { ledger, applied, quote: () => ledger.quote("AAPL") };
}

const ACK: ServerMessage = { type: "subscribed", channel: "price", symbols: { AAPL: { state: "live", epoch: 7, seq: 912 } } };
const SNAPSHOT: ServerMessage = {
  type: "snapshot",
  symbol: "AAPL",
  price: "185.40",
  bid: "185.39",
  bid_size: "100",
  state: "live",
  epoch: 7,
  seq: 912,
};

test("a jump of n is one received and n - 1 merged", () => {
  const { quote, applied } = ledgerWith(
    ACK,
    SNAPSHOT,
    { type: "update", symbol: "AAPL", price: "185.43", seq: 915 },
    { type: "update", symbol: "AAPL", bid: "185.42", seq: 916 },
  );
  expect(quote()).toMatchObject({ received: 2, merged: 2, seq: 916, epoch: 7 });
  expect(applied).toMatchObject({ received: 2, merged: 2 });
});

test("received + merged = what the server counted since the ack", () => {
  const seqs = [913, 920, 921, 950, 1_000];
  const { quote } = ledgerWith(ACK, SNAPSHOT, ...seqs.map((seq): ServerMessage => ({ type: "update", symbol: "AAPL", seq })));
  expect((quote()?.received ?? 0) + (quote()?.merged ?? 0)).toBe(1_000 - 912);
});

test("updates change only what they carry, and digits stay text", () => {
  const { quote } = ledgerWith(ACK, SNAPSHOT, { type: "update", symbol: "AAPL", price: "185.50", seq: 913 });
  expect(quote()?.fields).toEqual({ price: "185.50", bid: "185.39", bid_size: "100", state: "live" });
});

test("a snapshot replaces everything", () => {
  const later: ServerMessage = { type: "snapshot", symbol: "AAPL", price: "1", epoch: 7, seq: 914 };
  const { quote } = ledgerWith(ACK, SNAPSHOT, later);
  expect(quote()?.fields).toEqual({ price: "1" });
  expect(quote()).toMatchObject({ received: 1, merged: 1 });
});

test("an update before the first snapshot is not believed", () => {
  const { ledger, quote } = ledgerWith(ACK, { type: "update", symbol: "AAPL", price: "9", seq: 913 });
  expect(quote()?.fields).toEqual({});
  expect(ledger.ignored).toBe(1);
});

test("a repeated seq changes nothing", () => {
  const { ledger, quote } = ledgerWith(ACK, SNAPSHOT, { type: "update", symbol: "AAPL", price: "9", seq: 912 });
  expect(quote()).toMatchObject({ fields: { price: "185.40" }, received: 0, merged: 0 });
  expect(ledger.ignored).toBe(1);
});

test("a new epoch in the ack closes the quote until its snapshot comes", () => {
  const { ledger, quote } = ledgerWith(ACK, SNAPSHOT);
  const applied = nothingApplied();
  ledger.apply({ type: "subscribed", channel: "price", symbols: { AAPL: { state: "live", epoch: 8, seq: 3 } } }, 2_000, applied);
  ledger.apply({ type: "update", symbol: "AAPL", price: "9", seq: 5 }, 2_000, applied);
  expect(quote()).toMatchObject({ complete: false, resets: 1, fields: { price: "185.40" } });
  ledger.apply({ type: "snapshot", symbol: "AAPL", price: "190.00", state: "live", epoch: 8, seq: 6 }, 2_000, applied);
  expect(quote()).toMatchObject({ complete: true, state: "live", fields: { price: "190.00" }, seq: 6, epoch: 8 });
  expect(quote()).toMatchObject({ received: 1, merged: 2 });
});

test("an update of another epoch asks for a new snapshot", () => {
  const { applied, quote } = ledgerWith(ACK, SNAPSHOT, { type: "update", symbol: "AAPL", price: "9", seq: 2, epoch: 8 });
  expect([...applied.broken]).toEqual(["AAPL"]);
  expect(quote()).toMatchObject({ complete: false, state: "syncing", fields: { price: "185.40" } });
});

test("a refused resume claims nothing about what was missed", () => {
  const resumed: ServerMessage = { type: "resumed", symbols: { AAPL: { recovered: false, reason: "too_old" } } };
  const { ledger, quote } = ledgerWith(ACK, SNAPSHOT, resumed);
  expect(quote()).toMatchObject({ complete: false, reason: "not recovered: too_old" });
  expect(ledger.position("AAPL", "price")).toBeUndefined();
  ledger.apply({ ...SNAPSHOT, seq: 5_000 } as ServerMessage, 2_000, nothingApplied());
  expect(quote()).toMatchObject({ complete: true, received: 1, merged: 0, seq: 5_000, reason: null });
});

test("what was missed during a recovered gap counts as merged", () => {
  const resumed: ServerMessage = { type: "resumed", symbols: { AAPL: { recovered: true } } };
  const { quote } = ledgerWith(ACK, SNAPSHOT, ACK, resumed, { ...SNAPSHOT, seq: 1_012 } as ServerMessage);
  expect(quote()).toMatchObject({ received: 1, merged: 99, resets: 0 });
});

test("a status changes the state and not the age", () => {
  const { ledger, quote } = ledgerWith(ACK, SNAPSHOT);
  ledger.apply({ type: "status", symbol: "AAPL", state: "stale", reason: "feed quiet 5 s" }, 9_000, nothingApplied());
  expect(quote()).toMatchObject({ state: "stale", reason: "feed quiet 5 s", receivedAtMs: 1_000 });
  ledger.apply({ type: "update", symbol: "AAPL", state: "live", seq: 914 }, 9_500, nothingApplied());
  expect(quote()).toMatchObject({ state: "live", reason: null, receivedAtMs: 9_500 });
});

test("in trades a jump is a loss, said once", () => {
  const trade = (seq: number): ServerMessage => ({
    type: "trade", symbol: "AAPL", channel: "trades", seq, id: String(seq), price: "1", size: "1", side: null, timestamp: "",
  });
  const { ledger } = ledgerWith(
    { type: "subscribed", channel: "trades", symbols: { AAPL: { state: "live", epoch: 7, seq: 10 } } },
    trade(11),
    { type: "lost", symbol: "AAPL", channel: "trades", count: 3, epoch: 7, seq: 14 },
    trade(15),
    trade(18),
    trade(18),
  );
  expect(ledger.tape("AAPL")).toMatchObject({ lost: 5, seq: 18 });
  expect(ledger.tape("AAPL")?.trades.map((one) => one.seq)).toEqual([18, 15, 11]);
});

test("messages of symbols that nobody watches leave nothing behind", () => {
  const { ledger } = ledgerWith(SNAPSHOT, { type: "status", symbol: "AAPL", state: "live" });
  expect(ledger.quote("AAPL")).toBeUndefined();
});
