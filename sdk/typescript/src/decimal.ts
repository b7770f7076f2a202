/** Decimal text, compared without making a double of it. */

export interface Parts {
  readonly negative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

export function parseDecimal(text: string): Parts | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (!match) return null;
  const whole = (match[2] ?? "").replace(/^0+(?=\d)/, "");
  return { negative: match[1] === "-", whole, fraction: match[3] ?? "" };
}

/** Negative, zero or positive, as `left` is less than, equal to or greater than `right`; 0 where either is no decimal. */
export function compareDecimals(left: string, right: string): number {
  const a = parseDecimal(left);
  const b = parseDecimal(right);
  if (!a || !b) return 0;
  const digits = Math.max(a.fraction.length, b.fraction.length);
  const scaled = (parts: Parts): bigint => {
    const mantissa = BigInt(parts.whole + parts.fraction.padEnd(digits, "0"));
    return parts.negative ? -mantissa : mantissa;
  };
  const difference = scaled(a) - scaled(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
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
