import { useEffect } from "react";
import type { Level } from "tickcast";

import { formatCount, formatQuantity } from "./format.ts";
import { useBook, useServices } from "./services.ts";

const DEPTH = 10;

/** The order book of one symbol: best bids and asks side by side, each size as a bar behind its figure. */
export function BookPanel({ symbol }: { readonly symbol: string }) {
  const { watch } = useServices();
  useEffect(() => watch(symbol, "book"), [symbol, watch]);
  const book = useBook(symbol);
  const largest = Math.max(...[...book.bids, ...book.asks].map((level) => Number(level.size)), 0);
  const rows = Math.min(DEPTH, Math.max(book.bids.length, book.asks.length));
  return (
    <section aria-label={`Order book of ${symbol}`} className="book">
      <h3>
        Order book{" "}
        {book.state !== "live" && (
          <span className="badge" data-badge={book.state} data-testid="book-state">
            {book.state}
          </span>
        )}
        <span className="muted book-proof" title="The server's digest of the book, compared with what was received">
          {book.verified > 0 && `verified ${formatCount(book.verified)}×`}
          {book.failed > 0 && `, ${formatCount(book.failed)} failed`}
        </span>
      </h3>
      {book.reason && <p className="details-reason">{book.reason}</p>}
      {rows === 0 ? (
        <p className="muted">{book.isWhole ? "The book is empty." : book.reason ? "" : "Waiting for the book…"}</p>
      ) : (
        <table data-old={book.state === "offline" || undefined}>
          <thead>
            <tr>
              <th scope="col">Size</th>
              <th scope="col">Bid</th>
              <th scope="col">Ask</th>
              <th scope="col">Size</th>
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: rows }, (_, place) => (
              <tr key={place}>
                <Size level={book.bids[place]} largest={largest} side="bid" />
                <td data-tone="up">{book.bids[place]?.price}</td>
                <td data-tone="down">{book.asks[place]?.price}</td>
                <Size level={book.asks[place]} largest={largest} side="ask" />
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

interface SizeProps {
  readonly level: Level | undefined;
  readonly largest: number;
  readonly side: "bid" | "ask";
}

function Size({ level, largest, side }: SizeProps) {
  const share = level && largest > 0 ? (100 * Number(level.size)) / largest : 0;
  return (
    <td className={`size ${side}`}>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect x={side === "bid" ? 100 - share : 0} width={share} height="1" />
      </svg>
      <span>{level ? formatQuantity(level.size) : ""}</span>
    </td>
  );
}
