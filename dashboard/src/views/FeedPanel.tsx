import type { FeedStatus } from "../wire/index.ts";
import { formatCount, formatDuration, formatMs, UNKNOWN } from "./format.ts";
import { useServices, useSignal } from "./services.ts";

/** How each feed is: asked for every two seconds, also while the stream is down. */
export function FeedPanel() {
  const { feeds } = useServices();
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
              <th scope="col">Feed</th>
              <th scope="col">State</th>
              <th scope="col">Since</th>
              <th scope="col" title="Messages a second">
                Msg/s
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
              <FeedRow key={feed.name} feed={feed} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function FeedRow({ feed }: { readonly feed: FeedStatus }) {
  const { clock } = useServices();
  const now = useSignal(clock);
  const since = feed.since ? Date.parse(feed.since) : Number.NaN;
  return (
    <>
      <tr data-feed={feed.name}>
        <th scope="row">
          {feed.name}
          {feed.venue.toLowerCase() !== feed.name.toLowerCase() && <span className="muted"> {feed.venue}</span>}
        </th>
        <td>
          <span className="badge" data-badge={feed.state}>
            {feed.state}
          </span>
        </td>
        <td>{Number.isNaN(since) ? UNKNOWN : formatDuration(now - since)}</td>
        <td>{formatCount(feed.rate)}</td>
        <td>{formatCount((feed.reconnects ?? 0) + (feed.restarts ?? 0))}</td>
        <td>{formatMs(feed.lag_ms)}</td>
      </tr>
      {feed.last_error && (
        <tr className="feed-error" data-past={feed.state === "connected" || feed.state === "quiet" || undefined}>
          <td colSpan={6}>
            <span className="muted">last error:</span> {feed.last_error}
          </td>
        </tr>
      )}
    </>
  );
}
