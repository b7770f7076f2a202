import { createRoot } from "react-dom/client";
import { connect } from "tickcast";
import { TickcastProvider } from "tickcast/react";

import { Watchlist } from "./Watchlist.jsx";
import "./watchlist.css";

const address = new URLSearchParams(location.search).get("gateway") ?? "http://127.0.0.1:8000";
const gateway = connect(address);

createRoot(document.getElementById("root")).render(
  <TickcastProvider client={gateway}>
    <Watchlist symbols={["AAPL", "XNAS:MSFT", "BTC-USDT"]} />
  </TickcastProvider>,
);
