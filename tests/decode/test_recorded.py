"""Recordings of declared venues through the command."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.decode.files import records, run, summary

from tickcast.decode import foreign
from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.bybit.venue import BybitVenue
from tickcast.venues.deribit.venue import DeribitVenue

Record = dict[str, Any]
ADDRESS = "wss://www.deribit.com/ws/api/v2"


def written(folder: Path, *lines: Record) -> Path:
    path = folder / "recorded.jsonl"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def header(exchange: str = "DERIBIT", **fields: Any) -> Record:
    return {"t": "header", "exchange": exchange, "config": None, "selection": "all", **fields}


def connect(ts: float, address: str = ADDRESS, conn: str = "c") -> Record:
    return {"t": "connect", "conn": conn, "ts": ts, "addr": address}


def sent(ts: float, data: Any, conn: str = "c") -> Record:
    return {"t": "send", "conn": conn, "ts": ts, "data": data if isinstance(data, str) else json.dumps(data)}


def received(ts: float, data: Any, conn: str = "c") -> Record:
    return {"t": "recv", "conn": conn, "ts": ts, "data": data if isinstance(data, str) else json.dumps(data)}


def http(ts: float, url: str, data: Any) -> Record:
    return {"t": "http", "conn": "h", "ts": ts, "url": url, "data": json.dumps(data)}


# ------------------------------------------------------------------ Deribit


def subscribe(*channels: str) -> Record:
    return {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": list(channels)}}


def told(channel: str, data: Any) -> Record:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


def book(last: int, previous: int | None, bid: float, size: float, name: str = "BTC-PERPETUAL") -> Record:
    data: Record = {"type": "snapshot" if previous is None else "change", "timestamp": 5, "instrument_name": name}
    data |= {"change_id": last, "bids": [["new", bid, size]], "asks": [["new", bid + 10, 1.0]]}
    if previous is not None:
        data["prev_change_id"] = previous
    return told(f"book.{name}.raw", data)


def trade(number: int, price: float, amount: float, name: str = "BTC-PERPETUAL") -> Record:
    row = {"trade_seq": number, "trade_id": str(number), "timestamp": 7, "price": price, "amount": amount}
    return told(f"trades.{name}.raw", [{**row, "instrument_name": name, "direction": "buy"}])


ASKED = sent(1.1, subscribe("book.BTC-PERPETUAL.raw", "trades.BTC-PERPETUAL.raw"))
GRANTED = received(1.2, {"jsonrpc": "2.0", "id": 1, "result": ["book.BTC-PERPETUAL.raw", "trades.BTC-PERPETUAL.raw"]})
BEGINNING = (header(), connect(1.0), ASKED, GRANTED, received(2.0, book(10, None, 100.5, 3.0)))


def test_instruments_are_named_by_what_was_subscribed_to(tmp_path: Path) -> None:
    path = written(tmp_path, *BEGINNING, received(3.0, trade(1, 100.5, 20.0)), received(3.1, book(11, 10, 101.5, 1.0)))
    found = summary("DERIBIT", path)
    assert (found["frames"], found["control"], found["gaps"], found["dead_letters"]) == (4, 1, 0, 0)
    one = found["instruments"]["BTC-USD-PERP"]
    assert (one["trades"], Decimal(one["notional"]), one["bid"], one["state"]) == (1, Decimal(2010), "101.5", "live")
    (row,) = records(run("DERIBIT", path), "trade")
    assert (row["ts_event"], row["ts_recv"], row["side"], row["id"]) == (7_000_000, 3_000_000_000, "buy", "1")


def test_a_broken_chain_is_a_gap_and_the_rest_goes_on(tmp_path: Path) -> None:
    eth = "ETH-PERPETUAL"
    path = written(
        tmp_path,
        *BEGINNING,
        received(2.1, book(20, None, 9.5, 1.0, eth)),
        received(3.0, book(13, 12, 101.5, 1.0)),
        received(3.1, book(21, 20, 9.75, 1.0, eth)),
        received(3.2, trade(1, 100.5, 20.0)),
    )
    found = summary("DERIBIT", path)
    states = {symbol: (one["state"], one["gaps"], one["bid"]) for symbol, one in found["instruments"].items()}
    assert states == {"BTC-USD-PERP": ("gap", 1, "100.5"), "ETH-USD-PERP": ("live", 0, "9.75")}
    assert (found["gaps"], found["records"]["trade"]) == (1, 1)


def test_symbols_that_the_venues_list_does_not_know_are_dead_letters(tmp_path: Path) -> None:
    entry = {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "settlement_period": "perpetual",
    }
    url = "https://x/api/v2/public/get_instruments?currency=BTC&expired=false&kind=future"
    unknown = received(3.0, trade(1, 1.5, 2.0, "NOBODY-PERPETUAL"))
    path = written(tmp_path, header(), http(0.5, url, {"result": [entry]}), *BEGINNING[1:], unknown)
    result = run("DERIBIT", path, "--summary", "--format", "json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert (found["dead_letters"], list(found["instruments"])) == (1, ["BTC-USD-PERP"])
    assert "NOBODY-PERPETUAL" in result.stderr
    without = summary("DERIBIT", written(tmp_path, *BEGINNING, unknown))
    assert (without["dead_letters"], list(without["instruments"])) == (0, ["BTC-USD-PERP", "NOBODY-USD-PERP"])


def test_two_connections_with_the_same_books_are_two_lines(tmp_path: Path) -> None:
    frames = [book(10, None, 100.5, 3.0), trade(1, 100.5, 20.0), book(11, 10, 101.5, 1.0), trade(2, 101.5, 5.0)]
    lines = [header(), connect(1.0, conn="a"), connect(1.0, conn="b"), ASKED]
    for number, frame in enumerate(frames):
        lines += [received(2 + number, frame, "a"), received(2 + number + 0.1, frame, "b")]
    del lines[-3]  # of the second line, which brings nothing new
    found = summary("DERIBIT", written(tmp_path, *lines))
    one = found["instruments"]["BTC-USD-PERP"]
    assert (one["trades"], one["size"], one["bid"], one["gaps"]) == (2, "25.0", "101.5", 0)
    assert (found["frames"], found["records"]["bid"]) == (7, 2)


def test_a_connection_that_follows_another_is_no_second_line(tmp_path: Path) -> None:
    lines = [
        *BEGINNING,
        connect(5.0, conn="d"),
        received(6.0, book(50, None, 90.5, 1.0), "d"),
        received(7.0, book(51, 50, 91.5, 1.0), "d"),
    ]
    one = summary("DERIBIT", written(tmp_path, *lines))["instruments"]["BTC-USD-PERP"]
    assert (one["bid"], one["state"], one["gaps"]) == ("91.5", "live", 0)


def test_a_lost_connection_leaves_books_stale_until_they_begin_anew(tmp_path: Path) -> None:
    close = {"t": "close", "conn": "c", "ts": 4.0}
    path = written(tmp_path, *BEGINNING, close)
    assert summary("DERIBIT", path)["instruments"]["BTC-USD-PERP"]["state"] == "stale"
    again = written(tmp_path, *BEGINNING, close, connect(5.0), received(6.0, book(99, None, 95.5, 1.0)))
    one = summary("DERIBIT", again)["instruments"]["BTC-USD-PERP"]
    assert (one["state"], one["bid"]) == ("live", "95.5")


def test_subscriptions_later_on_name_instruments_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickcast.decode.recorded.HELD_BYTES_MAX", 600)
    later = sent(3.0, subscribe("book.ETH-3JAN26.raw"))
    path = written(tmp_path, *BEGINNING, later, received(4.0, book(7, None, 9.5, 1.0, "ETH-3JAN26")))
    found = summary("DERIBIT", path)
    assert (found["instruments"]["ETH-USD-20260103"]["bid"], found["dead_letters"]) == ("9.5", 0)


def test_states_of_instruments(tmp_path: Path) -> None:
    data = {"timestamp": 9, "state": "locked", "instrument_name": "BTC-PERPETUAL"}
    path = written(tmp_path, *BEGINNING, received(3.0, told("instrument.state.any.any", data)))
    found = summary("DERIBIT", path)
    assert (found["instruments"]["BTC-USD-PERP"]["state"], found["control"]) == ("halted", 2)


@pytest.mark.parametrize(
    ("frame", "unknown", "dead"),
    [
        ("<html>502</html>", 0, 1),
        ('{"jsonrpc":"2.0","method":"nonsense","params":{}}', 1, 0),
        ('{"jsonrpc":"2.0","error":7}', 0, 1),
        ('{"params":{"channel":"book.BTC-PERPETUAL.raw","data":{"type":"change"', 0, 1),
    ],
)
def test_what_is_not_understood(tmp_path: Path, frame: str, unknown: int, dead: int) -> None:
    found = summary("DERIBIT", written(tmp_path, *BEGINNING, received(3.0, frame)))
    assert (found["frames"], found["unknown"], found["dead_letters"]) == (3, unknown, dead)


def test_our_own_captures_say_their_settings(tmp_path: Path) -> None:
    ours = {**header(), "feed": "deribit", "settings": {"venue": "DERIBIT", "depth": 5, "symbols": ["BTC-USD-PERP"]}}
    found = summary("DERIBIT", written(tmp_path, ours, *BEGINNING[1:]))
    assert found["instruments"]["BTC-USD-PERP"]["bid"] == "100.5"
    wrong = {**ours, "settings": {"depth": []}}
    assert "expected a feed's settings" in str(run("DERIBIT", written(tmp_path, wrong, *BEGINNING[1:])).exception)


def test_several_recordings_in_a_row(tmp_path: Path) -> None:
    first = written(tmp_path, *BEGINNING, received(3.0, trade(1, 100.5, 20.0)))
    (tmp_path / "more").mkdir()
    second = written(tmp_path / "more", *BEGINNING, received(3.0, trade(1, 100.5, 20.0)))
    found = summary("DERIBIT", first, second)
    assert (found["frames"], found["instruments"]["BTC-USD-PERP"]["trades"]) == (6, 2)


# ------------------------------------------------------------------ other venues' ways


def level2(number: int, kind: str, price: str, product: str = "BTC-USD") -> Record:
    updates = [{"side": "bid", "event_time": "2026-08-09T21:05:48Z", "price_level": price, "new_quantity": "1"}]
    event = {"type": kind, "product_id": product, "updates": updates}
    return {"channel": "l2_data", "timestamp": "2026-08-09T21:05:48Z", "sequence_num": number, "events": [event]}


COINBASE = "wss://advanced-trade-ws.coinbase.com"
PRODUCT = {
    "product_type": "SPOT",
    "base_currency_id": "BTC",
    "quote_currency_id": "USD",
    "base_increment": "0.00000001",
    "quote_increment": "0.01",
    "status": "online",
}
PRODUCTS = http(
    0.5,
    "https://api.coinbase.com/api/v3/brokerage/market/products",
    {
        "products": [
            {**PRODUCT, "product_id": "BTC-USD"},
            {**PRODUCT, "product_id": "ETH-USD", "base_currency_id": "ETH"},
        ]
    },
)


@pytest.mark.parametrize(
    ("selection", "numbers", "gaps"),
    [
        ("all", (0, 1, 2), 0),
        ("all", (0, 1, 3), 1),
        ("first 11 s of the session", (0, 2, 3), 1),
        ("split by instrument, this part: BTC-USD", (0, 7, 9), 0),
        ("the rest of the session", (489, 490, 491), 0),
        ("the rest of the session", (489, 490, 495), 1),
    ],
)
def test_counters_of_connections(tmp_path: Path, selection: str, numbers: tuple[int, int, int], gaps: int) -> None:
    kinds = ("snapshot", "update", "update")
    frames = [
        received(2.0 + at, level2(number, kind, f"{100 + at}.5"))
        for at, (number, kind) in enumerate(zip(numbers, kinds, strict=True))
    ]
    path = written(tmp_path, header("COINBASE", selection=selection), PRODUCTS, connect(1.0, COINBASE), *frames)
    result = run("COINBASE", path, "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["gaps"]) == (0, gaps)
    assert list(found["instruments"]) == ["BTC-USD"]
    is_split = selection.startswith("split")
    assert found["instruments"]["BTC-USD"]["state"] == ("unverified" if is_split else "gap" if gaps else "live")
    assert ("prove nothing" in result.stderr) is is_split


def test_subscriptions_of_coinbase_name_products(tmp_path: Path) -> None:
    asked = sent(1.1, {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "level2"})
    frame = received(2.0, level2(0, "snapshot", "100.5"))
    found = summary("COINBASE", written(tmp_path, header("COINBASE"), connect(1.0, COINBASE), asked, frame))
    states = {symbol: one["state"] for symbol, one in found["instruments"].items()}
    assert (states["BTC-USD"], found["dead_letters"]) == ("live", 0)
    assert states["ETH-USD"] != "live"


def test_books_over_rest_from_any_host(tmp_path: Path) -> None:
    stream = "wss://stream.binance.com:9443/stream?streams=btcusdt@depth@100ms"
    data = {"e": "depthUpdate", "E": 6, "s": "BTCUSDT", "a": []}

    def depth(first: int, last: int, bid: str) -> Record:
        return {"stream": "btcusdt@depth@100ms", "data": {**data, "U": first, "u": last, "b": [[bid, "1"]]}}

    answer = {"lastUpdateId": 10, "bids": [["9.0", "1"]], "asks": [["11.0", "3"]]}
    path = written(
        tmp_path,
        header("BINANCE", config={"l2_book": ["BTC-USDT"]}),
        connect(1.0, stream),
        received(2.0, depth(8, 10, "8.0")),
        http(2.5, "https://www.binance.com/api/v1/depth?symbol=ETHUSDT&limit=1000", answer),
        http(2.6, "https://www.binance.com/api/v1/depth?symbol=BTCUSDT&limit=1000", answer),
        received(3.0, depth(11, 12, "9.5")),
    )
    found = summary("BINANCE", path)
    one = found["instruments"]["BTC-USDT"]
    assert (one["bid"], one["ask"], one["state"], found["gaps"]) == ("9.5", "11.0", "live", 0)


def test_names_are_those_of_the_connections_market(tmp_path: Path) -> None:
    def traded(number: int, price: str) -> Record:
        row = {"T": 5, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": price, "i": str(number), "seq": number}
        return {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 5, "data": [row]}

    topic = {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}
    lines = [header("BYBIT")]
    for conn in ("linear", "spot"):
        lines += [connect(1.0, f"wss://stream.bybit.com/v5/public/{conn}", conn), sent(1.1, topic, conn)]
    lines += [received(2.0, traded(1, "10"), "linear"), received(2.1, traded(2, "20"), "spot")]
    found = summary("BYBIT", written(tmp_path, *lines))["instruments"]
    assert {symbol: one["notional"] for symbol, one in found.items()} == {"BTC-USDT": "20", "BTC-USDT-PERP": "10"}


# ------------------------------------------------------------------ what a recording says


def lines_at(*addresses: str) -> list[Line]:
    return [Line(t="connect", addr=address) for address in addresses]


@pytest.mark.parametrize(
    ("code", "address", "title"),
    [
        ("KRAKEN", "wss://ws.kraken.com", "Kraken v1 (recordings)"),
        ("KRAKEN", "wss://beta-ws.kraken.com/", "Kraken v1 (recordings)"),
        ("KRAKEN", "wss://ws.kraken.com/v2", "Kraken v2"),
        ("BYBIT", "wss://stream.bybit.com/v5/public/linear", "Bybit v5"),
        ("OKX", "wss://ws.okex.com:8443/ws/v5/public", "OKX v5"),
    ],
)
def test_the_address_says_the_dialect(code: str, address: str, title: str) -> None:
    assert foreign.venue_of(code, foreign.Recorded(), lines_at(address), b"").title == title


def test_without_an_address_the_first_frame_does() -> None:
    older = foreign.venue_of("KRAKEN", foreign.Recorded(), [], b'[170,[["1","2","3","s","l",""]],"trade","LTC/XBT"]')
    newer = foreign.venue_of("KRAKEN", foreign.Recorded(), [], b'{"channel":"trade","type":"update","data":[]}')
    assert (older.title, newer.title) == ("Kraken v1 (recordings)", "Kraken v2")


@pytest.mark.parametrize(
    ("code", "address", "text"),
    [
        ("BYBIT", "wss://stream.bybit.com/realtime", "Bybit v2 or v3"),
        ("OKX", "wss://real.okex.com:8443/ws/v3", "OKX v3"),
        ("DERIBIT", "wss://www.deribit.com/ws/api/v1/", "Deribit v1"),
    ],
)
def test_dialects_that_are_not_read(code: str, address: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as refused:
        foreign.venue_of(code, foreign.Recorded(), lines_at(address), b"")
    assert "this dialect is not read" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "category"),
    [
        ("https://api.bybit.com/v5/market/instruments-info?&category=linear&status=Trading&limit=1000", "linear"),
        ("https://api.bytick.com/v5/market/instruments-info?category=spot", "spot"),
        ("https://api.bybit.com/v5/market/instruments-info?category=option&baseCoin=SOL&limit=1000", "option"),
        ("https://api.bybit.com/v5/market/instruments-info?category=unheard", "unheard"),
        ("https://api.bybit.com/v5/market/tickers?category=spot", None),
    ],
)
def test_recorded_lists_are_those_that_we_would_ask_for(url: str, category: str | None) -> None:
    requests = BybitVenue(VenueConfig(venue="BYBIT")).listing()
    found = foreign.listing_of(requests, url)
    assert (found is not None and f"category={category}" in found.url) or category is None
    assert (found is None) is (category is None)


def test_answers_of_requests() -> None:
    request = Request(purpose="depth", url="https://a/api/v3/depth?symbol=BTCUSDT&limit=100")
    assert foreign.is_answer(request, "BTCUSDT", "https://b:9/api/v1/depth?limit=5&symbol=btcusdt")
    assert not foreign.is_answer(request, "BTCUSDT", "https://b/api/v1/depth?symbol=ETHUSDT")
    assert not foreign.is_answer(request, "BTCUSDT", "https://b/api/v1/ticker?symbol=BTCUSDT")
    assert not foreign.is_answer(request, "BTCUSDT", "https://b/api/v1/depth")


def test_damaged_lists_are_none() -> None:
    deribit = DeribitVenue(VenueConfig(venue="DERIBIT"))
    url = deribit.listing()[0].url
    assert foreign.lists_of(deribit, [Line(t="http", url=url, data="<html>"), Line(t="http", url=url)]) == {}
