// As much of MessagePack as the gateway speaks.

const TEXT = new TextDecoder();
const BYTES = new TextEncoder();

export function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  const skip = (count) => ((at += count), at - count);
  const text = (size) => TEXT.decode(bytes.subarray(skip(size), at));
  const list = (size) => Array.from({ length: size }, read);
  const map = (size) => Object.fromEntries(Array.from({ length: size }, () => [read(), read()]));
  const safe = (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

  const READERS = {
    0xc0: () => null,
    0xc2: () => false,
    0xc3: () => true,
    0xca: () => view.getFloat32(skip(4)),
    0xcb: () => view.getFloat64(skip(8)),
    0xcc: () => view.getUint8(skip(1)),
    0xcd: () => view.getUint16(skip(2)),
    0xce: () => view.getUint32(skip(4)),
    0xcf: () => safe(view.getBigUint64(skip(8))),
    0xd0: () => view.getInt8(skip(1)),
    0xd1: () => view.getInt16(skip(2)),
    0xd2: () => view.getInt32(skip(4)),
    0xd3: () => safe(view.getBigInt64(skip(8))),
    0xd9: () => text(view.getUint8(skip(1))),
    0xda: () => text(view.getUint16(skip(2))),
    0xdb: () => text(view.getUint32(skip(4))),
    0xdc: () => list(view.getUint16(skip(2))),
    0xdd: () => list(view.getUint32(skip(4))),
    0xde: () => map(view.getUint16(skip(2))),
    0xdf: () => map(view.getUint32(skip(4))),
  };

  function read() {
    const head = bytes[skip(1)];
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 0x0f);
    if (head < 0xa0) return list(head & 0x0f);
    if (head < 0xc0) return text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    const reader = READERS[head];
    if (reader === undefined) throw new Error(`expected a value of MessagePack, found ${head} at ${at - 1}`);
    return reader();
  }

  const value = read();
  if (at !== bytes.length) throw new Error(`expected one value, found ${bytes.length - at} more bytes`);
  return value;
}

export function encode(value) {
  const out = [];
  write(out, value);
  return Uint8Array.from(out);
}

function write(out, value) {
  if (value === null || value === undefined) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "string") writeText(out, value);
  else if (Array.isArray(value)) {
    out.push(0xdd, ...big(4, BigInt(value.length)));
    for (const each of value) write(out, each);
  } else {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    out.push(0xdf, ...big(4, BigInt(entries.length)));
    for (const entry of entries) for (const each of entry) write(out, each);
  }
}

function writeNumber(out, value) {
  if (Number.isInteger(value)) out.push(0xd3, ...big(8, BigInt(value)));
  else out.push(0xcb, ...new Uint8Array(new Float64Array([value]).buffer).reverse());
}

function writeText(out, value) {
  const bytes = BYTES.encode(value);
  out.push(0xdb, ...big(4, BigInt(bytes.length)), ...bytes);
}

const big = (size, value) => Array.from({ length: size }, (_, place) => Number((value >> BigInt(8 * (size - 1 - place))) & 255n));
