/**
 * A WebSocket client for Node, on `node:http` alone: Node 20 has none of its own that is on by default, and the one of
 * later versions does not tell why a handshake was refused. As much of RFC 6455 as a client needs, without extensions.
 *
 * Node's modules are taken at run time (`process.getBuiltinModule`, Node 20.16), so that a bundler for browsers finds no
 * import of them.
 */

import type { CloseLike, SocketLike } from "./contract.ts";

/** What is used of `net.Socket`, `http` and `crypto`. */
interface NetSocket {
  on(event: string, listener: (...values: never[]) => void): void;
  write(bytes: Uint8Array): void;
  end(): void;
  destroy(): void;
  setNoDelay(): void;
}
interface Answer {
  readonly statusCode?: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  resume(): void;
  setEncoding(encoding: string): void;
  on(event: string, listener: (...values: never[]) => void): void;
}
interface Asking {
  on(event: string, listener: (...values: never[]) => void): void;
  end(): void;
  destroy(): void;
}
interface Http {
  request(url: string, options: { readonly headers: Readonly<Record<string, string>> }): Asking;
}
interface Crypto {
  randomBytes(count: number): Uint8Array;
  createHash(name: string): { update(text: string): { digest(encoding: string): string } };
}
interface NodeProcess {
  getBuiltinModule?(name: string): unknown;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const CLOSE_WAIT_MS = 2_000;
/** Larger than anything that a gateway sends. */
const MESSAGE_MAX = 1 << 26;
const REASON_MAX = 300;
const TEXT = new TextDecoder("utf-8", { fatal: true });
const BYTES = new TextEncoder();

function nodeProcess(): NodeProcess | undefined {
  return (globalThis as { process?: NodeProcess & { versions?: { node?: string; bun?: string } } }).process;
}

/** Whether this is a Node that has what is needed. */
export function isNode(): boolean {
  const isOther = "Deno" in globalThis || "Bun" in globalThis || typeof (globalThis as { document?: unknown }).document === "object";
  return !isOther && typeof nodeProcess()?.getBuiltinModule === "function";
}

export class NodeSocket implements SocketLike {
  readyState = CONNECTING;
  protocol = "";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: ((event: CloseLike) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #crypto: Crypto;
  readonly #request: Asking;
  #socket: NetSocket | null = null;
  #pending: Uint8Array = new Uint8Array();
  #parts: Uint8Array[] = [];
  #partsOpcode = 0;
  #partsBytes = 0;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #told: CloseLike | null = null;

  /** `headers` go with the handshake: a token may be in them, as it is in no address. */
  constructor(url: string, subprotocols: readonly string[], headers: Readonly<Record<string, string>> = {}) {
    const modules = nodeProcess();
    const http = modules?.getBuiltinModule?.(url.startsWith("wss:") ? "node:https" : "node:http") as Http;
    this.#crypto = modules?.getBuiltinModule?.("node:crypto") as Crypto;
    const key = btoa(String.fromCharCode(...this.#crypto.randomBytes(16)));
    this.#request = http.request(url.replace(/^ws/, "http"), {
      headers: {
        ...headers,
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": subprotocols.join(", "),
      },
    });
    this.#request.on("upgrade", (answer: Answer, socket: NetSocket, head: Uint8Array) => this.#upgraded(answer, socket, head, key));
    this.#request.on("response", (answer: Answer) => this.#refused(answer));
    this.#request.on("error", (error: Error) => this.#end({ code: 1006, reason: error.message }));
    this.#request.end();
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.readyState !== OPEN) throw new Error(`expected an open socket, found state ${this.readyState}`);
    if (typeof data === "string") this.#write(1, BYTES.encode(data));
    else this.#write(2, data);
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState === CONNECTING) {
      this.readyState = CLOSED;
      this.#request.destroy();
      return;
    }
    if (this.readyState !== OPEN) return;
    const text = BYTES.encode(reason);
    this.#write(8, Uint8Array.of(code >> 8, code & 255, ...text));
    this.readyState = CLOSING;
    this.#closeTimer = setTimeout(() => this.#end({ code: 1006, reason: "the close was not answered" }), CLOSE_WAIT_MS);
  }

