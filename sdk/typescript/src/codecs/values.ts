/** Packed decimals and times of the binary codecs, as the texts that JSON has. */

import type { Interval, Side, Timestamp } from "../protocol.ts";

/** Beyond this the rest of a division by 32 is not exact in a double. */
const SAFE = Number.MAX_SAFE_INTEGER;

/** `mantissa * 32 + scale` as text with exactly `scale` digits behind the point; text stays, null stays. */
export function decimalOf(packed: number | bigint | string | null): string | null {
  if (packed === null || typeof packed === "string") return packed;
  if (typeof packed === "bigint") return written(packed >> 5n, Number(packed & 31n));
  if (packed > SAFE || packed < -SAFE) return decimalOf(BigInt(packed));
  const scale = ((packed % 32) + 32) % 32;
  return written((packed - scale) / 32, scale);
}

function written(mantissa: number | bigint, scale: number): string {
  const text = String(mantissa);
  if (scale === 0) return text;
  const isNegative = text.startsWith("-");
  const digits = (isNegative ? text.slice(1) : text).padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${isNegative ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** ns since 1970 UTC, as RFC 3339 with no more digits than it needs. */
export function timeOf(ns: number | bigint | null): Timestamp | null {
  if (ns === null) return null;
  const whole = BigInt(ns);
  const fraction = Number(whole % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const seconds = secondsOf(Number(whole / 1_000_000_000n));
  return fraction === "" ? seconds : `${seconds.slice(0, -1)}.${fraction}Z`;
}

/** Whole seconds since 1970 UTC, as RFC 3339. */
export function secondsOf(seconds: number): Timestamp {
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}

export function intervalOf(seconds: number): Interval {
  return seconds === 60 ? "1m" : "1s";
}

/** By number. */
export const SIDES: readonly Side[] = [null, "buy", "sell"];
