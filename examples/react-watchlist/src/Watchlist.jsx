import { useState } from "react";
import { useBook, useConnection, useTicks } from "tickcast/react";

const FIELDS = ["price", "bid", "ask", "change_pct"];

/** Prices of some symbols, and the book of the one that was chosen. */
export function Watchlist({ symbols }) {
  const connection = useConnection();
  const ticks = useTicks(symbols, { rate: 5, fields: FIELDS });
  const [chosen, choose] = useState(symbols[0]);
  return (
    <main>
      <h1>Watchlist</h1>
      <p className="connection">{connection.phase}</p>
      <table>
        <thead>
          <tr><th>Symbol</th><th>Price</th><th>Bid</th><th>Ask</th><th>%</th><th>State</th></tr>
        </thead>
        <tbody>
          {symbols.map((symbol) => {
            const tick = ticks[symbol];
            return (
              <tr key={symbol} className={symbol === chosen ? "chosen" : ""} data-state={tick.state} onClick={() => choose(symbol)}>
                <td><button type="button">{symbol}</button></td>
                {FIELDS.map((field) => <td key={field}>{tick[field] ?? "-"}</td>)}
                <td>{tick.state}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <Depth symbol={chosen} />
    </main>
  );
}

/** The best five levels a side; a book that is not whole shows none, and says why. */
function Depth({ symbol }) {
  const book = useBook(symbol, { depth: 5 });
  const levels = book.bids.map((bid, place) => [bid, book.asks[place]]);
  return (
    <section aria-label={`Book of ${symbol}`}>
      <h2>{symbol}</h2>
      {book.isWhole || <p>{book.reason ?? book.state}</p>}
      <table>
        <tbody>
          {levels.map(([bid, ask], place) => (
            <tr key={place}>
              <td>{bid.size}</td><td className="bid">{bid.price}</td>
              <td className="ask">{ask?.price ?? "-"}</td><td>{ask?.size ?? "-"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
