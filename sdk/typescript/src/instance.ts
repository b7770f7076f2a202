/**
 * What channel `status` tells of the instance: its feeds, what is not whole now, and how loaded its delivery is.
 *
 * All of it comes with the snapshot, then each feed, gap or rung that changes. Messages are checked here, key by key: a
 * key that is missing or of another type leaves what was known.
 */

import type { InstanceMessage } from "./protocol.ts";

/** A feed as the gateway tells of it, in channel `status` and in `GET /feeds`. */
export interface FeedStatus {
  readonly name: string;
  readonly venue: string;
  readonly state: string;
  readonly since: string | null;
  readonly restarts?: number;
  readonly reconnects?: number;
  readonly connections?: number;
  readonly messages?: number;
  readonly gaps?: number;
  readonly rate?: number | null;
  readonly lag_ms?: number | null;
  readonly last_error?: string | null;
}

/** An entry of the gap ledger: what made data less than whole. */
export interface LedgerEntry {
  readonly id: string;
  readonly feed: string;
  readonly venue: string;
  readonly kind: string;
  readonly scope: string;
  readonly reason: string;
  readonly began: string;
  /** Null: it has not ended. */
  readonly ended: string | null;
  readonly duration_ms: number;
  /** At most 100; `instruments_count` counts all. */
  readonly instruments: readonly string[];
  readonly instruments_count: number;
  /** Of these, not whole again yet. */
  readonly open_count: number;
  readonly link: string;
  readonly lost: number;
  readonly repaired_by: string;
}

export interface Instance {
  readonly feeds: readonly FeedStatus[];
  /** Entries of the ledger that are open. */
  readonly gaps: readonly LedgerEntry[];
  /** Rung of the overload ladder: 0 is normal. */
  readonly rung: number;
}

type Body = Readonly<Record<string, unknown>>;

/** The instance after a message; `before` null: no snapshot yet. The same object, if nothing changed. */
export function instanceAfter(before: Instance | null, message: InstanceMessage): Instance | null {
  if (message.type === "snapshot") {
    return {
      feeds: bodies(message["feeds"]).map((feed) => feedOf(feed)).filter((feed) => feed !== null),
      gaps: bodies(message["gaps"]).map((gap) => entryOf(gap)).filter((entry) => entry !== null),
      rung: rungOf(message["delivery"]) ?? 0,
    };
  }
  if (!before) return null;
  if (message.type === "delivery") return { ...before, rung: rungOf(message["delivery"]) ?? before.rung };
  if (message.type === "feed") {
    const told = bodyIn(message, "feed");
    const name = nameOf(told);
    const known = before.feeds.find((feed) => feed.name === name);
    const feed = feedOf({ ...known, ...told });
    if (!feed) return before;
    return { ...before, feeds: known ? before.feeds.map((one) => (one === known ? feed : one)) : [...before.feeds, feed] };
  }
  const entry = entryOf(bodyIn(message, "gap"));
  if (!entry) return before;
  const others = before.gaps.filter((one) => one.id !== entry.id);
  return { ...before, gaps: entry.ended === null ? [entry, ...others] : others };
}

function bodyIn(message: InstanceMessage, key: string): Body {
  const inner = message[key];
  return isBody(inner) ? inner : {};
}

function nameOf(body: Body): string | null {
  return typeof body["name"] === "string" ? body["name"] : null;
}

function feedOf(body: Body): FeedStatus | null {
  const name = nameOf(body);
  const state = body["state"];
  if (name === null || typeof state !== "string") return null;
  const venue = typeof body["venue"] === "string" ? body["venue"] : name.toUpperCase();
  const since = typeof body["since"] === "string" ? body["since"] : null;
  return { ...(body as Partial<FeedStatus>), name, venue, state, since };
}

function entryOf(body: Body): LedgerEntry | null {
  if (typeof body["id"] !== "string" || typeof body["feed"] !== "string") return null;
  const instruments = Array.isArray(body["instruments"]) ? (body["instruments"] as readonly string[]) : [];
  return {
    venue: "",
    kind: "gap",
    scope: "",
    reason: "",
    began: "",
    ended: null,
    duration_ms: 0,
    instruments_count: instruments.length,
    open_count: instruments.length,
    link: "",
    lost: 0,
    repaired_by: "",
    ...(body as Partial<LedgerEntry>),
    instruments,
    id: body["id"],
    feed: body["feed"],
  };
}

function rungOf(body: unknown): number | null {
  return isBody(body) && typeof body["rung"] === "number" ? body["rung"] : null;
}

function bodies(list: unknown): readonly Body[] {
  return Array.isArray(list) ? list.filter(isBody) : [];
}

function isBody(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
