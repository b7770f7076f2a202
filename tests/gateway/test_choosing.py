"""REST of what feeds stream, and the token that guards it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tickcast.gateway.choosing import BODY_MAX
from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.gateway.token import is_token, read_token
from tickcast.model.errors import StateError, UsageError
from tickcast.testing.gateway import RunningGateway

TOKEN = "0123456789-a-token"  # noqa: S105  a test's own
HEADERS = {"authorization": f"Bearer {TOKEN}"}


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
        clock=lambda: 0,
        symbols=feeds,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


NO_INSIGHT: Any = object()


async def test_with_the_token_symbols_are_changed(gateway: RunningGateway) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, Config(admin_token=TOKEN)) as http:
        answer = await http.post("/feeds/okx/symbols", json={"add": ["A"], "drop": ["B"]}, headers=HEADERS)
        assert (answer.status_code, answer.json()) == (200, {"added": ["A"], "dropped": ["B"], "streamed": 3})
        assert (await http.get("/feeds/okx/symbols")).json() == {"feed": "okx", "symbols": []}
    assert feeds.changes == [("okx", ["A"], ["B"])]


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer "},
     {"authorization": f"Bearer {TOKEN}x"}, {"x-token": TOKEN}],
)  # fmt: skip
async def test_without_it_nothing_is(gateway: RunningGateway, headers: dict[str, str]) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, Config(admin_token=TOKEN)) as http:
        answer = await http.post(f"/feeds/okx/symbols?token={TOKEN}", json={"add": ["A"]}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert feeds.changes == []


async def test_without_a_token_in_the_config_nobody_may(gateway: RunningGateway) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, Config()) as http:
        for headers in ({}, {"authorization": "Bearer "}):
            answer = await http.post("/feeds/okx/symbols", json={"add": ["A"]}, headers=headers)
            assert (answer.status_code, "admin_token" in answer.json()["detail"]) == (403, True)
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
async def test_what_is_wrong_is_a_problem(gateway: RunningGateway, feed: str, body: bytes, status: int) -> None:
    feeds = Feeds()
    async with client(gateway, feeds, Config(admin_token=TOKEN)) as http:
        answer = await http.post(f"/feeds/{feed}/symbols", content=body, headers=HEADERS)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert feeds.changes == []


@pytest.mark.parametrize(("feed", "status"), [("nowhere", 404), ("away", 503), ("fixed", 409)])
async def test_a_list_that_cannot_be_had(gateway: RunningGateway, feed: str, status: int) -> None:
    async with client(gateway, Feeds(), Config()) as http:
        assert (await http.get(f"/feeds/{feed}/symbols")).status_code == status


# ------------------------------------------------------------------ the token


def test_the_token_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert read_token(Config(admin_token_file=str(path))) == TOKEN
    assert read_token(Config(admin_token=TOKEN)) == TOKEN
    assert read_token(Config()) == ""


@pytest.mark.parametrize("text", ["", "short", "two words that are long", "\u00e4" * 20, "a\nb" * 20])
def test_a_file_without_a_token_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"admin_token_file: expected one line of at least 16"):
        read_token(Config(admin_token_file=str(path)))


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"admin_token_file: cannot read .*No such file"):
        read_token(Config(admin_token_file=str(tmp_path / "none")))
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    with pytest.raises(UsageError, match="it is no text"):
        read_token(Config(admin_token_file=str(tmp_path / "bytes")))


@pytest.mark.parametrize(
    "table",
    [
        {"admin_token": "short"},
        {"admin_token": "with spaces in between"},
        {"admin_token": TOKEN, "admin_token_file": "x"},
    ],
)
def test_a_token_that_is_none_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="admin_token"):
        msgspec.convert(table, Config)


def test_only_the_whole_token_is_the_token() -> None:
    assert is_token(f"Bearer {TOKEN}", TOKEN)
    assert is_token(f"bearer  {TOKEN} ", TOKEN)
    assert not is_token("Bearer ", "")
    assert not is_token(f"Bearer {TOKEN[:-1]}", TOKEN)
    assert not is_token("Bearer \u00e4\u00f6", TOKEN)
