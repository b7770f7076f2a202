// How requests and frames are written, by the name that the command line takes. Each gives frames as JSON has them.

import { readFileSync } from "node:fs";
import { Compact } from "./compact.mjs";
import * as msgpack from "./msgpack.mjs";
import { ProtoFrames, request } from "./proto_frames.mjs";
import * as protobuf from "./protobuf.mjs";

const PROTO = new URL("../../../proto/tickcast.proto", import.meta.url);

export const CODECS = {
  json: (batch) => ({
    protocol: "tickcast.json",
    query: `numbers=string&batch=${batch}`,
    encode: JSON.stringify,
    decode: (data) => [JSON.parse(data)].flat(),
  }),
  msgpack: (batch) => ({
    protocol: "tickcast.msgpack",
    query: `batch=${batch}`,
    encode: msgpack.encode,
    decode: (data) => [msgpack.decode(data)].flat(),
  }),
  compact(batch) {
    const compact = new Compact();
    return {
      protocol: "tickcast.msgpack",
      query: `compact=1&batch=${batch}`,
      encode: msgpack.encode,
      decode: (data) => compact.read(msgpack.decode(data)),
    };
  },
  proto(batch) {
    const schema = protobuf.parse(readFileSync(PROTO, "utf8"));
    const frames = new ProtoFrames(schema);
    return {
      protocol: "tickcast.proto",
      query: `batch=${batch}`,
      encode: (asked) => protobuf.encode(schema, "ClientFrame", request(asked)),
      decode: (data) =>
        new protobuf.Reader(schema, new Uint8Array(data)).message("ServerFrame").messages.flatMap((each) => frames.read(each)),
    };
  },
};
