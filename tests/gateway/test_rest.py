import gzip
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from tickcast.gateway import page
from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.ops.latency import LatencyReport
from tickcast.testing.gateway import NoInsight, RunningGateway, running_gateway


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    gateway.trade("XNAS:AAPL", "185.40", "100")
    gateway.quote("XNAS:AAPL", ("185.30", "10"), ("185.50", "20"))
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        yield http


def is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and body["status"] == status
        and bool(body["title"] and body["detail"])
    )


async def test_a_price_keeps_every_digit(client: httpx.AsyncClient) -> None:
    answer = await client.get("/prices/XNAS:AAPL")
    assert answer.status_code == 200
    assert '"price":185.40,' in answer.text
    body = answer.json()
    assert (body["symbol"], body["venue"], body["currency"], body["state"]) == ("XNAS:AAPL", "XNAS", "USD", "live")
    named = {"size", "bid", "bid_size", "ask", "ask_size", "epoch", "seq", "exchange_timestamp", "server_timestamp"}
    session = {"open", "high", "low", "prev_close", "volume", "change", "change_pct"}
    assert named | session <= set(body)
    strings = (await client.get("/prices/XNAS:AAPL?numbers=string")).json()
    assert (strings["price"], strings["bid"]) == ("185.40", "185.30")


async def test_prices_come_in_the_order_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/prices?symbols=BINANCE:BTC-USDT,NOPE,AAPL&numbers=string")
    items = answer.json()["prices"]
    assert [item["symbol"] for item in items] == ["BINANCE:BTC-USDT", "NOPE", "AAPL"]
    assert items[1] == {"symbol": "NOPE", "state": "no_such_symbol"}
    assert Decimal(items[2]["price"]) == Decimal("185.40")


async def test_symbols_are_searched_page_by_page(client: httpx.AsyncClient) -> None:
    everything: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = (await client.get("/symbols", params={"limit": 2, "cursor": cursor})).json()
        everything += body["symbols"]
        cursor = body["next"]
        if cursor is None:
            break
    names = [entry["symbol"] for entry in everything]
    assert names == sorted(names)
    assert set(names) == {
        "AAPL", "MSFT", "BTC-USDT", "XNAS:AAPL", "XNAS:MSFT", "XSIM:AAPL", "BINANCE:BTC-USDT",
    }  # fmt: skip
    crypto = (await client.get("/symbols?class=crypto&venue=BINANCE")).json()["symbols"]
    assert [(entry["symbol"], entry["class"], entry["tick_size"]) for entry in crypto] == [
        ("BINANCE:BTC-USDT", "crypto", "0.01")
    ]
    assert {entry["symbol"] for entry in (await client.get("/symbols?q=msf")).json()["symbols"]} == {
        "MSFT",
        "XNAS:MSFT",
    }


async def test_an_overview_is_what_to_look_at_first(client: httpx.AsyncClient) -> None:
    first = (await client.get("/symbols/overview")).json()["symbols"]
    assert [one["symbol"] for one in first][:3] == ["AAPL", "BTC-USDT", "MSFT"]
    assert {one["symbol"] for one in first[3:]} == {"XNAS:AAPL", "XSIM:AAPL", "BINANCE:BTC-USDT"}
    assert len((await client.get("/symbols/overview?limit=2")).json()["symbols"]) == 2
    assert is_problem(await client.get("/symbols/overview?limit=101"), 422)


async def test_every_error_is_a_problem(client: httpx.AsyncClient) -> None:
    assert is_problem(await client.get("/prices/NOPE"), 404)
    assert is_problem(await client.get("/nowhere"), 404)
    assert is_problem(await client.post("/prices/AAPL"), 405)
    assert is_problem(await client.get("/prices"), 422)
    assert is_problem(await client.get("/prices?symbols=" + ",".join(["A"] * 1001)), 422)
    assert is_problem(await client.get("/prices/AAPL?numbers=roman"), 422)
    assert is_problem(await client.get("/prices/" + "A" * 200), 422)
    assert is_problem(await client.get("/symbols?limit=0"), 422)
    assert is_problem(await client.get("/stream"), 426)
    assert is_problem(await client.get("/prices/AAPL", headers={"host": "evil.example"}), 421)
    assert (await client.post("/prices/AAPL")).headers["allow"] == "GET, HEAD"


