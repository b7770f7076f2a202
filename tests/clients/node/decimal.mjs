// Numbers of prices and sizes stay the texts that came: a double loses digits of some venues.

/** Order of two decimals ("67412.10", "0.5", "-3"), exact. */
export function compare(left, right) {
  const scale = Math.max(fraction(left).length, fraction(right).length);
  const [a, b] = [scaled(left, scale), scaled(right, scale)];
  return a < b ? -1 : a > b ? 1 : 0;
}

export const isZero = (text) => /^-?0*\.?0*$/.test(text);

const fraction = (text) => text.split(".")[1] ?? "";

function scaled(text, scale) {
  const [whole, digits = ""] = text.split(".");
  return BigInt(whole + digits.padEnd(scale, "0"));
}
