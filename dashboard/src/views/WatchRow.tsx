import { memo, useCallback, useState } from "react";

import { roundDecimal, signOf } from "tickcast";

import type { Row, ShownState } from "../store/index.ts";
import { formatAge, formatCount, formatPercent, formatQuantity, formatSigned, UNKNOWN } from "./format.ts";
import type { Observe } from "./WatchTable.tsx";
import { RowDetails } from "./RowDetails.tsx";
import { useRow, useServices, useSignal } from "./services.ts";

interface WatchRowProps {
  readonly symbol: string;
  readonly isCurrent: boolean;
  readonly isOpen: boolean;
  /** Columns shown at this width, for what spans them all. */
  readonly columns: number;
  readonly onToggle: (symbol: string) => void;
  readonly onRemove: (symbol: string) => void;
  readonly onFocus: (symbol: string) => void;
  readonly observe: Observe;
}

/** Out of view a row is its name and an empty cell: the browser lays out and paints every cell that there is. */
export const WatchRow = memo(function WatchRow(props: WatchRowProps) {
  const { symbol, isCurrent, isOpen, observe } = props;
  const row = useRow(symbol);
  const [inView, setInView] = useState(false);
  const ref = useCallback(
    (element: HTMLTableRowElement | null) => (element ? observe(element, setInView) : undefined),
    [observe],
  );
  return (
    <>
      <tr ref={ref} data-symbol={symbol} data-state={row.state} onFocus={() => props.onFocus(symbol)}>
        <th scope="row" className="c-symbol">
          <button
            type="button"
            className="row-button"
            tabIndex={isCurrent ? 0 : -1}
            title={symbol}
            aria-expanded={isOpen}
            onClick={() => props.onToggle(symbol)}
          >
            <SymbolName symbol={symbol} />
          </button>
        </th>
        {inView ? <Cells row={row} isCurrent={isCurrent} onRemove={props.onRemove} /> : <td colSpan={props.columns - 1} />}
      </tr>
      {isOpen && <RowDetails symbol={symbol} row={row} columns={props.columns} />}
    </>
  );
});

interface CellsProps {
  readonly row: Row;
  readonly isCurrent: boolean;
  readonly onRemove: (symbol: string) => void;
}

function Cells({ row, isCurrent, onRemove }: CellsProps) {
  const { fields } = row;
  const percent = formatPercent(fields.change_pct);
  const tone = toneOf(roundDecimal(fields.change_pct ?? "", 2));
  return (
    <>
      <td className="c-price">
        <span
          className="price"
          data-flash={row.moves > 0 ? `${row.direction}-${row.moves % 2}` : undefined}
          data-testid="price"
        >
          <Price text={fields.price} />
        </span>
        {/* Where the column of its own has no room. */}
        <span className="price-percent" data-tone={tone}>
          {percent}
        </span>
      </td>
      <td className="c-change" data-tone={toneOf(fields.change)}>
        {formatSigned(fields.change)}
      </td>
      <td className="c-percent" data-tone={tone}>
        {percent}
      </td>
      <QuoteCell side="bid" price={fields.bid} size={fields.bid_size} />
      <QuoteCell side="ask" price={fields.ask} size={fields.ask_size} />
      <td className="c-size">{formatQuantity(fields.size)}</td>
      <td className="c-volume" title={fields.volume ?? undefined}>
        {formatQuantity(fields.volume)}
      </td>
      <td className="c-state">
        <StateBadge row={row} />
      </td>
      <td className="c-venue">{fields.venue ?? UNKNOWN}</td>
      <AgeCell receivedAtMs={row.receivedAtMs} />
      <td className="c-merged" title={mergedTitle(row)}>
        {formatCount(row.merged)}
      </td>
      <td className="c-remove">
        <button
          type="button"
          className="remove"
          tabIndex={isCurrent ? 0 : -1}
          aria-label={`Remove ${row.symbol}`}
          onClick={() => onRemove(row.symbol)}
        >
          <svg viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
            <path d="M2 2l8 8M10 2l-8 8" />
          </svg>
        </button>
      </td>
    </>
  );
}

/** `XNAS:AAPL` with its venue set back; a bare name is the security over all venues. */
function SymbolName({ symbol }: { readonly symbol: string }) {
  const colon = symbol.lastIndexOf(":");
  if (colon < 0) return <span className="symbol-name">{symbol}</span>;
  return (
    <>
      <span className="symbol-venue">{symbol.slice(0, colon + 1)}</span>
      <span className="symbol-name">{symbol.slice(colon + 1)}</span>
    </>
  );
}

/** The venue's digits, all of them; a long tail of zeros is set back so that the eye finds the rest. */
function Price({ text }: { readonly text: string | null | undefined }) {
  if (!text) return UNKNOWN;
  const tail = /^(-?\d+\.\d{2,}?)(0{3,})$/.exec(text);
  if (!tail) return text;
  return (
    <>
      {tail[1]}
      <span className="zeros">{tail[2]}</span>
    </>
  );
}

interface QuoteCellProps {
  readonly side: "bid" | "ask";
  readonly price: string | null | undefined;
  readonly size: string | null | undefined;
}

const QuoteCell = memo(function QuoteCell({ side, price, size }: QuoteCellProps) {
  return (
    <td className={`c-${side}`}>
      {price ? (
        <>
          <Price text={price} /> <span className="quote-size">× {formatQuantity(size)}</span>
        </>
      ) : (
        UNKNOWN
      )}
    </td>
  );
});

const WORDS: Partial<Record<ShownState, string>> = {
  no_such_symbol: "no such symbol",
  not_entitled: "not entitled",
};

function StateBadge({ row }: { readonly row: Row }) {
  const { legs, crossed, state, reason } = row;
  return (
    <span className="badges" title={reason ?? undefined}>
      <span className="badge" data-badge={state} data-testid="state">
        {WORDS[state] ?? state}
      </span>
      {legs && state !== "offline" && (
        <span className="legs" data-partial={legs.live < legs.of} title={`${legs.live} of ${legs.of} venues live`}>
          <span aria-hidden="true">
            {legs.live}/{legs.of}
          </span>
          <span className="visually-hidden">
            {legs.live} of {legs.of} venues live
          </span>
        </span>
      )}
      {crossed && state !== "offline" && (
        <span className="badge" data-badge="crossed" title="Best bid above best ask, over venues">
          crossed
        </span>
      )}
    </span>
  );
}

/** Its own component: the clock redraws ages, not rows. */
const AgeCell = memo(function AgeCell({ receivedAtMs }: { readonly receivedAtMs: number }) {
  const { clock } = useServices();
  const now = useSignal(clock);
  return <td className="c-age">{formatAge(receivedAtMs, now)}</td>;
});

function toneOf(change: string | null | undefined): "up" | "down" | undefined {
  const sign = signOf(change);
  return sign > 0 ? "up" : sign < 0 ? "down" : undefined;
}

function mergedTitle(row: Row): string {
  const resets = row.resets > 0 ? `, counted anew ${row.resets} times` : "";
  return `${formatCount(row.received)} received, ${formatCount(row.merged)} merged${resets}`;
}
