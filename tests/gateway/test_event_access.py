"""Events and polls behind a door, and over TLS: the rules of the stream, in dialects without a first message."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
import trustme
from httpx_sse import aconnect_sse

from tickcast.gateway.auth.access import Scope
from tickcast.gateway.auth.keys import KeyFile
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.tokens import auth_config, token

DEADLINE_S = 20.0
NARROW = {"symbols": ["XNAS:AAPL"], "channels": ["price"], "rate": 5}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RunningGateway, KeyFile]]:
    folder = tmp_path_factory.mktemp("door")
    config = msgspec.structs.replace(Config(port=0), auth=auth_config(folder))
    async with running_gateway(config, folder=folder / "auth") as running:
        running.trade("XNAS:AAPL", "185.40")
        running.trade("XNAS:MSFT", "400.00")
        yield running, KeyFile(folder / "auth")


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def narrow() -> dict[str, str]:
    return bearer(token(NARROW, now_s=int(time.time())))


PATHS = ("/events?symbols=XNAS:AAPL", "/prices?symbols=XNAS:AAPL&since=&wait=1")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, bearer("nonsense"), {"x-api-key": "tck_nonsense"}])
async def test_who_shows_nothing_or_nonsense_gets_nothing(
    gateway: tuple[RunningGateway, KeyFile], path: str, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=gateway[0].url) as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == 401
    assert "price" not in answer.json()
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_what_is_outside_the_scope_is_not_entitled(gateway: tuple[RunningGateway, KeyFile]) -> None:
    running, _ = gateway
    names = "XNAS:AAPL,XNAS:MSFT,XNAS:NONE"
    async with httpx.AsyncClient(base_url=running.url, timeout=DEADLINE_S, headers=narrow()) as client:
        async with aconnect_sse(client, "GET", f"/events?symbols={names}&channels=price,trades&rate=20") as source:
            told: list[dict[str, Any]] = []
            async for event in source.aiter_sse():
                told.append(json.loads(event.data))
                if event.event == "snapshot":
                    break
        assert {name: one["state"] for name, one in told[0]["symbols"].items()} == {
            "XNAS:AAPL": "live", "XNAS:MSFT": "not_entitled", "XNAS:NONE": "not_entitled",
        }  # fmt: skip
        assert told[0]["rate"] == 5
        assert {one["state"] for one in told[1]["symbols"].values()} == {"not_entitled"}, "the whole channel"
        assert told[2]["symbol"] == "XNAS:AAPL"
        first = (await client.get(f"/prices?symbols={names}&wait=1")).json()
        assert [(one["symbol"], one["state"]) for one in first["prices"]] == [
            ("XNAS:AAPL", "live"), ("XNAS:MSFT", "not_entitled"), ("XNAS:NONE", "not_entitled"),
        ]  # fmt: skip
        running.trade("XNAS:MSFT", "401.00")
        again = (await client.get(f"/prices?symbols={names}&since={first['next']}&wait=0.01")).json()
        assert again == {"prices": [], "next": first["next"]}


async def test_a_withdrawn_key_ends_what_rests_on_it(gateway: tuple[RunningGateway, KeyFile]) -> None:
    running, keys = gateway
    key, entry = keys.add("ann", Scope(symbols=("*",)), now_ns=time.time_ns())
    async with httpx.AsyncClient(base_url=running.url, timeout=DEADLINE_S, headers={"x-api-key": key}) as client:
        async with asyncio.timeout(DEADLINE_S):
            while (answer := await client.get(PATHS[1])).status_code != 200:
                await asyncio.sleep(0.05)
        waits = asyncio.create_task(
            client.get(f"/prices?symbols=XNAS:AAPL&since={answer.json()['next']}&wait=25")
        )  # fmt: skip
        async with aconnect_sse(client, "GET", PATHS[0]) as source:
            async with asyncio.timeout(DEADLINE_S):
                while len(running.stage.clients.streams) < 2:
                    await asyncio.sleep(0.01)
            keys.revoke(entry.id, now_ns=time.time_ns())
            names = [(event.event, json.loads(event.data)) async for event in source.aiter_sse()]
        assert (names[-1][0], names[-1][1]["code"]) == ("close", 4801)
        assert (await waits).status_code == 401
        assert (await client.get(PATHS[0])).status_code == 401


async def test_a_ticket_in_the_address_opens_one_stream(gateway: tuple[RunningGateway, KeyFile]) -> None:
    running, _ = gateway
    admission = running.stage.clients.admission
    ticket, _ = admission.issue(admission.admit(token=token({"symbols": ["*"]}, now_s=int(time.time()))))
    async with httpx.AsyncClient(base_url=running.url, timeout=DEADLINE_S) as client:
        async with aconnect_sse(client, "GET", f"{PATHS[0]}&ticket={ticket}") as source:
            assert source.response.status_code == 200
        assert (await client.get(f"{PATHS[0]}&ticket={ticket}")).status_code == 401, "once"


async def test_over_tls_all_goes_through_the_transport(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "certificate.pem", append=True)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    config = Config(port=0, tls_certificate=str(tmp_path / "certificate.pem"), tls_key=str(tmp_path / "key.pem"))
    async with running_gateway(config) as running:
        running.trade("XNAS:AAPL", "185.40")
        async with httpx.AsyncClient(base_url=running.url, timeout=DEADLINE_S, verify=trusted) as client:
            seen = []
            async with aconnect_sse(client, "GET", f"{PATHS[0]}&rate=0") as source:
                async for event in source.aiter_sse():
                    seen.append(event.event)
                    if event.event in {"snapshot", "update"}:
                        running.trade("XNAS:AAPL", f"{186 + len(seen)}.00")
                    if len(seen) == 20:
                        break
            assert seen == ["subscribed", "snapshot", *["update"] * 18]
            answer = (await client.get(PATHS[1])).json()
            assert len(answer["prices"]) == 1
