"""The AsyncAPI document says what requests, replies and data of real sessions look like."""

import asyncio
import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tickcast.gateway import asyncapi, frames, messages
from tickcast.gateway.config import Config
from tickcast.model.record import State
from tickcast.testing.gateway import RunningGateway, running_gateway

DOCUMENT = asyncapi.document()
SENT = [kind.__name__ for kind in (*messages.REPLIES, *frames.FRAMES)]
DEADLINE_S = 20.0
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
    never = {"Lost", "Heartbeat", "FeedNote", "GapNote", "DeliveryNote", "Authenticated"}
    assert set(SENT) - never <= seen


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
