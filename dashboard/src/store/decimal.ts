/** Arithmetic on decimal text that a double could not hold: compare, round and group, digit by digit. */

import { compareDecimals, parseDecimal } from "../wire/index.ts";

export { compareDecimals };

/** -1, 0 or 1; 0 also where the text is no decimal. */
export function signOf(text: string | null | undefined): number {
  return text ? compareDecimals(text, "0") : 0;
}

/** At most `digits` after the point, half away from zero; text that is no decimal comes back as it is. */
export function roundDecimal(text: string, digits: number): string {
  const parts = parseDecimal(text);
  if (!parts || parts.fraction.length <= digits) return text;
  const kept = parts.whole + parts.fraction.slice(0, digits);
  const up = (parts.fraction[digits] ?? "0") >= "5" ? 1n : 0n;
  const rounded = (BigInt(kept) + up).toString().padStart(digits + 1, "0");
  const whole = rounded.slice(0, rounded.length - digits);
  const body = digits > 0 ? `${whole}.${rounded.slice(rounded.length - digits)}` : whole;
  return parts.negative && /[1-9]/.test(body) ? `-${body}` : body;
}

/** Thousands apart by a comma in the whole part. */
export function groupDecimal(text: string): string {
  const match = /^([+-]?)(\d+)(.*)$/.exec(text);
  if (!match) return text;
  return `${match[1] ?? ""}${(match[2] ?? "").replace(/\B(?=(\d{3})+$)/g, ",")}${match[3] ?? ""}`;
}
