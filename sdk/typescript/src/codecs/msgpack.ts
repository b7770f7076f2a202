/** As much of MessagePack as a gateway sends and a client asks with. */

const TEXT = new TextDecoder();
const BYTES = new TextEncoder();
const DEPTH_MAX = 32;

/** Reads one value. Integers beyond 2^53 become bigints. Throws a SyntaxError for anything that is not one whole value. */
export function decode(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.read(0);
  reader.end();
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left !== 0) throw new SyntaxError(`expected one value, found ${left} more bytes`);
  }

  read(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new SyntaxError(`expected at most ${DEPTH_MAX} levels, found more`);
    const head = this.#bytes[this.#skip(1)] ?? 0;
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f, depth);
    if (head < 0xa0) return this.#list(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    return this.#long(head, depth);
  }

  #long(head: number, depth: number): unknown {
    const view = this.#view;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return view.getFloat32(this.#skip(4));
      case 0xcb:
        return view.getFloat64(this.#skip(8));
      case 0xcc:
        return view.getUint8(this.#skip(1));
      case 0xcd:
        return view.getUint16(this.#skip(2));
      case 0xce:
        return view.getUint32(this.#skip(4));
      case 0xcf:
        return safe(view.getBigUint64(this.#skip(8)));
      case 0xd0:
        return view.getInt8(this.#skip(1));
      case 0xd1:
        return view.getInt16(this.#skip(2));
      case 0xd2:
        return view.getInt32(this.#skip(4));
      case 0xd3:
        return safe(view.getBigInt64(this.#skip(8)));
      case 0xd9:
        return this.#text(view.getUint8(this.#skip(1)));
      case 0xda:
        return this.#text(view.getUint16(this.#skip(2)));
      case 0xdb:
        return this.#text(view.getUint32(this.#skip(4)));
      case 0xdc:
        return this.#list(view.getUint16(this.#skip(2)), depth);
      case 0xdd:
        return this.#list(view.getUint32(this.#skip(4)), depth);
      case 0xde:
        return this.#map(view.getUint16(this.#skip(2)), depth);
      case 0xdf:
        return this.#map(view.getUint32(this.#skip(4)), depth);
      default:
        throw new SyntaxError(`expected a value of MessagePack, found the byte ${head}`);
    }
  }

  #skip(count: number): number {
    const began = this.#at;
    if (began + count > this.#bytes.length) throw new SyntaxError("expected a whole value, found the end");
    this.#at = began + count;
    return began;
  }

  /** Short names are put together here: calling the decoder costs more than they are long. */
  #text(size: number): string {
    const began = this.#skip(size);
    if (size > 24) return TEXT.decode(this.#bytes.subarray(began, this.#at));
    let text = "";
    for (let place = began; place < this.#at; place += 1) {
      const byte = this.#bytes[place] ?? 0;
      if (byte > 0x7f) return TEXT.decode(this.#bytes.subarray(began, this.#at));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #list(size: number, depth: number): unknown[] {
    if (size > this.#bytes.length - this.#at) throw new SyntaxError("expected a whole list, found the end");
    const list: unknown[] = [];
    for (let place = 0; place < size; place += 1) list.push(this.read(depth + 1));
    return list;
  }

  #map(size: number, depth: number): Record<string, unknown> {
    if (size > this.#bytes.length - this.#at) throw new SyntaxError("expected a whole map, found the end");
    const map: Record<string, unknown> = {};
    for (let place = 0; place < size; place += 1) {
      const key = this.read(depth + 1);
      if (typeof key !== "string") throw new SyntaxError(`expected a key of text, found ${typeof key}`);
      const value = this.read(depth + 1);
      // A key of this name would set the prototype, and be read as nothing.
      if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true });
      else map[key] = value;
    }
    return map;
  }
}

function safe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Writes what JSON could write too; keys that are undefined are left out. */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  write(out, value);
  return Uint8Array.from(out);
}

function write(out: number[], value: unknown): void {
  if (value === null || value === undefined) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "string") {
    const bytes = BYTES.encode(value);
    out.push(0xdb, ...big(bytes.length));
    for (const byte of bytes) out.push(byte);
  } else if (Array.isArray(value)) {
    out.push(0xdd, ...big(value.length));
    for (const each of value) write(out, each);
  } else {
    const entries = Object.entries(value as object).filter(([, each]) => each !== undefined);
    out.push(0xdf, ...big(entries.length));
    for (const [key, each] of entries) {
      write(out, key);
      write(out, each);
    }
  }
}

function writeNumber(out: number[], value: number): void {
  const bytes = new DataView(new ArrayBuffer(8));
  if (Number.isSafeInteger(value)) bytes.setBigInt64(0, BigInt(value));
  else bytes.setFloat64(0, value);
  out.push(Number.isSafeInteger(value) ? 0xd3 : 0xcb, ...new Uint8Array(bytes.buffer));
}

const big = (value: number): readonly number[] => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
