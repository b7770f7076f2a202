"""REST of what feeds stream, and the scope that guards it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tickcast.gateway.choosing import BODY_MAX
from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.model.errors import StateError, UsageError
from tickcast.testing.gateway import RunningGateway
from tickcast.testing.tokens import NOW_S, auth_config, token

TOKEN = token({"admin": True})
HEADERS = {"authorization": f"Bearer {TOKEN}"}
READER = {"authorization": f"Bearer {token()}"}


class Feeds:
    """Two feeds: one that does as it is told, and one that is away."""

    feeds = ("okx", "away", "fixed")

    def __init__(self) -> None:
        self.changes: list[tuple[str, list[str], list[str]]] = []

    async def listed(self, feed: str) -> dict[str, Any]:
        self._check(feed)
        return {"feed": feed, "symbols": []}

    async def change(self, feed: str, add: Sequence[str], drop: Sequence[str]) -> dict[str, Any]:
        self._check(feed)
        if "X" in add:
            raise UsageError("X is not listed")
        self.changes.append((feed, list(add), list(drop)))
        return {"added": add, "dropped": drop, "streamed": 3}

    @staticmethod
    def _check(feed: str) -> None:
        if feed == "away":
            raise StateError("the feed away does not answer")
        if feed == "fixed":
            raise UsageError("a feed of XNAS has its symbols from the config")


def client(gateway: RunningGateway, feeds: Feeds, config: Config) -> httpx.AsyncClient:
    app = create_app(
        hub=gateway.hub,
        registry=gateway.registry,
        insight=NO_INSIGHT,
        ledger=gateway.ledger,
        config=config,
        clock=lambda: NOW_S * 10**9,
        symbols=feeds,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


NO_INSIGHT: Any = object()


async def test_with_the_token_symbols_are_changed(gateway: RunningGateway, config: Config) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, config) as http:
        answer = await http.post("/feeds/okx/symbols", json={"add": ["A"], "drop": ["B"]}, headers=HEADERS)
        assert (answer.status_code, answer.json()) == (200, {"added": ["A"], "dropped": ["B"], "streamed": 3})
        assert (await http.get("/feeds/okx/symbols", headers=HEADERS)).json() == {"feed": "okx", "symbols": []}
    assert feeds.changes == [("okx", ["A"], ["B"])]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(auth=auth_config(tmp_path))


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer "},
     {"authorization": f"Bearer {TOKEN}x"}, {"x-token": TOKEN}],
)  # fmt: skip
async def test_without_it_nothing_is(gateway: RunningGateway, config: Config, headers: dict[str, str]) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, config) as http:
        answer = await http.post(f"/feeds/okx/symbols?token={TOKEN}", json={"add": ["A"]}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert feeds.changes == []


async def test_who_may_only_look_changes_nothing(gateway: RunningGateway, config: Config) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, config) as http:
        answer = await http.post("/feeds/okx/symbols", json={"add": ["A"]}, headers=READER)
        assert (answer.status_code, answer.json()["state"]) == (403, "not_entitled")
        assert (await http.get("/feeds/okx/symbols", headers=READER)).status_code == 200
        part = {"authorization": f"Bearer {token({'symbols': ['OKX:*']})}"}
        hidden = [await http.get(f"/feeds/{feed}/symbols", headers=part) for feed in ("okx", "nowhere")]
        assert {(answer.status_code, answer.content) for answer in hidden} == {(403, hidden[0].content)}
    assert feeds.changes == []


async def test_where_anybody_may_look_nobody_changes_without_a_key(gateway: RunningGateway) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, Config()) as http:
        answer = await http.post("/feeds/okx/symbols", json={"add": ["A"]})
        assert (answer.status_code, "tickcast keys add" in answer.json()["detail"]) == (401, True)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert feeds.changes == []


@pytest.mark.parametrize(
    ("feed", "body", "status"),
    [
        ("nowhere", b'{"add":["A"]}', 404),
        ("away", b'{"add":["A"]}', 503),
        ("fixed", b'{"add":["A"]}', 422),
        ("okx", b'{"add":["X"]}', 422),
        ("okx", b'{"add":"A"}', 422),
        ("okx", b'{"insert":["A"]}', 422),
        ("okx", b"\xff", 422),
        ("okx", b'{"add":["' + b"A" * BODY_MAX + b'"]}', 413),
    ],
)
async def test_what_is_wrong_is_a_problem(
    gateway: RunningGateway, config: Config, feed: str, body: bytes, status: int
) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, config) as http:
        answer = await http.post(f"/feeds/{feed}/symbols", content=body, headers=HEADERS)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert feeds.changes == []


@pytest.mark.parametrize(("feed", "status"), [("nowhere", 404), ("away", 503), ("fixed", 409)])
async def test_a_list_that_cannot_be_had(gateway: RunningGateway, feed: str, status: int) -> None:
    async with client(gateway, Feeds(), Config()) as http:
        assert (await http.get(f"/feeds/{feed}/symbols")).status_code == status