  #upgraded(answer: Answer, socket: NetSocket, head: Uint8Array, key: string): void {
    socket.on("error", (error: Error) => this.#end({ code: 1006, reason: error.message }));
    if (this.readyState !== CONNECTING) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    const expected = this.#crypto.createHash("sha1").update(key + GUID).digest("base64");
    if (answer.headers["sec-websocket-accept"] !== expected) {
      this.#end({ code: 1006, reason: "the answer to the handshake is not that of a WebSocket server" });
      return;
    }
    socket.setNoDelay();
    this.protocol = answer.headers["sec-websocket-protocol"] ?? "";
    this.readyState = OPEN;
    socket.on("data", (bytes: Uint8Array) => this.#received(bytes));
    socket.on("end", () => this.#end({ code: 1006, reason: "" }));
    socket.on("close", () => this.#end({ code: 1006, reason: "" }));
    this.onopen?.({} as never);
    if (head.length > 0) this.#received(head);
  }

  /** The handshake was answered, but not with an upgrade: say why, where the answer says it. */
  #refused(answer: Answer): void {
    const status = answer.statusCode ?? 0;
    const after = Number(answer.headers["retry-after"]);
    const retryAfterMs = Number.isFinite(after) && after > 0 ? after * 1_000 : undefined;
    let body = "";
    answer.setEncoding("utf8");
    answer.on("data", (text: string) => {
      if (body.length < 4_096) body += text;
    });
    const done = (): void => {
      this.#end({ code: 1006, reason: reasonIn(body), status, retryAfterMs });
      this.#request.destroy();
    };
    answer.on("end", done);
    answer.on("error", done);
  }

  #received(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#pending.length > 0) {
      rest = new Uint8Array(this.#pending.length + bytes.length);
      rest.set(this.#pending);
      rest.set(bytes, this.#pending.length);
    }
    let at = 0;
    try {
      for (let next = this.#frame(rest, at); next > at && this.readyState !== CLOSED; next = this.#frame(rest, at)) at = next;
    } catch (error) {
      this.#fail(error instanceof RangeError ? 1009 : error instanceof TypeError ? 1007 : 1002, String(error));
      return;
    }
    this.#pending = rest.subarray(at);
  }

  /** Takes the frame at a place; returns the place behind it, or the same where it is not whole. */
  #frame(bytes: Uint8Array, at: number): number {
    const [first = 0, second = 0] = bytes.subarray(at, at + 2);
    if (bytes.length < at + 2) return at;
    let head = at + 2;
    let size = second & 127;
    if (size > 125) {
      const width = size === 126 ? 2 : 8;
      if (bytes.length < head + width) return at;
      size = 0;
      for (const byte of bytes.subarray(head, head + width)) size = size * 256 + byte;
      head += width;
    }
    if (second & 128) throw new SyntaxError("expected an unmasked frame, found a masked one");
    if (first & 0x70) throw new SyntaxError("expected no extension, found reserved bits");
    if (size + this.#partsBytes > MESSAGE_MAX) throw new RangeError(`expected at most ${MESSAGE_MAX} bytes, found more`);
    if (bytes.length < head + size) return at;
    this.#take(first & 15, (first & 128) !== 0, bytes.subarray(head, head + size));
    return head + size;
  }

  #take(opcode: number, isLast: boolean, body: Uint8Array): void {
    if (opcode >= 8) {
      if (!isLast || body.length > 125) throw new SyntaxError("expected a short control frame in one piece");
      this.#control(opcode, body);
      return;
    }
    if (opcode > 2 || (opcode === 0) !== this.#partsOpcode > 0) throw new SyntaxError(`expected another frame, found opcode ${opcode}`);
    const kind = opcode === 0 ? this.#partsOpcode : opcode;
    if (isLast && this.#parts.length === 0) {
      this.#deliver(kind, body);
      return;
    }
    this.#parts.push(body.slice());
    this.#partsBytes += body.length;
    this.#partsOpcode = kind;
    if (!isLast) return;
    const whole = new Uint8Array(this.#partsBytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#partsBytes = this.#partsOpcode = 0;
    this.#deliver(kind, whole);
  }

  #deliver(kind: number, body: Uint8Array): void {
    this.onmessage?.({ data: kind === 1 ? TEXT.decode(body) : body });
  }

  #control(opcode: number, body: Uint8Array): void {
    if (opcode === 9) this.#write(10, body);
    if (opcode !== 8) return;
    const [high = 0, low = 0] = body;
    const told = { code: body.length >= 2 ? high * 256 + low : 1005, reason: TEXT.decode(body.subarray(2)) };
    if (this.readyState === OPEN) this.#write(8, body.subarray(0, 2));
    this.#end(told);
  }

  #fail(code: number, reason: string): void {
    if (this.readyState === OPEN) this.#write(8, Uint8Array.of(code >> 8, code & 255));
    this.#end({ code: 1006, reason });
  }

  #write(opcode: number, body: Uint8Array): void {
    const length = body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8;
    const frame = new Uint8Array(2 + length + 4 + body.length);
    frame[0] = 128 | opcode;
    frame[1] = 128 | (length === 0 ? body.length : length === 2 ? 126 : 127);
    const view = new DataView(frame.buffer);
    if (length === 2) view.setUint16(2, body.length);
    if (length === 8) view.setBigUint64(2, BigInt(body.length));
    const mask = this.#crypto.randomBytes(4);
    frame.set(mask, 2 + length);
    for (let place = 0; place < body.length; place += 1) frame[6 + length + place] = (body[place] ?? 0) ^ (mask[place & 3] ?? 0);
    this.#socket?.write(frame);
  }

  #end(told: CloseLike): void {
    if (this.#told) return;
    this.#told = told;
    clearTimeout(this.#closeTimer);
    this.readyState = CLOSED;
    this.#socket?.end();
    this.#socket?.destroy();
    this.onclose?.(told);
  }
}

/** Of an answer of `application/problem+json`, its detail. */
function reasonIn(body: string): string {
  try {
    const { detail, title } = JSON.parse(body) as { detail?: unknown; title?: unknown };
    return String(detail ?? title ?? "").slice(0, REASON_MAX);
  } catch {
    return body.slice(0, REASON_MAX);
  }
}
