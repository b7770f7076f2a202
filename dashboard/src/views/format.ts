/** Words and figures for the eye. Prices are not here: they are shown as the venue wrote them. */

import { groupDecimal, roundDecimal, signOf } from "tickcast";

/** A dash that says: not known. */
export const UNKNOWN = "–";

const MINUS = "\u2212";

/** A length of time, coarse: `now`, `4 s`, `12 min`, `3 h`, `2 d`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A length of time, fine: `87 ms`, `1.3 s`, `12 min`. */
export function formatSpan(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return UNKNOWN;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(1)} s` : formatDuration(milliseconds);
}

export function formatAge(receivedAtMs: number, nowMs: number): string {
  if (receivedAtMs === 0) return UNKNOWN;
  const age = nowMs - receivedAtMs;
  return age < 1000 ? "< 1 s" : formatDuration(age);
}

/** A change with its sign; zeros at the end beyond two decimals say nothing and are left out. */
export function formatSigned(text: string | null | undefined): string {
  if (!text) return UNKNOWN;
  const short = text.replace(/(\.\d\d\d*?)0+$/, "$1");
  return signOf(short) > 0 ? `+${short.replace(/^\+/, "")}` : short.replace(/^-/, MINUS);
}

export function formatPercent(text: string | null | undefined): string {
  return text ? `${formatSigned(roundDecimal(text, 2))} %` : UNKNOWN;
}

/** A size or a volume: thousands apart, and no more decimals than are read beside so many digits before the point. */
export function formatQuantity(text: string | null | undefined): string {
  if (!text) return UNKNOWN;
  const whole = text.replace(/^[+-]/, "").split(".")[0] ?? "";
  const rounded = whole === "0" || whole === "" ? text : roundDecimal(text, Math.max(0, 5 - whole.length));
  return groupDecimal(rounded.includes(".") ? rounded.replace(/\.?0+$/, "") : rounded);
}

/** A figure of our own making (a rate, a count); never a price. */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return Math.round(value).toLocaleString("en");
}

/** Milliseconds with about three digits that mean something. */
export function formatMs(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The time of day of a timestamp, to the millisecond, in the reader's zone. */
export function formatTime(timestamp: string | null | undefined): string {
  const ms = timestamp ? Date.parse(timestamp) : Number.NaN;
  if (Number.isNaN(ms)) return UNKNOWN;
  const date = new Date(ms);
  const pad = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** `fanout_write` reads as `fanout write`. */
export function formatName(name: string): string {
  return name.replace(/_/g, " ");
}
