import { Fragment } from "react";
import type { FeedStatus, LedgerEntry } from "tickcast";

import { formatCount, formatDuration, formatMs } from "./format.ts";
import { concerns } from "./LedgerPanel.tsx";
import { useServices, useSignal } from "./services.ts";

const COLUMNS = 6;
/** A venue in pieces has its word here, and all of it in the ledger. */
const TROUBLES_SHOWN = 2;

/** How each feed is, and what of it is not whole now: asked for every two seconds, also while the stream is down. */
export function FeedPanel() {
  const { feeds, troubles } = useServices();
  const open = useSignal(troubles.state).answer ?? [];
  const { answer, error } = useSignal(feeds.state);
  return (
    <section className="panel" aria-labelledby="feeds-title">
      <div className="panel-head">
        <h2 id="feeds-title">Feeds</h2>
        {error ? <span className="panel-error">no answer</span> : <span className="muted">lag in ms</span>}
      </div>
      {answer === null ? (
        <p className="empty">{error ?? "Asking…"}</p>
      ) : answer.length === 0 ? (
        <p className="empty">No feed is configured.</p>
      ) : (
        <table className="small feeds" data-old={error !== null} aria-labelledby="feeds-title">
          <thead>
            <tr>
              <th scope="col">Venue</th>
              <th scope="col">State</th>
              <th scope="col" title="Messages a second">
                Msg/s
              </th>
              <th scope="col" title="Found so far; the ledger says which">
                Gaps
              </th>
              <th scope="col" title="Reconnects and restarts so far">
                Retries
              </th>
              <th scope="col" title="Milliseconds">
                Lag
              </th>
            </tr>
          </thead>
          <tbody>
            {answer.map((feed) => (
              <FeedRow key={feed.name} feed={feed} troubles={open.filter((entry) => entry.feed === feed.name)} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function FeedRow({ feed, troubles }: { readonly feed: FeedStatus; readonly troubles: readonly LedgerEntry[] }) {
  const { clock } = useServices();
  const now = useSignal(clock);
  const since = feed.since ? Date.parse(feed.since) : Number.NaN;
  const shown = troubles.slice(0, TROUBLES_SHOWN);
  return (
    <>
      <tr data-feed={feed.name}>
        <th scope="row" title={feed.name}>
          {feed.venue.split("_").map((part, index) => (
            <Fragment key={index}>
              {index > 0 && <>_<wbr /></>}
              {part}
            </Fragment>
          ))}
          {plain(feed.venue) !== plain(feed.name) && <span className="muted feed-name"> {feed.name}</span>}
        </th>
        <td title={Number.isNaN(since) ? undefined : `for ${formatDuration(now - since)}`}>
          <span className="badge" data-badge={feed.state}>
            {feed.state}
          </span>
        </td>
        <td>{formatCount(feed.rate)}</td>
        <td data-some={(feed.gaps ?? 0) > 0 || undefined}>{formatCount(feed.gaps)}</td>
        <td>{formatCount((feed.reconnects ?? 0) + (feed.restarts ?? 0))}</td>
        <td>{formatMs(feed.lag_ms)}</td>
      </tr>
      {shown.map((entry) => (
        <tr className="feed-error" key={entry.id} data-trouble={entry.id}>
          <td colSpan={COLUMNS}>
            <span className="badge" data-badge="gap">
              {entry.kind}
            </span>{" "}
            {concerns(entry)}: {entry.reason}
            {entry === shown.at(-1) && troubles.length > shown.length && ` (and ${troubles.length - shown.length} more)`}
          </td>
        </tr>
      ))}
      {shown.length === 0 && feed.last_error && (
        <tr className="feed-error" data-past={feed.state === "connected" || feed.state === "quiet" || undefined}>
          <td colSpan={COLUMNS}>
            <span className="muted">last error:</span> {feed.last_error}
          </td>
        </tr>
      )}
    </>
  );
}

/** `binance-futures` and `BINANCE_FUTURES` are the same word. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}
