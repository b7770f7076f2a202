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
