import { useEffect, useId, useState } from "react";
import type { Bar, Interval } from "tickcast";

import { formatCount, formatQuantity, formatTime } from "./format.ts";
import { useBars, useServices } from "./services.ts";

const INTERVALS: readonly Interval[] = ["1s", "1m"];
const SHOWN = 60;
const STEP = 6;
const HEIGHT = 96;
const PAD = 3;

/** Candles of one symbol, of a second or a minute each; a bar that is corrected is drawn anew. */
export function BarsPanel({ symbol }: { readonly symbol: string }) {
  const { watch } = useServices();
  const [interval, setInterval] = useState<Interval>("1s");
  useEffect(() => watch(symbol, `bars:${interval}`), [symbol, interval, watch]);
  const group = useId();
  const { bars, isKnown, reason, corrections } = useBars(symbol, interval);
  const shown = bars.slice(-SHOWN);
  const last = shown.at(-1);
  return (
    <section aria-label={`Bars of ${symbol}`} className="bars">
      <h3>
        Bars{" "}
        <fieldset className="switch">
          <legend className="visually-hidden">Interval</legend>
          {INTERVALS.map((one) => (
            <label key={one}>
              <input type="radio" name={group} value={one} checked={one === interval} onChange={() => setInterval(one)} />
              <span>{one}</span>
            </label>
          ))}
        </fieldset>
        {corrections > 0 && <span className="muted">{formatCount(corrections)} corrected</span>}
      </h3>
      {reason && <p className="details-reason">{reason}</p>}
      {shown.length === 0 || !last ? (
        <p className="muted">{isKnown ? "No trade yet." : reason ? "" : "Waiting for bars…"}</p>
      ) : (
        <>
          <Candles bars={shown} />
          <p className="muted bars-last">
            {formatTime(last.start).slice(0, 8)} open {last.open} high {last.high} low {last.low} close {last.close}, volume{" "}
            {formatQuantity(last.volume)} in {formatCount(last.trades)} trades
          </p>
        </>
      )}
    </section>
  );
}

/** Doubles are good enough for where a line is drawn; figures are shown as they came. */
function Candles({ bars }: { readonly bars: readonly Bar[] }) {
  const low = Math.min(...bars.map((bar) => Number(bar.low)));
  const high = Math.max(...bars.map((bar) => Number(bar.high)));
  const y = (price: string): number => {
    const share = high > low ? (high - Number(price)) / (high - low) : 0.5;
    return PAD + share * (HEIGHT - 2 * PAD);
  };
  const begin = SHOWN - bars.length;
  return (
    <svg className="candles" viewBox={`0 0 ${SHOWN * STEP} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label="Candles">
      {bars.map((bar, place) => {
        const x = (begin + place) * STEP + STEP / 2;
        const open = y(bar.open);
        const close = y(bar.close);
        const tone = Number(bar.close) >= Number(bar.open) ? "up" : "down";
        return (
          <g key={bar.start} data-tone={tone} data-final={bar.final} data-corrected={bar.corrected}>
            <line x1={x} x2={x} y1={y(bar.high)} y2={y(bar.low)} />
            <rect x={x - 2} width="4" y={Math.min(open, close)} height={Math.max(1, Math.abs(open - close))} />
          </g>
        );
      })}
    </svg>
  );
}
