/** The few REST answers that the page reads. */

import type { FeedStatus, LedgerEntry } from "tickcast";

export interface HopLatency {
  readonly hop: string;
  readonly count: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  /** p50, p95, p99; null where nothing is promised. */
  readonly budget_ms: readonly [number, number, number] | null;
  readonly ok: boolean | null;
}

export interface LatencyReport {
  readonly hops: readonly HopLatency[];
  readonly window_s: number;
}

export interface SymbolInfo {
  readonly symbol: string;
  readonly venue?: string | null;
  readonly class?: string | null;
  readonly currency?: string | null;
}

/** The gateway's REST address space; `base` is an absolute address ending in a slash. */
export class RestClient {
  readonly #base: string;
  readonly #fetch: typeof fetch;

  constructor(base: string, fetcher: typeof fetch = (input, init) => fetch(input, init)) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  async feeds(signal?: AbortSignal): Promise<readonly FeedStatus[]> {
    const body = await this.#get("feeds", signal);
    return listIn<FeedStatus>(body, "feeds");
  }

  async latency(signal?: AbortSignal): Promise<LatencyReport> {
    const body = await this.#get("latency", signal);
    const window = (body as { window_s?: unknown }).window_s;
    return { hops: listIn<HopLatency>(body, "hops"), window_s: typeof window === "number" ? window : 0 };
  }

  async symbols(query: string, limit: number, signal?: AbortSignal): Promise<readonly SymbolInfo[]> {
    const body = await this.#get(`symbols?q=${encodeURIComponent(query)}&limit=${limit}`, signal);
    return listIn<SymbolInfo>(body, "symbols");
  }

  /** What to look at first in this instance. */
  async overview(signal?: AbortSignal): Promise<readonly SymbolInfo[]> {
    return listIn<SymbolInfo>(await this.#get("symbols/overview", signal), "symbols");
  }

  /** What has not ended yet, newest first. */
  async openGaps(limit: number, signal?: AbortSignal): Promise<readonly LedgerEntry[]> {
    return listIn<LedgerEntry>(await this.#get(`gaps?open=true&limit=${limit}`, signal), "gaps");
  }

  /** The newest entries of the ledger; an empty venue stands for all. */
  async gaps(venue: string, limit: number, signal?: AbortSignal): Promise<readonly LedgerEntry[]> {
    const body = await this.#get(`gaps?venue=${encodeURIComponent(venue)}&limit=${limit}`, signal);
    return listIn<LedgerEntry>(body, "gaps");
  }

  async #get(path: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.#fetch(new URL(path, this.#base), {
      headers: { Accept: "application/json" },
      ...(signal ? { signal } : {}),
    });
    if (!answer.ok) throw new Error(`GET /${path} was answered with ${answer.status}`);
    return answer.json();
  }
}

function listIn<Item>(body: unknown, key: string): readonly Item[] {
  const list = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[key] : undefined;
  if (!Array.isArray(list)) throw new TypeError(`expected an object with a list "${key}"`);
  return list as readonly Item[];
}
