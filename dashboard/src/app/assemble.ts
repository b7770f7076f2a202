/** Wires the page: stream to store, list to stream, polls and clock to the tab's visibility. */

import { connect, type FeedStatus, type Tickcast } from "tickcast";

import { MarketStore, Poll, Signal, ThemeStore, Watchlist } from "../store/index.ts";
import type { Services } from "../views/services.ts";
import { RestClient, type SymbolInfo } from "../wire/index.ts";

const POLL_MS = 2_000;
const LEDGER_POLL_MS = 1_000;
/** Of the ledger while the stream tells of each gap. */
const TOLD_POLL_MS = 15_000;
const LEDGER_ENTRIES = 100;
const CLOCK_MS = 500;
const SUGGESTIONS = 12;
/** So often the same overview: the feeds are up. */
const SAME_ANSWERS = 3;

export function assemble(): Services {
  const base = new URL(".", document.baseURI).href;
  const rest = new RestClient(base);
  const storage = openStorage();
  const watchlist = new Watchlist(storage);
  const client = connect(base);
  const market = new MarketStore(client.records);
  client.on("applied", (applied) => market.applied(applied));
  client.on("connection", (connection) => market.setConnection(connection));
  client.on("instance", (instance) => market.instance.set(instance));
  client.on("rate", (rate) => market.slowed.set(rate));
  client.on("delay", (delayS) => market.delayS.set(delayS));
  const ledgerVenue = new Signal("");
  const services: Services = {
    market,
    watchlist,
    theme: new ThemeStore(document.documentElement, storage),
    feeds: new Poll((signal) => rest.feeds(signal), POLL_MS),
    latency: new Poll((signal) => rest.latency(signal), POLL_MS),
    troubles: new Poll((signal) => rest.openGaps(LEDGER_ENTRIES, signal), LEDGER_POLL_MS),
    ledger: new Poll((signal) => rest.gaps(ledgerVenue.value, LEDGER_ENTRIES, signal), LEDGER_POLL_MS),
    ledgerVenue,
    clock: new Signal(Date.now()),
    search: (query, signal) => rest.symbols(query, SUGGESTIONS, signal),
    retryNow: () => client.retryNow(),
    watch: (symbol, stream) => client.watch(symbol, stream),
  };
  followList(watchlist, client, market);
  followInstance(watchlist, market, new Poll((signal) => rest.overview(signal), POLL_MS));
  followVisibility(services);
  followInstanceStatus(services);
  ledgerVenue.subscribe(() => services.ledger.again());
  return services;
}

/** Storage can be forbidden; then the page works and forgets. */
function openStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

function followList(watchlist: Watchlist, client: Tickcast, market: MarketStore): void {
  const watched = new Map<string, () => void>();
  const follow = (): void => {
    const wanted = new Set(watchlist.symbols.value);
    for (const symbol of wanted) if (!watched.has(symbol)) watched.set(symbol, client.watch(symbol));
    for (const [symbol, release] of watched) {
      if (wanted.has(symbol)) continue;
      release();
      watched.delete(symbol);
      market.forget(symbol);
    }
  };
  watchlist.symbols.subscribe(follow);
  follow();
}

/** After each connection the instance is asked what to show, until its feeds have said all that there is. */
function followInstance(watchlist: Watchlist, market: MarketStore, overview: Poll<readonly SymbolInfo[]>): void {
  let before = "";
  let same = 0;
  overview.state.subscribe(() => {
    const { answer } = overview.state.value;
    if (answer === null) return;
    const names = answer.map((one) => one.symbol);
    watchlist.suggest(names);
    same = names.length > 0 && names.join() === before ? same + 1 : 0;
    before = names.join();
    if (same >= SAME_ANSWERS) overview.stop();
  });
  market.connection.subscribe(() => {
    if (market.connection.value.phase !== "live") return;
    same = 0;
    overview.start();
  });
}

/** A hidden page leaves polls and clock alone; the connection sees to itself. */
function followVisibility(services: Services): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const beat = (): void => {
    const now = Date.now();
    services.clock.set(now);
    services.market.measure(now);
  };
  const follow = (): void => {
    const hidden = document.visibilityState === "hidden";
    clearInterval(timer);
    if (hidden) {
      services.feeds.stop();
      services.latency.stop();
      services.ledger.stop();
      services.troubles.stop();
      return;
    }
    services.feeds.start();
    services.latency.start();
    services.ledger.start();
    services.troubles.start();
    beat();
    timer = setInterval(beat, CLOCK_MS);
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}

/** What the stream tells of feeds and gaps takes the place of what was asked for: at once, and not every second. */
function followInstanceStatus({ market, feeds, troubles, ledger }: Services): void {
  let gaps = market.instance.value?.gaps;
  market.instance.subscribe(() => {
    const instance = market.instance.value;
    const isTold = instance !== null;
    troubles.pace(isTold ? TOLD_POLL_MS : LEDGER_POLL_MS);
    ledger.pace(isTold ? TOLD_POLL_MS : LEDGER_POLL_MS);
    if (!isTold) {
      troubles.again();
      ledger.again();
    } else {
      if (instance.gaps !== gaps) ledger.again();
      troubles.state.set({ answer: instance.gaps, error: null });
      const told = new Map(instance.feeds.map((feed) => [feed.name, feed]));
      const known = feeds.state.value;
      const answer = known.answer?.map((feed) => withState(feed, told.get(feed.name))) ?? instance.feeds;
      feeds.state.set({ ...known, answer });
    }
    gaps = instance?.gaps;
  });
}

/** Figures as they were asked for, the state as it was told. */
function withState(asked: FeedStatus, told: FeedStatus | undefined): FeedStatus {
  return told ? { ...asked, state: told.state, since: told.since ?? asked.since } : asked;
}
