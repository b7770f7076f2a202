"""The AsyncAPI document says what requests, replies and data of real sessions look like."""

import asyncio
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import jwt
import pytest
from tests.gateway.test_status import World
from websockets.asyncio.client import ClientConnection, connect

from tickcast.gateway import asyncapi, frames, messages
from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.config import Config
from tickcast.model.record import State
from tickcast.testing.gateway import RunningGateway, running_gateway

DOCUMENT = asyncapi.document()
SENT = [kind.__name__ for kind in (*messages.REPLIES, *frames.FRAMES)]
DEADLINE_S = 20.0
TRADES_UNREAD = 6_000
"""More than sockets hold for somebody who does not read."""
SECRET = "a secret of more than thirty-two bytes"  # noqa: S105  of this test
REQUESTS: tuple[dict[str, Any], ...] = (
    {"action": "subscribe", "symbols": ["AAPL", "NOPE"], "rate": 0, "id": 1},
    {"action": "subscribe", "symbols": ["XNAS:*"], "fields": ["price", "bid"], "rate": 0, "mode": "all"},
    {"action": "subscribe", "symbols": ["AAPL", "XNAS:AAPL"], "channel": "trades", "id": "two"},
    {"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "book", "rate": 0, "depth": 5},
    {"action": "subscribe", "symbols": ["AAPL"], "channel": "bars", "interval": "1s", "rate": 0},
    {"action": "subscribe", "symbols": ["*"], "channel": "status"},
    {"action": "set", "rate": 5, "numbers": "string"},
    {"action": "reconnect", "resume": {"AAPL": {"epoch": 1, "seq": 0}, "NOPE": {"epoch": 1, "seq": 0}}},
    {"action": "visibility", "hidden": True},
    {"action": "visibility", "hidden": False},
    {"action": "sync"},
    {"action": "fly"},
    {"action": "unsubscribe", "symbols": ["AAPL"]},
    {"action": "ping", "id": "last"},
)


def strict(node: Any) -> Any:
    """The same schema, with no room for keys that it does not name."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: strict(value) for key, value in node.items()}
    return closed | {"additionalProperties": False} if "properties" in closed else closed


SCHEMAS = strict(copy.deepcopy(DOCUMENT["components"]["schemas"]))


def validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}})


VALIDATORS = {name: validator(name) for name in SENT}


def kind_of(frame: dict[str, Any]) -> str:
    """The one message of the document that a frame is."""
    fits = [name for name, check in VALIDATORS.items() if check.is_valid(frame)]
    assert len(fits) == 1, (
        f"{frame} is {fits}: {[str(e)[:300] for e in VALIDATORS['PriceSnapshot'].iter_errors(frame)]}"
    )
    return fits[0]


async def heard(socket: ClientConnection, until: str) -> list[dict[str, Any]]:
    frames_of: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while not frames_of or frames_of[-1].get("id") != until:
            found = json.loads(await socket.recv())
            frames_of += found if isinstance(found, list) else [found]
    return frames_of


def move(gateway: RunningGateway, step: int) -> None:
    gateway.trade("XNAS:AAPL", f"185.{50 + step}", "7")
    gateway.quote("XNAS:AAPL", ("185.30", f"1{step}"), ("185.60", "20"))
    gateway.book("XNAS:AAPL", bids=[("185.40", f"{step + 1}")], asks=[("185.60", "2")])
    gateway.hub.set_feed_state("xnas", State.STALE if step % 2 else State.LIVE, "quiet", time.time_ns())
    gateway.flush()


@pytest.mark.parametrize("query", ["", "?numbers=string&batch=1"])
async def test_what_is_really_sent_is_described(query: str) -> None:
    config = Config(port=0, requests_per_second=200)
    async with running_gateway(config) as gateway, connect(gateway.stream_url + query) as socket:
        gateway.trade("XNAS:AAPL", "185.40")
        seen: set[str] = set()
        for step, request in enumerate(REQUESTS):
            await socket.send(json.dumps({"id": "last"} | request))
            told = await heard(socket, request.get("id", "last"))
            move(gateway, step)
            await socket.send('{"action":"sync","id":"moved"}')
            seen |= {kind_of(frame) for frame in [*told, *await heard(socket, "moved")]}
    assert set(SENT) - {"Lost", "Heartbeat", "FeedNote", "GapNote", "DeliveryNote", "Authenticated"} <= seen


async def frames_until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Everything that comes up to the first frame of a kind, each of them checked."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while not found or kind_of(found[-1]) != kind:
            told = json.loads(await socket.recv())
            found += told if isinstance(told, list) else [told]
    assert all(kind_of(frame) for frame in found)
    return found


async def test_a_new_epoch_and_a_loss_are_described() -> None:
    config = Config(port=0, send_buffer=4_096)
    async with (
        running_gateway(config, history_count=4, buffer_max=4_096) as gateway,
        connect(gateway.stream_url) as socket,
    ):
        gateway.trade("XNAS:AAPL", "185.40")
        await socket.send('{"action":"subscribe","symbols":["XNAS:AAPL"],"channel":"trades"}')
        await frames_until(socket, "Subscribed")
        gateway.hub.renew("XNAS:AAPL")
        gateway.trade("XNAS:AAPL", "185.41")
        begun = (await frames_until(socket, "Lost"))[-1]
        assert (begun["count"], begun["seq"]) == (0, 0)
        for _ in range(TRADES_UNREAD):  # in one turn of the loop: nobody reads meanwhile
            gateway.trade("XNAS:AAPL", "185.42")
        lost = (await frames_until(socket, "Lost"))[-1]
        assert lost["count"] > 0
        assert lost["epoch"] == begun["epoch"]


async def test_a_heartbeat_is_described() -> None:
    config = Config(port=0, heartbeat_s=0.1)
    async with running_gateway(config) as gateway, connect(gateway.stream_url) as socket:
        await frames_until(socket, "Heartbeat")


async def test_notes_are_described() -> None:
    world = World()
    world.feed("xnas", "connected")
    async with running_gateway() as gateway, connect(gateway.stream_url) as socket:
        await socket.send('{"action":"subscribe","symbols":["*"],"channel":"status"}')
        await frames_until(socket, "StatusSnapshot")
        board = gateway.stage.clients.status
        board.put(world.source.notes(10))
        feed = (await frames_until(socket, "FeedNote"))[-1]
        assert feed["feed"]["name"] == "xnas"
        world.gap("a", "xnas")
        board.put(world.source.notes(11))
        gap = (await frames_until(socket, "GapNote"))[-1]
        assert gap["gap"]["ended"] is None
        world.rung = (1, "held longer")
        board.put(world.source.notes(12))
        while (await frames_until(socket, "DeliveryNote"))[-1]["delivery"]["rung"] != 1:
            pass  # how it was in the beginning is told as well


async def test_who_was_let_in_is_described(tmp_path: Path) -> None:
    key = tmp_path / "desk.key"
    key.write_text(SECRET)
    auth = AuthConfig(jwt_keys=(str(key),), jwt_issuer="us", jwt_audience="prices")
    claims = {
        "sub": "reader",
        "iss": "us",
        "aud": "prices",
        "exp": time.time() + 600,
        "tickcast": {"symbols": ["XNAS:*"]},
    }
    token = jwt.encode(claims, SECRET, "HS256", {"kid": "desk"})
    async with (
        running_gateway(Config(port=0, auth=auth), folder=tmp_path / "auth") as gateway,
        connect(gateway.stream_url) as socket,
    ):
        await socket.send(json.dumps({"action": "auth", "token": token, "id": 1}))
        told = (await frames_until(socket, "Authenticated"))[-1]
        assert (told["subject"], told["symbols"], told["id"]) == ("reader", ["XNAS:*"], 1)
        assert told["until"].endswith("Z")


@pytest.mark.parametrize("request_of", REQUESTS, ids=str)
def test_requests_that_are_taken_are_described(request_of: dict[str, Any]) -> None:
    kinds = [
        name for name in (kind.__name__ for kind in messages.REQUESTS.values()) if validator(name).is_valid(request_of)
    ]
    assert len(kinds) == (request_of["action"] != "fly")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_references_lead_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


async def test_it_is_served() -> None:
    async with running_gateway() as gateway, httpx.AsyncClient() as http:
        answer = await http.get(f"{gateway.url}/asyncapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.text == asyncapi.TEXT
