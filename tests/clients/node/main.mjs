// Runs the client as a process: commands are lines of JSON on stdin, what happens is told as lines of JSON on stdout.
//
//   node --experimental-websocket main.mjs ws://127.0.0.1:8000/stream [codec] [batch] [first delay in ms]
//   {"do":"subscribe","symbols":["AAPL"],"channel":"price"}
//   {"do":"sync"}   {"do":"report"}   {"do":"request","action":"ping"}   {"do":"stop"}

import { createInterface } from "node:readline";
import { Client } from "./client.mjs";

const [address, codec = "json", batch = "1", firstDelayMs = "500"] = process.argv.slice(2);
const tell = (event) =>
  process.stdout.write(`${JSON.stringify(event)}\n`, () => event.event === "end" && process.exit(0));
const client = new Client(address, { codec, batch, firstDelayMs: Number(firstDelayMs), tell });

async function run({ do: what, ...rest }) {
  if (what === "subscribe") tell({ event: "reply", ...(await client.subscribe(rest)) });
  else if (what === "request") tell({ event: "reply", ...(await client.request(rest)) });
  else if (what === "sync") tell({ event: "synced", ...(await client.sync()) });
  else if (what === "report") tell({ event: "report", ...client.report() });
  else if (what === "stop") client.stop();
  else throw new Error(`unknown command ${what}`);
}

client.connect();
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => run(JSON.parse(line)));
lines.on("close", () => client.stop());
