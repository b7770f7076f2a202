import type { Connection } from "tickcast";

import { formatDuration } from "./format.ts";
import { useServices, useSignal } from "./services.ts";

const WORD: Record<Connection["phase"], string> = {
  idle: "Not connected",
  connecting: "Connecting",
  live: "Live",
  resuming: "Resuming",
  offline: "Offline",
  stopped: "Stopped",
};

/** What a screen reader is told when the connection changes: no countdown, no figures. */
function announcement(connection: Connection): string {
  if (connection.phase === "offline") return `Connection lost: ${connection.reason}. Trying again by itself.`;
  if (connection.phase === "stopped") return `Connection ended: ${connection.reason}.`;
  return `Connection: ${WORD[connection.phase].toLowerCase()}.`;
}

const SLOWED: Record<string, string> = {
  slow: "slow network",
  overload: "the server is under load",
  hidden: "the page is hidden",
  restored: "on the way back to all",
};

/** Rungs of the server's ladder under load, as far as a reader notices them. */
const RUNGS: readonly string[] = ["", "updates are held a little longer", "at most 5 updates a second", "at most 1 update a second", "no new clients are let in"];

export function ConnectionStatus() {
  const { market } = useServices();
  const connection = useSignal(market.connection);
  const slowed = useSignal(market.slowed);
  const delayS = useSignal(market.delayS);
  const rung = useSignal(market.instance)?.rung ?? 0;
  return (
    <div className="connection">
      <span className="connection-phase" data-phase={connection.phase} data-testid="connection">
        {connection.phase === "live" && delayS > 0 ? "Connected" : WORD[connection.phase]}
      </span>
      {delayS > 0 && (
        <span className="badge" data-badge="delayed" data-testid="delay" title="You may see prices late only: times are the exchange's, and so much older">
          Prices are {formatDuration(delayS * 1000)} late
        </span>
      )}
      {slowed && (
        <span className="badge" data-badge="delayed" data-testid="slowed">
          You are slowed down to {slowed.rate} a second: {SLOWED[slowed.reason] ?? slowed.reason}
        </span>
      )}
      {rung > 0 && (
        <span className="badge" data-badge="delayed" data-testid="rung" title={`Rung ${rung} of the overload ladder`}>
          Server under load: {RUNGS[rung] ?? `rung ${rung}`}
        </span>
      )}
      <span className="visually-hidden" role="status" aria-live="polite">
        {announcement(connection)}
      </span>
    </div>
  );
}

/** Why there is no connection and when the next attempt is; nothing while all is well. */
export function ConnectionBanner() {
  const { market, clock, retryNow } = useServices();
  const connection = useSignal(market.connection);
  const now = useSignal(clock);
  if (connection.phase !== "offline" && connection.phase !== "stopped") return null;
  const next = connection.phase === "offline" ? connection.retryAtMs : null;
  return (
    <section className="banner" data-phase={connection.phase} aria-label="Connection problem">
      <p>
        <strong>{connection.phase === "offline" ? "No connection." : "The server asked not to come back."}</strong>{" "}
        {sentence(connection.reason)} Prices below are the last ones received.
      </p>
      <p className="banner-next">
        {connection.phase === "offline" && (
          <span>{next === null ? "Connecting…" : `Next attempt in ${formatDuration(Math.ceil((next - now) / 1000) * 1000)}`}</span>
        )}
        <button type="button" className="button" onClick={retryNow}>
          Connect now
        </button>
      </p>
    </section>
  );
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