async def test_a_search_says_what_is_allowed(client: httpx.AsyncClient) -> None:
    bogus = await client.get("/symbols?class=bogus")
    assert is_problem(bogus, 422)
    assert "equity" in bogus.json()["detail"]
    assert "perpetual" in bogus.json()["detail"]
    following = (await client.get("/symbols?limit=1")).json()["next"]
    for cursor in ("bogus", "XNAS:AAPL", "\0", "a", "YWZ0ZXI6", following[:-2] + "!!"):
        broken = await client.get("/symbols", params={"cursor": cursor})
        assert is_problem(broken, 422), cursor
        assert "next" in broken.json()["detail"]
    assert (await client.get("/symbols?venue=NOWHERE")).json() == {"symbols": [], "next": None}
    assert len((await client.get("/symbols?class=&cursor=")).json()["symbols"]) == 7


@pytest.mark.parametrize(
    "path",
    [
        "/", "/docs", "/openapi.json", "/prices/AAPL", "/prices?symbols=AAPL", "/symbols", "/feeds", "/health/live",
        "/metrics", "/prices/NOPE", "/nowhere",
    ],
)  # fmt: skip
async def test_head_answers_as_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    full, head = await client.get(path), await client.head(path)
    assert head.status_code == full.status_code
    assert head.headers["content-type"] == full.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    assert head.content == b""
    assert (await client.get("/health/live")).json() == {"status": "live"}  # the connection goes on


async def test_operations(client: httpx.AsyncClient) -> None:
    assert (await client.get("/feeds")).json() == {"feeds": []}
    assert (await client.get("/latency")).json() == {"hops": []}
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    scraped = await client.get("/metrics")
    assert scraped.headers["content-type"].startswith("text/plain")
    assert "\ntickcast_gateway_connections 0.0" in scraped.text


async def test_answers_carry_headers_against_misuse(client: httpx.AsyncClient) -> None:
    price = await client.get("/prices/AAPL")
    assert price.headers["x-content-type-options"] == "nosniff"
    assert price.headers["cache-control"] == "no-store"
    document = await client.get("/docs")
    assert "default-src 'none'; script-src 'self';" in document.headers["content-security-policy"]
    assert "content-security-policy" not in price.headers
    assert price.headers["cross-origin-resource-policy"] == "same-origin"
    shown = (await client.get("/")).headers
    assert "unsafe" not in shown["content-security-policy"]
    assert "frame-ancestors 'none'" in shown["content-security-policy"]
    assert (shown["x-frame-options"], shown["cross-origin-opener-policy"]) == ("DENY", "same-origin")


