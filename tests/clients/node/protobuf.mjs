// Reads a .proto file as plain as the gateway's, and messages by it.

const TEXT = new TextDecoder();
const BYTES = new TextEncoder();
const NEVER_SENT = new Set(["sfixed64", "fixed32"]);
const UNPACKED = new Set(["string", "bytes"]);

/** {messages: {name: {number: field}}, enums: {name: [text, …]}}. */
export function parse(source) {
  const text = source.replace(/\/\/.*$/gm, "");
  const schema = { messages: {}, enums: {} };
  for (const [, name, body] of text.matchAll(/enum (\w+) \{([^}]*)\}/g)) {
    schema.enums[name] = Object.fromEntries([...body.matchAll(/(\w+) = (\d+);/g)].map(([, value, number]) => [number, value]));
  }
  for (const [, name, body] of text.matchAll(/^message (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}/gm)) schema.messages[name] = fields(body);
  return schema;
}

function fields(body) {
  const found = {};
  for (const [, oneof, plain] of body.matchAll(/oneof \w+ \{([^}]*)\}|((?:repeated |optional )?(?:map<[^>]+>|\w+) \w+ = \d+;)/g)) {
    for (const [, label, map, type, name, number] of (oneof ?? plain).matchAll(
      /(repeated |optional )?(?:map<([^>]+)>|(\w+)) (\w+) = (\d+);/g,
    )) {
      const [key, value] = map?.split(/, */) ?? [];
      const field = { name, type: type ?? value, key, number: Number(number) };
      found[number] = { ...field, isRepeated: label === "repeated ", isBare: !label && !map && oneof === undefined };
    }
  }
  return found;
}

export class Reader {
  #at = 0;

  constructor(schema, bytes) {
    Object.assign(this, { schema, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
  }

  message(type) {
    const byNumber = this.schema.messages[type];
    const found = defaults(this.schema, byNumber);
    while (this.#at < this.bytes.length) {
      const tag = Number(this.#varint());
      const field = byNumber[tag >> 3];
      if (field === undefined) this.#skip(tag & 7);
      else if (field.key !== undefined) this.#entry(found[field.name], field);
      else if (field.isRepeated) this.#repeated(found[field.name], field, tag & 7);
      else found[field.name] = this.#value(field.type);
    }
    return found;
  }

  #entry(map, { key, type }) {
    const entry = this.#slice();
    let name = key === "string" ? "" : 0;
    let value;
    while (entry.#at < entry.bytes.length) {
      if (Number(entry.#varint()) >> 3 === 1) name = entry.#value(key);
      else value = entry.#value(type);
    }
    map[name] = value ?? new Reader(this.schema, new Uint8Array()).message(type);
  }

  #repeated(list, { type }, wire) {
    if (wire !== 2 || UNPACKED.has(type) || type in this.schema.messages) {
      list.push(this.#value(type));
      return;
    }
    const packed = this.#slice();
    while (packed.#at < packed.bytes.length) list.push(packed.#value(type));
  }

  #value(type) {
    if (type in this.schema.messages) return this.#slice().message(type);
    if (type in this.schema.enums) return this.schema.enums[type][this.#varint()];
    if (type === "string") return TEXT.decode(this.#slice().bytes);
    if (type === "bool") return this.#varint() !== 0n;
    if (type === "fixed32") return this.view.getUint32(this.#skip(5), true);
    if (type === "double") return this.view.getFloat64(this.#skip(1), true);
    if (type === "sfixed64") return this.view.getBigInt64(this.#skip(1), true);
    const value = this.#varint();
    if (type === "sint64") return (value >> 1n) ^ -(value & 1n);
    return Number(type === "int64" ? BigInt.asIntN(64, value) : value);
  }

  #varint() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.#at];
      if (byte === undefined) throw new Error("expected a whole varint, found the end");
      this.#at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #slice() {
    const size = Number(this.#varint());
    return new Reader(this.schema, this.bytes.subarray(this.#at, (this.#at += size)));
  }

  /** Goes on behind a value of that wire type; returns where it began. */
  #skip(wire) {
    const began = this.#at;
    if (wire === 0) this.#varint();
    else if (wire === 2) this.#slice();
    else this.#at += wire === 1 ? 8 : 4;
    return began;
  }
}

function defaults(schema, byNumber) {
  const found = {};
  for (const { name, type, key, isRepeated, isBare } of Object.values(byNumber)) {
    if (key !== undefined) found[name] = {};
    else if (isRepeated) found[name] = [];
    else if (isBare && !(type in schema.messages)) found[name] = zero(schema, type);
  }
  return found;
}

function zero(schema, type) {
  if (type in schema.enums) return schema.enums[type][0];
  if (type === "string") return "";
  if (type === "bool") return false;
  return type === "sint64" || type === "sfixed64" ? 0n : 0;
}

/** The bytes of a message; keys that are undefined or null are left out. */
export function encode(schema, type, message) {
  const out = [];
  for (const field of Object.values(schema.messages[type])) {
    const value = message[field.name];
    if (value === undefined || value === null) continue;
    if (field.key !== undefined) {
      for (const [name, each] of Object.entries(value)) {
        const entry = [...one(schema, { type: field.key, number: 1 }, name), ...one(schema, { type: field.type, number: 2 }, each)];
        out.push(...varint((field.number << 3) | 2), ...varint(entry.length), ...entry);
      }
    } else for (const each of field.isRepeated ? value : [value]) out.push(...one(schema, field, each));
  }
  return Uint8Array.from(out);
}

function one(schema, { type, number }, value) {
  if (type === "double") return [...varint((number << 3) | 1), ...new Uint8Array(new Float64Array([value]).buffer)];
  if (type === "string" || type in schema.messages) {
    const bytes = type === "string" ? BYTES.encode(value) : encode(schema, type, value);
    return [...varint((number << 3) | 2), ...varint(bytes.length), ...bytes];
  }
  if (NEVER_SENT.has(type)) throw new Error(`expected no ${type} in a request`);
  const whole = BigInt(value);
  return [...varint(number << 3), ...varint(type === "sint64" ? (whole << 1n) ^ (whole >> 63n) : whole)];
}

function varint(value) {
  const out = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return [...out, Number(rest)];
}
