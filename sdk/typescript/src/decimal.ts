/**
 * Exact arithmetic on decimal text, as prices and sizes come: nothing here ever becomes a double.
 *
 * A sum or difference has as many digits behind the point as the longer of the two, a product as both together: no digit
 * is invented and none is lost. `roundDecimal` takes digits away where that is wanted.
 */

export interface Parts {
  readonly negative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

/** Null: the text is no plain decimal (`185.40`, `-3`, `0.5`; no exponent). */
export function parseDecimal(text: string): Parts | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (!match) return null;
  const whole = (match[2] ?? "").replace(/^0+(?=\d)/, "");
  return { negative: match[1] === "-", whole, fraction: match[3] ?? "" };
}

interface Scaled {
  readonly mantissa: bigint;
  readonly scale: number;
}

function scaled(text: string): Scaled {
  const parts = parseDecimal(text);
  if (!parts) throw new TypeError(`expected a decimal such as "185.40", found ${JSON.stringify(text)}`);
  const mantissa = BigInt(parts.whole + parts.fraction);
  return { mantissa: parts.negative ? -mantissa : mantissa, scale: parts.fraction.length };
}

function written({ mantissa, scale }: Scaled): string {
  const digits = (mantissa < 0n ? -mantissa : mantissa).toString().padStart(scale + 1, "0");
  const sign = mantissa < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Both with as many digits behind the point. */
function aligned(left: string, right: string): { readonly a: bigint; readonly b: bigint; readonly scale: number } {
  const a = scaled(left);
  const b = scaled(right);
  const scale = Math.max(a.scale, b.scale);
  const widened = (one: Scaled): bigint => one.mantissa * 10n ** BigInt(scale - one.scale);
  return { a: widened(a), b: widened(b), scale };
}

/** `addDecimals("0.1", "0.20")` is `"0.30"`. Throws a TypeError where a text is no decimal, as do the next two. */
export function addDecimals(left: string, right: string): string {
  const { a, b, scale } = aligned(left, right);
  return written({ mantissa: a + b, scale });
}

export function subtractDecimals(left: string, right: string): string {
  const { a, b, scale } = aligned(left, right);
  return written({ mantissa: a - b, scale });
}

/** `multiplyDecimals("185.40", "3")` is `"556.20"`. */
export function multiplyDecimals(left: string, right: string): string {
  const a = scaled(left);
  const b = scaled(right);
  return written({ mantissa: a.mantissa * b.mantissa, scale: a.scale + b.scale });
}

/** Negative, zero or positive, as `left` is less than, equal to or greater than `right`; 0 where either is no decimal. */
export function compareDecimals(left: string, right: string): number {
  if (!parseDecimal(left) || !parseDecimal(right)) return 0;
  const { a, b } = aligned(left, right);
  return a < b ? -1 : a > b ? 1 : 0;
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

export interface DecimalFormat {
  /** Most digits behind the point; the rest is rounded. */
  readonly digits?: number;
  /** Fewest digits behind the point: zeros are put there. */
  readonly digitsMin?: number;
  /** Put commas between thousands. */
  readonly group?: boolean;
}

/** For people: `formatDecimal("1234567.5", { digitsMin: 2, group: true })` is `"1,234,567.50"`. */
export function formatDecimal(text: string, { digits, digitsMin = 0, group = false }: DecimalFormat = {}): string {
  if (!parseDecimal(text)) return text;
  const rounded = digits === undefined ? text : roundDecimal(text, digits);
  const [whole = "", fraction = ""] = rounded.split(".");
  const filled = fraction.padEnd(Math.min(digitsMin, digits ?? digitsMin), "0");
  const full = filled === "" ? whole : `${whole}.${filled}`;
  return group ? groupDecimal(full) : full;
}