async def test_compressed_bodies_are_refused_unread(client: httpx.AsyncClient) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = await client.post("/feeds/xnas/symbols", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "not compressed" in answer.json()["detail"]


async def test_docs_need_no_network(client: httpx.AsyncClient) -> None:
    document = await client.get("/docs")
    assert document.status_code == 200
    assert "https://" not in document.text
    schema = (await client.get("/openapi.json")).json()
    assert {"/prices/{symbol}", "/prices", "/symbols", "/feeds", "/latency", "/metrics"} <= set(schema["paths"])
    price = schema["paths"]["/prices/{symbol}"]["get"]["responses"]
    assert "application/problem+json" in price["404"]["content"]


async def test_openapi_describes_every_answer(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    def described(path: str) -> dict[str, Any]:
        content = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert content["properties"]
        return dict(content["properties"])

    listing = described("/symbols")["symbols"]["items"]["properties"]
    (found,) = (await client.get("/symbols?q=XNAS:AAPL")).json()["symbols"]
    assert set(listing) == set(found)
    assert set((await client.get("/prices/AAPL")).json()) == set(described("/prices/{symbol}"))
    assert {"name", "state", "lag_ms", "last_error"} <= set(described("/feeds")["feeds"]["items"]["properties"])
    real = msgspec.json.schema(LatencyReport)["$defs"]["HopTimes"]
    hop = described("/latency")["hops"]["items"]
    assert {name: one.get("type", one.get("anyOf")) for name, one in hop["properties"].items()} == {
        name: one.get("type", one.get("anyOf")) for name, one in real["properties"].items()
    }
    assert set(described("/health/ready")) == {"status", "feeds_live", "feeds", "instruments", "failures"}
    (asset_class,) = [one for one in paths["/symbols"]["get"]["parameters"] if one["name"] == "class"]
    assert "equity" in str(asset_class["schema"])


async def test_foreign_pages_may_read_only_where_the_config_says(client: httpx.AsyncClient) -> None:
    allowed = "access-control-allow-origin"
    local = await client.get("/prices/AAPL", headers={"origin": "http://localhost:5173"})
    assert local.headers[allowed] == "http://localhost:5173"
    assert allowed not in (await client.get("/prices/AAPL", headers={"origin": "http://evil.example"})).headers
    async with (
        running_gateway(Config(port=0, origins=("https://app.example",))) as gateway,
        httpx.AsyncClient(base_url=gateway.url, headers={"origin": "https://app.example"}) as http,
    ):
        assert (await http.get("/health/live")).headers[allowed] == "https://app.example"


class Unready(NoInsight):
    def ready(self) -> tuple[bool, dict[str, Any]]:
        return False, {"feeds_live": 0}

    def latency(self) -> dict[str, Any]:
        raise RuntimeError("planted")


async def test_failures_are_problems_too(gateway: RunningGateway) -> None:
    app = create_app(
        hub=gateway.hub,
        registry=gateway.registry,
        insight=Unready(),
        ledger=gateway.ledger,
        config=Config(),
        clock=time.time_ns,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        ready = await http.get("/health/ready")
        assert is_problem(ready, 503)
        assert ready.json()["feeds_live"] == 0
        assert is_problem(await http.get("/latency"), 500)


async def test_a_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    app = FastAPI(docs_url=None)
    page.add_page(app, tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert "make page" in answer.text


async def test_a_built_page_is_served_with_its_cache_rules(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>the page")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-abc123.js").write_text("1")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "swagger-ui-bundle.js").write_text("2")
    app = FastAPI(docs_url=None)
    page.add_docs(app, tmp_path / "docs")
    page.add_page(app, tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        index = await http.get("/")
        assert (index.text, index.headers["cache-control"]) == ("<!doctype html>the page", "no-cache")
        assert (await http.get("/", headers={"if-none-match": index.headers["etag"]})).status_code in {200, 304}
        asset = await http.get("/assets/index-abc123.js")
        assert "immutable" in asset.headers["cache-control"]
        assert (await http.get("/icon.svg")).headers["content-type"].startswith("image/svg")
        assert (await http.get("/assets/../index.html")).status_code in {200, 404}
        assert (await http.get("/assets/%2e%2e/%2e%2e/secret")).status_code == 404
        assert (await http.get("/assets/a%00b")).status_code == 404
        assert (await http.get("/elsewhere")).status_code == 404
        assert "swagger-ui-bundle.js" in (await http.get("/docs")).text
        assert (await http.get("/docs/swagger-ui-bundle.js")).text == "2"
        assert "openapi.json" in (await http.get("/docs/start.js")).text


async def test_a_book_is_its_best_levels(gateway: RunningGateway, client: httpx.AsyncClient) -> None:
    unknown = (await client.get("/books/XNAS:AAPL")).json()
    assert (unknown["bids"], unknown["asks"], unknown["timestamp"], unknown["state"]) == ([], [], None, "empty")
    gateway.book("XNAS:AAPL", [("185.30", "10"), ("185.20", "5")], [("185.50", "20")])
    answer = await client.get("/books/XNAS:AAPL?depth=1")
    assert '"bids":[[185.30,10]],"asks":[[185.50,20]]' in answer.text
    body = (await client.get("/books/AAPL?numbers=string")).json()
    assert (body["symbol"], body["depth"], body["state"]) == ("AAPL", 10, "live")
    assert body["bids"] == [["185.30", "10"], ["185.20", "5"]]
    assert body["timestamp"].endswith("Z")
    assert body["seq"] > unknown["seq"]
    assert is_problem(await client.get("/books/NOPE"), 404)
    assert is_problem(await client.get("/books/AAPL?depth=51"), 422)


async def test_bars_are_made_of_trades(gateway: RunningGateway, client: httpx.AsyncClient) -> None:
    gateway.trade("XNAS:AAPL", "185.60", "50")
    body = (await client.get("/bars/AAPL?numbers=string&limit=1000")).json()
    assert (body["symbol"], body["interval"], body["state"]) == ("AAPL", "1m", "live")
    bars = body["bars"]
    # Two trades, of one minute or of two that follow each other.
    assert sum(bar["trades"] for bar in bars) == 2
    assert (bars[0]["open"], bars[-1]["close"], bars[-1]["high"]) == ("185.40", "185.60", "185.60")
    assert sum(Decimal(bar["volume"]) for bar in bars) == 150
    assert sum(Decimal(bar["notional"]) for bar in bars) == Decimal("185.40") * 100 + Decimal("185.60") * 50
    assert len((await client.get("/bars/XNAS:AAPL?interval=1s&limit=1")).json()["bars"]) == 1
    assert (await client.get("/bars/XNAS:MSFT")).json()["bars"] == []
    assert is_problem(await client.get("/bars/NOPE"), 404)
    assert is_problem(await client.get("/bars/AAPL?interval=1h"), 422)
