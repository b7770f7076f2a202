// @vitest-environment happy-dom

import { act, type ReactNode, StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";

import { TickcastProvider, useBook, useConnection, useTick, useTicks } from "./react.ts";
import { FakeServer } from "./testing/fakeServer.ts";
import { frame, mount } from "./testing/mount.ts";
import { connect } from "./tickcast.ts";

async function page() {
  const server = new FakeServer();
  server.instruments.set("AAPL", { epoch: 7, seq: 912, price: "185.40" });
  server.instruments.set("MSFT", { epoch: 7, seq: 100, price: "421.07" });
  const client = connect("http://test:8000/", { createSocket: server.createSocket });
  await Promise.resolve();
  server.last.accept();
  const shown = mount();
  /** Something happens, is asked for and answered, and shown with the next frame. */
  const happens = async (what: () => void) => {
    await act(async () => what());
    await act(async () => frame());
    await act(async () => frame());
  };
  const show = (node: ReactNode) =>
    happens(() => shown.render(<StrictMode><TickcastProvider client={client}>{node}</TickcastProvider></StrictMode>));
  return { server, client, happens, show, text: () => shown.text(), asked: (action: string) => server.requests(action) };
}

function Price({ symbol, rate }: { readonly symbol: string; readonly rate?: number }): ReactNode {
  const ticks = useTicks([symbol], rate === undefined ? {} : { rate });
  return `${symbol}=${ticks[symbol]?.price ?? "-"} ${ticks[symbol]?.state};`;
}

test("components share one subscription, and the last to go ends it", async () => {
  const { server, client, happens, show, text, asked } = await page();
  await show([<Price key="1" symbol="AAPL" />, <Price key="2" symbol="AAPL" />]);
  expect(text()).toBe("AAPL=185.40 live;AAPL=185.40 live;");
  expect(asked("subscribe")).toHaveLength(1);
  await happens(() => server.last.say({ type: "update", symbol: "AAPL", price: "185.41", seq: 913 }));
  expect(text()).toBe("AAPL=185.41 live;AAPL=185.41 live;");
  await show(<Price key="2" symbol="AAPL" />);
  expect(asked("unsubscribe")).toEqual([]);
  await show(null);
  expect(asked("unsubscribe")).toMatchObject([{ symbols: ["AAPL"] }]);
  await happens(() => client.close());
});

test("another symbol, or another rate, is asked for in place of the first", async () => {
  const { client, happens, show, text, asked } = await page();
  await show(<Price symbol="AAPL" rate={5} />);
  await show(<Price symbol="MSFT" rate={5} />);
  expect(text()).toBe("MSFT=421.07 live;");
  expect(asked("unsubscribe")).toMatchObject([{ symbols: ["AAPL"] }]);
  await show(<Price symbol="MSFT" rate={1} />);
  expect(asked("subscribe").map((one) => one["rate"])).toEqual([5, 5, 1]);
  await happens(() => client.close());
});

test("a book is shown when it is whole, and the connection says where it stands", async () => {
  const { server, client, happens, show, text, asked } = await page();
  function Best(): ReactNode {
    const book = useBook("AAPL", { depth: 5 });
    const { phase } = useConnection();
    return `${phase} ${book.isWhole ? `${book.bids[0]?.price} x ${book.bids[0]?.size}` : "-"} ${book.state}`;
  }
  await show(<Best />);
  expect(asked("subscribe")).toMatchObject([{ channel: "book", depth: 5 }]);
  const bids = [["185.40", "7"]] as const;
  await happens(() => server.last.say({ type: "snapshot", channel: "book", symbol: "AAPL", bids, asks: [], epoch: 7, seq: 912, state: "live", last: true }));
  expect(text()).toBe("live 185.40 x 7 live");
  await happens(() => server.last.end(4702, "drain"));
  expect(text()).toBe("offline 185.40 x 7 stale");
  await happens(() => client.close());
});

test("what did not change is the same object, so that memo holds", async () => {
  const { server, client, happens, show } = await page();
  const seen: unknown[][] = [];
  function Both(): ReactNode {
    const ticks = useTicks(["AAPL", "MSFT"]);
    seen.push([ticks["AAPL"], ticks["MSFT"]]);
    return null;
  }
  await show(<Both />);
  const [apple, microsoft] = seen.at(-1) ?? [];
  await happens(() => server.last.say({ type: "update", symbol: "AAPL", price: "1", seq: 913 }));
  expect(seen.at(-1)?.[0]).not.toBe(apple);
  expect(seen.at(-1)?.[1]).toBe(microsoft);
  await happens(() => client.close());
});

test("a server renders what is known, which is nothing, and subscribes to nothing", async () => {
  const { client, happens, asked } = await page();
  const One = (): ReactNode => useTick("AAPL").state;
  expect(renderToString(<TickcastProvider client={client}><One /></TickcastProvider>)).toBe("syncing");
  expect(asked("subscribe")).toEqual([]);
  await happens(() => client.close());
});

test("a hook without a connection around it says what is missing", () => {
  const One = (): ReactNode => useTick("AAPL").state;
  expect(() => renderToString(<One />)).toThrow("TickcastProvider");
});
