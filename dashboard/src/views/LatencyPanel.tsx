import type { HopLatency } from "../wire/index.ts";
import { formatCount, formatMs, formatName } from "./format.ts";
import { useServices, useSignal } from "./services.ts";

/** Each hop's latency beside what it may cost. */
export function LatencyPanel() {
  const { latency } = useServices();
  const { answer, error } = useSignal(latency.state);
  return (
    <section className="panel" aria-labelledby="latency-title">
      <div className="panel-head">
        <h2 id="latency-title">Latency per hop</h2>
        {error ? (
          <span className="panel-error">no answer</span>
        ) : (
          <span className="muted">{answer && answer.window_s > 0 ? `ms, last ${answer.window_s} s` : "ms"}</span>
        )}
      </div>
      {answer === null ? (
        <p className="empty">{error ?? "Asking…"}</p>
      ) : answer.hops.length === 0 ? (
        <p className="empty">Nothing was measured yet.</p>
      ) : (
        <table className="small hops" data-old={error !== null} aria-labelledby="latency-title">
          <thead>
            <tr>
              <th scope="col">Hop</th>
              <th scope="col">p50</th>
              <th scope="col">p95</th>
              <th scope="col">p99</th>
              <th scope="col" className="budget">
                of budget
              </th>
            </tr>
          </thead>
          <tbody>
            {answer.hops.map((hop) => (
              <HopRow key={hop.hop} hop={hop} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function HopRow({ hop }: { readonly hop: HopLatency }) {
  const budget = hop.budget_ms;
  const values = [hop.p50_ms, hop.p95_ms, hop.p99_ms] as const;
  return (
    <tr data-hop={hop.hop} data-ok={hop.ok ?? undefined} title={`${formatCount(hop.count)} measured`}>
      <th scope="row">{formatName(hop.hop)}</th>
      {values.map((value, index) => (
        <td key={index} data-over={isOver(value, budget?.[index])}>
          {formatMs(value)}
        </td>
      ))}
      <td className="budget">{budget ? <BudgetBar hop={hop} budget={budget} /> : <span className="muted">none</span>}</td>
    </tr>
  );
}

function isOver(value: number | null, allowed: number | undefined): boolean | undefined {
  return value !== null && allowed !== undefined && value > allowed ? true : undefined;
}

/** The p99 as a part of its budget; the words beside it say the same. */
function BudgetBar({ hop, budget }: { readonly hop: HopLatency; readonly budget: readonly [number, number, number] }) {
  const [p50, p95, p99] = budget;
  const share = hop.p99_ms === null ? 0 : Math.min(1, hop.p99_ms / p99);
  const verdict = hop.count === 0 || hop.ok === null ? "no data" : hop.ok ? "within" : "over";
  return (
    <>
      <svg viewBox="0 0 60 4" width="60" height="4" preserveAspectRatio="none" aria-hidden="true" className="bar">
        <rect width="60" height="4" rx="2" className="bar-all" />
        <rect width={share === 0 ? 0 : Math.max(3, 60 * share)} height="4" rx="2" className="bar-used" data-verdict={verdict} />
      </svg>
      <span className="verdict" data-verdict={verdict}>
        {verdict} <span className="muted">{`${p50}/${p95}/${p99}`}</span>
      </span>
    </>
  );
}
