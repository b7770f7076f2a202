"""Who may see what: asked of a running gateway, and written down in ``docs/reference/access.md``."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.config import Config
from tickcast.model.fault import Fault
from tickcast.testing.gateway import RunningGateway, late_of, running_gateway
from tickcast.testing.tokens import auth_config, token

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "access.md"
DEADLINE_S: Final = 20.0
ABOUT: Final = """# Who may see what

Each cell is what a running gateway answered: the status of HTTP, or the `state` of a symbol (on the stream, the code of
the error or of the close). `TICKCAST_UPDATE_DOCS=1 pytest tests/gateway/auth/test_matrix.py` makes this page, and the
test fails where it is not what the gateway does. What a scope is: [Secure a gateway](../how-to/secure-a-gateway.md).

`XNAS:AAPL` and `XNAS:MSFT` exist, `XNAS:NOPE` does not. The columns are clients: `open` shows nothing where everybody
may come in, `nobody` shows nothing where one must say who one is; the others show a token. `delayed` may see prices
late, and is refused where a gateway keeps none back; `delayed, kept back` is the same at a gateway that does, when what
it may see is old enough.

"""
SCOPES: Final[dict[str, dict[str, Any] | None]] = {
    "open": None,
    "nobody": None,
    "expired": {"symbols": ["*"]},
    "nothing": {},
    "one symbol": {"symbols": ["XNAS:AAPL"]},
    "prices only": {"symbols": ["*"], "channels": ["price"]},
    "rate 5, depth 10": {"symbols": ["*"], "rate": 5, "depth": 10},
    "everything": {"symbols": ["*"]},
    "delayed": {"symbols": ["*"], "delayed": True},
    "delayed, kept back": {"symbols": ["*"], "delayed": True},
    "admin": {"admin": True},
}
REST: Final = (
    ("GET", "/prices/XNAS:AAPL"),
    ("GET", "/prices/XNAS:MSFT"),
    ("GET", "/prices/XNAS:NOPE"),
    ("GET", "/books/XNAS:AAPL"),
    ("GET", "/bars/XNAS:AAPL"),
    ("GET", "/symbols"),
    ("GET", "/feeds"),
    ("GET", "/gaps"),
    ("GET", "/latency"),
    ("GET", "/metrics"),
    ("GET", "/health/ready"),
    ("GET", "/docs"),
    ("POST", "/ticket"),
    ("POST", "/feeds/xnas/symbols"),
    ("GET", "/processes"),
    ("POST", "/processes/xnas/restart"),
    ("GET", "/faults"),
    ("POST", "/faults/XNAS"),
    ("DELETE", "/faults/XNAS"),
)
BODIES: Final = {"/faults/XNAS": b'{"fault":"drop"}'}
STREAM: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("subscribe XNAS:AAPL", {"symbols": ["XNAS:AAPL"]}),
    ("subscribe XNAS:MSFT", {"symbols": ["XNAS:MSFT"]}),
    ("subscribe XNAS:NOPE", {"symbols": ["XNAS:NOPE"]}),
    ("subscribe AAPL", {"symbols": ["AAPL"]}),
    ("subscribe XNAS:*", {"symbols": ["XNAS:*"]}),
    ("book of XNAS:AAPL, depth 50", {"symbols": ["XNAS:AAPL"], "channel": "book", "depth": 50}),
    ("price of XNAS:AAPL, mode all", {"symbols": ["XNAS:AAPL"], "mode": "all"}),
    ("status of feeds", {"symbols": ["*"], "channel": "status"}),
)


class NoFeeds:
    """Feeds that cannot be asked: who may change them gets 404 and not 401 or 403."""

    feeds: Sequence[str] = ()

    async def listed(self, feed: str) -> dict[str, Any]:
        raise AssertionError(feed)

    async def change(self, feed: str, add: Sequence[str], drop: Sequence[str]) -> dict[str, Any]:
        raise AssertionError((feed, add, drop))


class NoProcesses:
    """None but the supervisor, so who may restart one gets 404."""

    async def rows(self) -> Sequence[dict[str, Any]]:
        return [{"name": "supervisor", "role": "supervisor"}]

    async def restart(self, name: str, *, by: str) -> dict[str, Any]:
        raise AssertionError((name, by))


class NoExchanges:
    """An instance that simulates, but no exchange: who may make faults there gets 404."""

    async def faults(self) -> dict[str, Any]:
        return {"verbs": {}, "venues": {}}

    async def arm(self, venue: str, fault: Fault) -> dict[str, Any]:
        raise AssertionError((venue, fault))

    async def clear(self, venue: str) -> dict[str, Any]:
        raise AssertionError(venue)


def headers(name: str) -> dict[str, str]:
    scope = SCOPES[name]
    if scope is None:
        return {}
    text = token(scope, now_s=int(time.time()), for_s=-60 if name == "expired" else 600, sub=name)
    return {"authorization": f"Bearer {text}"}


async def rest(gateway: RunningGateway, name: str, method: str, path: str) -> str:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as http:
        answer = await http.request(
            method, path, headers=headers(name), content=BODIES.get(path, b"{}") if method == "POST" else None
        )
    if answer.status_code == 200 and path == "/symbols":
        return f"200, {len(answer.json()['symbols'])} symbols"
    state = answer.json().get("state") if answer.status_code == 403 else None
    return f"{answer.status_code} {state}" if state else str(answer.status_code)


async def stream(gateway: RunningGateway, name: str, request: dict[str, Any]) -> str:
    try:
        async with asyncio.timeout(DEADLINE_S), connect(gateway.stream_url, additional_headers=headers(name)) as client:
            await client.send(json.dumps({"action": "subscribe", **request}))
            answer = json.loads(await client.recv())
    except InvalidStatus as refused:
        return str(refused.response.status_code)
    except ConnectionClosed as closed:
        return f"close {closed.rcvd.code if closed.rcvd else 1006}"
    if answer["type"] == "error":
        return f"error {answer['code']}"
    states = sorted({one["state"] for one in answer["symbols"].values()})
    told = " ".join(states) if "patterns" not in answer else f"{len(answer['symbols'])} symbols"
    return f"{told}, depth {answer['depth']}" if "depth" in answer and "not_entitled" not in states else told


@asynccontextmanager
async def gateways(folder: Path) -> AsyncIterator[dict[str, RunningGateway]]:
    """By client: gateways where everybody comes in, where they say who they are, and one that keeps prices back too."""
    closed = msgspec.structs.replace(auth_config(folder), handshakes_per_second_per_user=0)
    kept_back = msgspec.structs.replace(closed, delayed=True, delay_s=0.25)
    async with AsyncExitStack() as stack:
        made = {}
        for kind, auth in (("open", AuthConfig()), ("closed", closed), ("late", kept_back)):
            config = Config(port=0, auth=auth)
            gateway = await stack.enter_async_context(
                running_gateway(
                    config,
                    late=late_of(config, folder / "late") if auth.delayed else None,
                    folder=folder / "auth",
                    symbols=NoFeeds(),
                    processes=NoProcesses(),
                    exchanges=NoExchanges(),
                )
            )
            gateway.trade("XNAS:AAPL", "100.00")
            gateway.trade("XNAS:MSFT", "100.00")
            made[kind] = gateway
        late = made["late"].late
        assert late is not None
        async with asyncio.timeout(DEADLINE_S):
            while any(b'"delayed"' not in (late.hub.price(name) or b"") for name in ("XNAS:AAPL", "XNAS:MSFT")):
                await asyncio.sleep(0.02)
        of = {"open": "open", "delayed, kept back": "late"}
        yield {name: made[of.get(name, "closed")] for name in SCOPES}


def table(heading: str, rows: dict[str, list[str]]) -> str:
    names = list(SCOPES)
    lines = [f"## {heading}\n", f"| | {' | '.join(names)} |", f"| --- | {' | '.join('---' for _ in names)} |"]
    lines += [f"| `{row}` | {' | '.join(cells)} |" for row, cells in rows.items()]
    return "\n".join(lines) + "\n"


async def test_who_may_see_what_is_written_down(tmp_path: Path) -> None:
    async with gateways(tmp_path) as of:
        asked = {
            f"{method} {path}": [await rest(of[name], name, method, path) for name in SCOPES] for method, path in REST
        }
        watched = {row: [await stream(of[name], name, request) for name in SCOPES] for row, request in STREAM}
    page = ABOUT + table("REST", asked) + "\n" + table("The stream", watched)
    if os.environ.get("TICKCAST_UPDATE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page
    # whatever the page says: these may never differ
    names = list(SCOPES)
    for rows, exists, missing in (
        (asked, "GET /prices/XNAS:MSFT", "GET /prices/XNAS:NOPE"),
        (watched, "subscribe XNAS:MSFT", "subscribe XNAS:NOPE"),
    ):
        for name in ("nobody", "expired", "nothing", "one symbol", "delayed", "admin"):
            assert rows[exists][names.index(name)] == rows[missing][names.index(name)]
