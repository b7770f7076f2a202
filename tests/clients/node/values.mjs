// Packed numbers and times of the binary codecs, as the texts of the JSON codec.

/** mantissa * 32 + scale, as an integer of any kind; texts and null stay. */
export function decimal(packed) {
  if (packed === null || typeof packed === "string") return packed;
  const value = BigInt(packed); // numbers of JavaScript lose bits above 31 in & and >>
  const scale = Number(value & 31n);
  const mantissa = value >> 5n;
  const digits = (mantissa < 0n ? -mantissa : mantissa).toString().padStart(scale + 1, "0");
  const sign = mantissa < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** ns since 1970, as RFC 3339 with no more digits than it needs. */
export function time(ns) {
  if (ns === null) return null;
  const value = BigInt(ns);
  const fraction = (value % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return seconds(value / 1_000_000_000n).replace("Z", fraction ? `.${fraction}Z` : "Z");
}

/** Seconds since 1970, as RFC 3339. */
export const seconds = (value) => new Date(Number(value) * 1000).toISOString().replace(".000Z", "Z");

export const INTERVALS = { 1: "1s", 60: "1m" };
