import { isMessage, type ClientRequest, type ServerMessage } from "../protocol.ts";

/** A way to write requests and read messages; what it has to remember belongs to one connection. */
export interface Codec {
  readonly name: string;
  /** Offered in the handshake; the gateway picks the first that it speaks. */
  readonly subprotocol: string;
  /** For the address of the stream. */
  readonly query: Readonly<Record<string, string>>;
  open(): CodecSession;
}

export interface CodecSession {
  encode(request: ClientRequest): string | Uint8Array<ArrayBuffer>;
  /** The messages of one WebSocket message, in order. Throws a SyntaxError where it cannot be read. */
  decode(data: unknown): readonly ServerMessage[];
}

/** Throws a SyntaxError unless all are messages. */
export function messagesOf(values: readonly unknown[]): readonly ServerMessage[] {
  for (const value of values) {
    if (!isMessage(value)) throw new SyntaxError(`expected an object with a "type", found ${JSON.stringify(value)?.slice(0, 80)}`);
  }
  return values as readonly ServerMessage[];
}

/** The bytes of a binary message. */
export function bytesOf(data: unknown): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Uint8Array) return data;
  throw new SyntaxError("expected a binary message, found text");
}
