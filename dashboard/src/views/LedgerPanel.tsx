import type { LedgerEntry } from "tickcast";

import { formatCount, formatSpan, formatTime } from "./format.ts";
import { useServices, useSignal } from "./services.ts";

/** What made data less than whole, newest first: asked for every second, also while the stream is down. */
export function LedgerPanel() {
  const { ledger } = useServices();
  const { answer, error } = useSignal(ledger.state);
  const open = answer?.filter((entry) => entry.ended === null).length ?? 0;
  return (
    <section className="panel" aria-labelledby="ledger-title">
      <div className="panel-head">
        <h2 id="ledger-title">
          Ledger{" "}
          <span className="count muted" data-testid="ledger-open">
            {open === 0 ? "nothing open" : `${open} open`}
          </span>
        </h2>
        {error && <span className="panel-error">no answer</span>}
        <VenueFilter />
      </div>
      {answer === null ? (
        <p className="empty">{error ?? "Asking…"}</p>
      ) : answer.length === 0 ? (
        <p className="empty">Nothing was ever less than whole.</p>
      ) : (
        // scrolls within itself, so it must be reachable by keyboard
        <div className="ledger-scroll" role="region" aria-labelledby="ledger-title" tabIndex={0}>
          <table className="small ledger" data-old={error !== null} aria-labelledby="ledger-title">
            <thead>
              <tr>
                <th scope="col">Began</th>
                <th scope="col">Lasted</th>
                <th scope="col">Venue</th>
                <th scope="col">Kind</th>
                <th scope="col">Concerns</th>
                <th scope="col">What</th>
                <th scope="col" title="Messages that never came">
                  Lost
                </th>
                <th scope="col">Repaired by</th>
              </tr>
            </thead>
            <tbody>
              {answer.map((entry) => (
                <EntryRow key={entry.id} entry={entry} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function VenueFilter() {
  const { feeds, ledgerVenue } = useServices();
  const { answer } = useSignal(feeds.state);
  const venue = useSignal(ledgerVenue);
  const venues = [...new Set([...(answer ?? []).map((feed) => feed.venue), ...(venue ? [venue] : [])])].sort();
  return (
    <label className="ledger-filter">
      <span className="muted">Venue</span>
      <select value={venue} onChange={(event) => ledgerVenue.set(event.target.value)}>
        <option value="">all</option>
        {venues.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

function EntryRow({ entry }: { readonly entry: LedgerEntry }) {
  const isOpen = entry.ended === null;
  return (
    <tr data-entry={entry.id} data-open={isOpen || undefined}>
      <td>{formatTime(entry.began)}</td>
      <td>{isOpen ? <OpenSince began={entry.began} /> : formatSpan(entry.duration_ms)}</td>
      <td>{entry.venue}</td>
      <td>
        <span className="badge" data-badge={isOpen ? "gap" : "ended"}>
          {entry.kind}
        </span>
      </td>
      <td title={entry.instruments.join(", ")}>{concerns(entry)}</td>
      <td className="reason" title={entry.reason}>
        {entry.reason}
      </td>
      <td>{entry.lost > 0 ? formatCount(entry.lost) : ""}</td>
      <td>{entry.repaired_by}</td>
    </tr>
  );
}

function OpenSince({ began }: { readonly began: string }) {
  const { clock } = useServices();
  const now = useSignal(clock);
  return <>open, {formatSpan(Math.max(0, now - Date.parse(began)))}</>;
}

/** The instrument, or how many of which scope, and how many of them are not whole yet. */
export function concerns(entry: LedgerEntry): string {
  const name = entry.instruments[0];
  if (entry.instruments_count === 1 && name !== undefined) return name;
  const where = entry.link || entry.scope;
  if (entry.instruments_count === 0) return where;
  const still = entry.open_count > 0 && entry.open_count < entry.instruments_count ? `${entry.open_count} of ` : "";
  return `${where}: ${still}${formatCount(entry.instruments_count)} instruments`;
}
