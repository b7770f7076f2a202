// Reads recorded messages in each codec, again and again: `python bench/sdk_codecs.py` makes them.

import { readFileSync } from "node:fs";
import { COMPACT_CODEC } from "../sdk/typescript/dist/codecs/compact.js";
import { JSON_CODEC } from "../sdk/typescript/dist/codecs/json.js";
import { PROTOBUF_CODEC } from "../sdk/typescript/dist/protobuf/index.js";

const ROUNDS = 9;
const folder = process.argv[2];

function recorded(codec) {
  const bytes = readFileSync(`${folder}/${codec}`);
  const messages = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    messages.push(new Uint8Array(bytes.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return messages;
}

const text = new TextDecoder();
const readerOf = (session) => (message) => session.decode(message);
const READERS = {
  // the platform hands a text message over as a string: making it is part of the cost
  json: () => (message) => JSON_CODEC.open().decode(text.decode(message)),
  msgpack: () => readerOf(COMPACT_CODEC.open()),
  proto: () => readerOf(PROTOBUF_CODEC.open()),
};

const rows = [];
for (const [codec, open] of Object.entries(READERS)) {
  const messages = recorded(codec);
  let count = 0;
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const read = open();
    const began = process.hrtime.bigint();
    count = 0;
    for (const message of messages) count += read(message).length;
    rounds.push(Number(process.hrtime.bigint() - began) / count);
  }
  rounds.sort((a, b) => a - b);
  const bytes = messages.reduce((sum, message) => sum + message.length, 0);
  rows.push({ codec, messages: messages.length, updates: count, "bytes an update": +(bytes / count).toFixed(1), "ns an update, median": Math.round(rounds[ROUNDS >> 1]), "best": Math.round(rounds[0]) });
}
console.table(rows);
