/** Waits between attempts: exponential, capped, with jitter so that a crowd of clients does not come back at once. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly capMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { baseMs: 500, capMs: 30_000 };

/**
 * The wait before attempt number `attempt` (0 is the first one after a loss).
 * Half of it is certain, half is chance: between 0.5 and 1 times `baseMs * 2 ** attempt`, at most `capMs`.
 */
export function backoffMs(attempt: number, random: () => number, options: BackoffOptions = DEFAULT_BACKOFF): number {
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
