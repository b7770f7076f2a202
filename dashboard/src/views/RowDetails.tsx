import { useEffect } from "react";

import type { Row } from "../store/index.ts";
import { BarsPanel } from "./BarsPanel.tsx";
import { BookPanel } from "./BookPanel.tsx";
import { formatCount, formatPercent, formatQuantity, formatSigned, formatTime, UNKNOWN } from "./format.ts";
import { useServices, useTape } from "./services.ts";

const TRADES_SHOWN = 10;

interface RowDetailsProps {
  readonly symbol: string;
  readonly row: Row;
  readonly columns: number;
}

/** Below an opened row: the session, what narrow screens leave out, bars, the order book and the last trades. */
export function RowDetails({ symbol, row, columns }: RowDetailsProps) {
  const { watch } = useServices();
  useEffect(() => watch(symbol, "trades"), [symbol, watch]);
  const { fields } = row;
  const facts: readonly (readonly [string, string])[] = [
    ["Open", fields.open ?? UNKNOWN],
    ["High", fields.high ?? UNKNOWN],
    ["Low", fields.low ?? UNKNOWN],
    ["Previous close", fields.prev_close ?? UNKNOWN],
    ["Change", `${formatSigned(fields.change)} (${formatPercent(fields.change_pct)})`],
    ["Bid", fields.bid ? `${fields.bid} × ${formatQuantity(fields.bid_size)}` : UNKNOWN],
    ["Ask", fields.ask ? `${fields.ask} × ${formatQuantity(fields.ask_size)}` : UNKNOWN],
    ["Volume", formatQuantity(fields.volume)],
    ["Last trade", `${formatTime(fields.timestamp)}${fields.venue ? ` at ${fields.venue}` : ""}`],
    ["Updates", `${formatCount(row.received)} received, ${formatCount(row.merged)} merged`],
  ];
  return (
    <tr className="details">
      <td colSpan={columns}>
        <div className="details-body">
          <section aria-label={`Session of ${symbol}`}>
            {row.reason && <p className="details-reason">{row.reason}</p>}
            <dl className="facts">
              {facts.map(([name, value]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </section>
          <BarsPanel symbol={symbol} />
          <BookPanel symbol={symbol} />
          <Trades symbol={symbol} />
        </div>
      </td>
    </tr>
  );
}

function Trades({ symbol }: { readonly symbol: string }) {
  const tape = useTape(symbol);
  return (
    <section aria-label={`Last trades of ${symbol}`} className="tape">
      <h3>Last trades</h3>
      {tape.trades.length === 0 ? (
        <p className="muted">No trade since this was opened.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Price</th>
              <th scope="col">Size</th>
              <th scope="col">Aggressor</th>
            </tr>
          </thead>
          <tbody>
            {tape.trades.slice(0, TRADES_SHOWN).map((trade) => (
              <tr key={trade.seq}>
                <td>{formatTime(trade.timestamp)}</td>
                <td data-tone={trade.side === "buy" ? "up" : trade.side === "sell" ? "down" : undefined}>{trade.price}</td>
                <td>{formatQuantity(trade.size)}</td>
                <td>{trade.side ?? UNKNOWN}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {tape.lost > 0 && <p className="muted">{formatCount(tape.lost)} trades were lost on the way and are not shown.</p>}
    </section>
  );
}
