import type { ThemeChoice } from "../store/index.ts";
import { ConnectionStatus } from "./ConnectionStatus.tsx";
import { formatCount } from "./format.ts";
import { useServices, useSignal } from "./services.ts";

const THEMES: readonly (readonly [ThemeChoice, string])[] = [
  ["system", "Auto"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function Header() {
  return (
    <header className="header">
      <h1 className="brand">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="7" className="brand-tile" />
          <path d="M6 21h5l3-10 4 14 3-9 1.5 5H26" className="brand-line" />
        </svg>
        tickcast
      </h1>
      <ConnectionStatus />
      <Throughput />
      <ThemeSwitch />
    </header>
  );
}

/** Updates received, and how many events were merged into them. */
function Throughput() {
  const { market } = useServices();
  const totals = useSignal(market.totals);
  return (
    <dl className="throughput">
      <div>
        <dt>updates/s</dt>
        <dd data-testid="updates-rate">{formatCount(totals.receivedPerSecond)}</dd>
      </div>
      <div title="Events that a newer one of the same symbol replaced before they were sent">
        <dt>merged/s</dt>
        <dd>{formatCount(totals.mergedPerSecond)}</dd>
      </div>
    </dl>
  );
}

function ThemeSwitch() {
  const { theme } = useServices();
  const choice = useSignal(theme.choice);
  return (
    <fieldset className="switch">
      <legend className="visually-hidden">Colours</legend>
      {THEMES.map(([value, label]) => (
        <label key={value}>
          <input type="radio" name="theme" value={value} checked={choice === value} onChange={() => theme.set(value)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}
