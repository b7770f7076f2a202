import { useEffect, useId, useRef, useState, type KeyboardEvent, type RefObject } from "react";

import { normaliseSymbol } from "../store/index.ts";
import type { SymbolInfo } from "../wire/index.ts";
import { useServices } from "./services.ts";

const DEBOUNCE_MS = 120;

/** The box that finds symbols and puts them on the list: type, arrows, Enter. */
export function SymbolSearch() {
  const { watchlist } = useServices();
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [problem, setProblem] = useState<string | null>(null);
  const found = useSearch(text);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useSlashKey(input);
  const shown = open && found.length > 0;

  const add = (name: string): void => {
    const symbol = normaliseSymbol(name);
    if (symbol === null) {
      setProblem(`“${name.trim()}” is not written like a symbol: try AAPL, XNAS:AAPL or BTC-USDT.`);
      return;
    }
    const isNew = watchlist.add(symbol);
    setProblem(isNew ? null : `${symbol} is on the list already.`);
    setText("");
    setOpen(false);
    setActive(-1);
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((before) => Math.max(-1, Math.min(found.length - 1, before + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const chosen = shown ? found[active]?.symbol : undefined;
      if (chosen ?? text.trim()) add(chosen ?? text);
    } else if (event.key === "Escape") {
      setOpen(false);
      setActive(-1);
    }
  };

  return (
    <div className="search">
      <label htmlFor={`${id}-input`} className="visually-hidden">
        Add a symbol
      </label>
      <input
        id={`${id}-input`}
        ref={input}
        type="text"
        role="combobox"
        placeholder="Add a symbol"
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        aria-expanded={shown}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={shown && active >= 0 ? `${id}-${active}` : undefined}
        aria-invalid={problem !== null}
        aria-describedby={problem ? `${id}-problem` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setOpen(true);
          setActive(-1);
          setProblem(null);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => setOpen(false)}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id={`${id}-list`} role="listbox" aria-label="Symbols found" hidden={!shown}>
        {found.map((info, index) => (
          <li
            key={info.symbol}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === active}
            // Before the blur of the input, which would close the list.
            onMouseDown={(event) => {
              event.preventDefault();
              add(info.symbol);
            }}
          >
            <span>{info.symbol}</span>
            <span className="muted">{[info.class, info.currency].filter(Boolean).join(" · ")}</span>
          </li>
        ))}
      </ul>
      {problem && (
        <p id={`${id}-problem`} className="search-problem">
          {problem}
        </p>
      )}
    </div>
  );
}

/** What the server finds for a text; the list before stays while the next is on its way. */
function useSearch(text: string): readonly SymbolInfo[] {
  const { search } = useServices();
  const [found, setFound] = useState<readonly SymbolInfo[]>([]);
  const query = text.trim();
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(
      () => {
        if (query === "") setFound([]);
        else
          search(query, abort.signal).then(
            (symbols) => setFound(symbols),
            () => undefined, // without suggestions a symbol can still be typed
          );
      },
      query === "" ? 0 : DEBOUNCE_MS,
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [query, search]);
  return found;
}

/** `/` goes to the box from anywhere but another box. */
function useSlashKey(input: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent): void => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [input]);
}
