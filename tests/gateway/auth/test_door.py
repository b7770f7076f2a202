"""REST behind the door: lists that do not leak, answers that are the same whether a thing exists or not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway
from tickcast.testing.tokens import NOW_S, NS, auth_config, token

PART = {"symbols": ["XNAS:AAPL", "BINANCE:*"], "depth": 5}
EVERYTHING = {"symbols": ["*"]}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(port=0, auth=auth_config(tmp_path))
    async with running_gateway(config, clock=lambda: NOW_S * NS) as gateway:
        gateway.trade("XNAS:AAPL", "100.00")
        gateway.book("XNAS:AAPL", [(f"{100 - n}.00", "1") for n in range(20)], [("101.00", "1")])
        transport = httpx.ASGITransport(gateway.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


def by(scope: object) -> dict[str, str]:
    return {"authorization": f"Bearer {token(scope)}"}


async def test_every_route_is_behind_the_door_but_those_that_say_so(http: httpx.AsyncClient) -> None:
    described = (await http.get("/openapi.json")).json()["paths"]
    answered = set()
    for path, methods in described.items():
        for method in methods:
            answer = await http.request(method.upper(), path.replace("{symbol}", "AAPL").replace("{feed}", "xnas"))
            if answer.status_code != 401:
                answered.add(path)
            else:
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert "AAPL" not in answer.text
    assert answered == {"/health/live", "/health/ready"}
    for path in ("/", "/docs", "/stream", "/openapi.json", "/asyncapi.json"):
        assert (await http.get(path)).status_code != 401


@pytest.mark.parametrize("path", ["/prices/{}", "/books/{}", "/bars/{}", "/completeness?from=1h&symbol={}"])
async def test_what_is_outside_is_the_same_whether_it_exists(http: httpx.AsyncClient, path: str) -> None:
    found = []
    for name in ("XNAS:MSFT", "XNAS:NOPE", "AAPL", "NOPE"):
        answer = await http.get(path.format(name), headers=by(PART))
        found.append((answer.status_code, answer.text.replace(name, "-"), sorted(answer.headers)))
    assert len({str(one) for one in found}) == 1
    assert (found[0][0], '"not_entitled"' in found[0][1]) == (403, True)
    missing = await http.get(path.format("BINANCE:NOPE"), headers=by(PART))
    assert missing.status_code == 404


async def test_prices_of_many_say_which_are_outside(http: httpx.AsyncClient) -> None:
    answer = await http.get("/prices?symbols=XNAS:AAPL,XNAS:MSFT,XNAS:NOPE,BINANCE:NOPE", headers=by(PART))
    states = [one["state"] for one in answer.json()["prices"]]
    assert states == ["live", "not_entitled", "not_entitled", "no_such_symbol"]


async def test_lists_hold_what_may_be_seen_and_name_nothing_else(http: httpx.AsyncClient) -> None:
    names = [one["symbol"] for one in (await http.get("/symbols", headers=by(EVERYTHING))).json()["symbols"]]
    assert names == ["AAPL", "BINANCE:BTC-USDT", "BTC-USDT", "MSFT", "XNAS:AAPL", "XNAS:MSFT", "XSIM:AAPL"]
    seen: list[str] = []
    cursor: Any = ""
    while cursor is not None:
        answer = (await http.get(f"/symbols?limit=1&cursor={cursor}", headers=by(PART))).json()
        seen += [one["symbol"] for one in answer["symbols"]]
        cursor = answer["next"]
    assert seen == ["BINANCE:BTC-USDT", "XNAS:AAPL"]
    for path in ("/symbols", "/symbols?q=a", "/symbols?venue=XNAS", "/symbols/overview"):
        text = (await http.get(path, headers=by(PART))).text
        assert not any(hidden in text for hidden in ("MSFT", "XSIM", '"AAPL"'))
    security = (await http.get("/symbols", headers=by({"symbols": ["AAPL", "XSIM:AAPL"]}))).json()["symbols"]
    assert [(one["symbol"], one["legs"]) for one in security] == [("AAPL", ["XSIM:AAPL"]), ("XSIM:AAPL", [])]


async def test_channels_and_depth_are_limits_of_rest_too(http: httpx.AsyncClient) -> None:
    assert (await http.get("/books/XNAS:AAPL?depth=50", headers=by(PART))).json()["depth"] == 5
    prices = by({"symbols": ["*"], "channels": ["price"]})
    paths = ("/prices/AAPL", "/books/AAPL", "/books/NOPE", "/bars/AAPL", "/feeds", "/gaps", "/metrics", "/latency")
    answers = {path: await http.get(path, headers=prices) for path in paths}
    assert [path for path, answer in answers.items() if answer.status_code == 200] == ["/prices/AAPL"]
    assert {answer.status_code for path, answer in answers.items() if path != "/prices/AAPL"} == {403}


async def test_figures_about_everything_are_for_who_sees_everything(http: httpx.AsyncClient) -> None:
    for path in ("/metrics", "/latency"):
        assert (await http.get(path, headers=by(EVERYTHING))).status_code == 200
        assert (await http.get(path, headers=by(PART))).status_code == 403
        assert (await http.get(path, headers=by({"admin": True}))).status_code == 200


async def test_requests_of_a_user_are_limited(tmp_path: Path) -> None:
    config = Config(port=0, auth=auth_config(tmp_path, requests_per_second_per_user=5))
    async with running_gateway(config, clock=lambda: NOW_S * NS) as gateway:
        transport = httpx.ASGITransport(gateway.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answers = [await http.get("/prices/AAPL", headers=by(EVERYTHING)) for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert answers[-1].headers["retry-after"] == "1"
