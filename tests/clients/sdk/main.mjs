// Runs the SDK as it is published in a process: commands are lines of JSON on stdin, what happens is told on stdout.
//
//   node main.mjs http://127.0.0.1:8000 '{"codec":"json"}'
//   {"do":"prices","symbols":["AAPL"],"options":{"rate":20}}   {"do":"sync"}   {"do":"report"}   {"do":"close"}

import { createInterface } from "node:readline";
import { ClosedError, connect } from "../../../sdk/typescript/dist/index.js";

const [url, options = "{}"] = process.argv.slice(2);
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const { tokens, ticketFrom, bearer, ...rest } = JSON.parse(options);
if (rest.codec === "proto") rest.codec = (await import("../../../sdk/typescript/dist/protobuf/index.js")).PROTOBUF_CODEC;
const credentials = {};
if (tokens) credentials.token = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
if (ticketFrom) {
  credentials.ticket = async () => {
    const answer = await fetch(ticketFrom, { method: "POST", headers: { Authorization: `Bearer ${bearer}` } });
    return (await answer.json()).ticket;
  };
}
const market = connect(url, { ...rest, ...credentials });
const subscriptions = [];
const seen = { ticks: {}, states: {}, merged: 0, events: 0, trades: {}, lost: [], books: {}, bars: {}, errors: [], access: [], closed: null };

market.on("connection", (connection) => tell({ event: connection.phase, ...connection }));
market.on("access", (access) => access && seen.access.push(access));
market.on("error", ({ code, reason }) => seen.errors.push({ code, reason }));

const TAKE = {
  prices(tick) {
    seen.events += 1;
    seen.merged += tick.merged;
    seen.ticks[tick.symbol] = tick;
    const states = (seen.states[tick.symbol] ??= []);
    if (states.at(-1) !== tick.state) states.push(tick.state);
  },
  trades(event) {
    if (event.type === "lost") seen.lost.push(event);
    else (seen.trades[event.symbol] ??= []).push(event.price);
  },
  books(book) {
    seen.books[book.symbol] = book;
  },
  bars(bar) {
    (seen.bars[bar.symbol] ??= {})[bar.start] = bar;
  },
};

async function follow(what, { symbols, options: terms }) {
  const subscription = market[what](symbols, terms);
  subscriptions.push(subscription);
  tell({ event: "watching" });
  try {
    for await (const event of subscription) TAKE[what](event);
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    seen.closed = { code: error.code, message: error.message };
  }
}

async function run({ do: what, ...rest }) {
  if (what in TAKE) await follow(what, rest);
  else if (what === "sync") tell({ event: "synced", ...(await market.sync()) });
  else if (what === "end") subscriptions[rest.which].close();
  else if (what === "retry") market.retryNow();
  else if (what === "report") {
    const { codec, connection, counters } = market;
    tell({ event: "report", ...seen, codec, connection, counters });
  } else if (what === "close") {
    market.close();
    process.stdin.destroy();
  } else throw new Error(`unknown command ${what}`);
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => run(JSON.parse(line)));
lines.on("close", () => market.close());
