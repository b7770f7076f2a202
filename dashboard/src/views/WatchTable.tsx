import { useCallback, useEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react";

import { useServices, useSignal } from "./services.ts";
import { SymbolSearch } from "./SymbolSearch.tsx";
import { WatchRow } from "./WatchRow.tsx";

/** Columns in order; the class decides at which width a column gives way. */
export const COLUMNS: readonly { readonly key: string; readonly title: string; readonly hint?: string }[] = [
  { key: "symbol", title: "Symbol" },
  { key: "price", title: "Price" },
  { key: "change", title: "Change", hint: "Since the previous close" },
  { key: "percent", title: "Change %", hint: "Since the previous close" },
  { key: "bid", title: "Bid × size" },
  { key: "ask", title: "Ask × size" },
  { key: "size", title: "Last size" },
  { key: "volume", title: "Volume", hint: "Of the session" },
  { key: "state", title: "State" },
  { key: "venue", title: "Venue", hint: "Of the last trade" },
  { key: "age", title: "Age", hint: "Since the last update" },
  { key: "merged", title: "Merged", hint: "Events that a newer one replaced before they were sent" },
];

/** The watchlist. One row is in the tab order; arrows move between rows, Enter opens one, Delete removes it. */
export function WatchTable() {
  const { watchlist } = useServices();
  const symbols = useSignal(watchlist.symbols);
  const own = useSignal(watchlist.own);
  const [active, setActive] = useState<string | null>(null);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const body = useRef<HTMLTableSectionElement>(null);
  const observe = useInView();
  const head = useRef<HTMLTableRowElement>(null);
  const columns = useShownColumns(head);
  const current = active !== null && symbols.includes(active) ? active : symbols[0];

  const focusRow = useCallback((symbol: string | undefined) => {
    if (symbol === undefined) return;
    setActive(symbol);
    const rows = body.current?.querySelectorAll<HTMLElement>("[data-symbol]") ?? [];
    for (const row of rows) if (row.dataset["symbol"] === symbol) row.querySelector("button")?.focus();
  }, []);

  const toggle = useCallback((symbol: string) => {
    setOpened((before) => {
      const after = new Set(before);
      if (!after.delete(symbol)) after.add(symbol);
      return after;
    });
  }, []);

  const remove = useCallback(
    (symbol: string) => {
      const list = watchlist.symbols.value;
      const index = list.indexOf(symbol);
      const next = list[index + 1] ?? list[index - 1];
      watchlist.remove(symbol);
      focusRow(next);
    },
    [watchlist, focusRow],
  );

  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const symbol = (event.target as HTMLElement).closest<HTMLElement>("[data-symbol]")?.dataset["symbol"];
    if (symbol === undefined) return;
    const index = symbols.indexOf(symbol);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && event.altKey) watchlist.move(symbol, step);
    else if (step !== 0) focusRow(symbols[index + step]);
    else if (event.key === "Home") focusRow(symbols[0]);
    else if (event.key === "End") focusRow(symbols[symbols.length - 1]);
    else if (event.key === "Delete") remove(symbol);
    else return;
    event.preventDefault();
  };

  return (
    <section className="panel watch" aria-labelledby="watch-title">
      <div className="panel-head">
        <h2 id="watch-title">
          Watchlist <span className="muted count">{symbols.length}</span>
        </h2>
        {own && (
          <button
            type="button"
            className="button quiet"
            title="Forget the changes, and show what this instance suggests"
            onClick={() => watchlist.reset()}
          >
            Suggested list
          </button>
        )}
        <SymbolSearch />
      </div>
      <p id="watch-keys" className="visually-hidden">
        Arrow keys move between rows, Enter shows details, Delete removes, Alt with an arrow key moves the row.
      </p>
      <div className="scroll">
        <table className="quotes" aria-labelledby="watch-title" aria-describedby="watch-keys">
          <colgroup>
            {COLUMNS.map((column) => (
              <col key={column.key} className={`c-${column.key}`} />
            ))}
            <col className="c-remove" />
          </colgroup>
          <thead>
            <tr ref={head}>
              {COLUMNS.map((column) => (
                <th key={column.key} scope="col" className={`c-${column.key}`} title={column.hint}>
                  {column.title}
                </th>
              ))}
              <th scope="col" className="c-remove">
                <span className="visually-hidden">Remove</span>
              </th>
            </tr>
          </thead>
          <tbody ref={body} onKeyDown={onKeyDown}>
            {symbols.map((symbol) => (
              <WatchRow
                key={symbol}
                symbol={symbol}
                isCurrent={symbol === current}
                columns={columns}
                isOpen={opened.has(symbol)}
                onToggle={toggle}
                onRemove={remove}
                onFocus={setActive}
                observe={observe}
              />
            ))}
          </tbody>
        </table>
        {symbols.length === 0 && (
          <p className="empty">{own ? "Nothing is watched." : "Waiting for the first instruments…"}</p>
        )}
      </div>
    </section>
  );
}

export type Observe = (element: HTMLElement, onChange: (inView: boolean) => void) => () => void;

/** Tells rows and store what is in view, some rows beyond the screen's edge included. */
function useInView(): Observe {
  const { market } = useServices();
  const observer = useRef<IntersectionObserver | null>(null);
  const listeners = useRef(new Map<Element, (inView: boolean) => void>());
  useEffect(() => () => observer.current?.disconnect(), []);
  return useCallback<Observe>(
    (element, onChange) => {
      observer.current ??= new IntersectionObserver(
        (entries) => {
          for (const entry of entries) {
            const symbol = (entry.target as HTMLElement).dataset["symbol"];
            if (symbol !== undefined) market.setInView(symbol, entry.isIntersecting);
            listeners.current.get(entry.target)?.(entry.isIntersecting);
          }
        },
        { rootMargin: "400px 0px" },
      );
      const held = listeners.current;
      held.set(element, onChange);
      observer.current.observe(element);
      return () => {
        held.delete(element);
        observer.current?.unobserve(element);
      };
    },
    [market],
  );
}

/** How many columns the style sheet shows at the present width: a cell that spans more would make columns of its own. */
function useShownColumns(head: RefObject<HTMLTableRowElement | null>): number {
  const [shown, setShown] = useState(COLUMNS.length + 1);
  useEffect(() => {
    const row = head.current;
    if (!row) return;
    const observer = new ResizeObserver(() => {
      setShown([...row.cells].filter((cell) => cell.offsetWidth > 0).length);
    });
    observer.observe(row);
    return () => observer.disconnect();
  }, [head]);
  return shown;
}
