import type { Codec } from "./codec.ts";
import { COMPACT_CODEC } from "./compact.ts";
import { JSON_CODEC } from "./json.ts";

/** `auto`, a codec of ours by its name, or one that was brought along. */
export type CodecChoice = "auto" | "json" | "msgpack" | Codec;

/** What a browser knows of the network, where it tells. */
interface NetworkInformation {
  readonly saveData?: boolean;
}

/** What is offered, first choice first. JSON is always among it: every gateway speaks it. */
export function choose(choice: CodecChoice): readonly Codec[] {
  const first = choice === "auto" ? automatic() : choice === "json" ? JSON_CODEC : choice === "msgpack" ? COMPACT_CODEC : choice;
  return first === JSON_CODEC ? [JSON_CODEC] : [first, JSON_CODEC];
}

/**
 * JSON, which takes the least of the reader's time: the engine's own parser is native code, and what it reads needs no
 * second step. Where the reader asked to save data, bytes count for more than time.
 */
function automatic(): Codec {
  const network = (globalThis as { navigator?: { connection?: NetworkInformation } }).navigator?.connection;
  return network?.saveData === true ? COMPACT_CODEC : JSON_CODEC;
}
