"""Streams of clients that say who they are, and of those who do not: real sockets, clients that nobody here wrote."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tickcast.gateway.auth.access import Scope
from tickcast.gateway.auth.keys import FRESH_NS, KeyFile
from tickcast.gateway.config import Config
from tickcast.proto import tickcast_pb2 as wire
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.tokens import SECRET, auth_config, token

DEADLINE_S = 20.0
NS = 10**9


class World:
    """A running gateway behind a door, and its keys."""

    def __init__(self, gateway: RunningGateway, folder: Path, shift: list[int]) -> None:
        self.shift = shift
        """How far the wall clock is set ahead, ns."""
        self.gateway = gateway
        self.keys = KeyFile(folder / "auth")

    def token(self, scope: object = None, **others: Any) -> str:
        return token(scope, now_s=int(time.time()), **others)

    def connect(self, text: str = "", *, query: str = "", **options: Any) -> connect:
        headers = {"authorization": f"Bearer {text}"} if text else {}
        return connect(self.gateway.stream_url + query, additional_headers=headers, **options)

    async def ask(self, text: str, request: dict[str, Any]) -> Any:
        """The first answer to a request on a connection of its own."""
        async with self.connect(text) as client:
            return await ask(client, request)


@asynccontextmanager
async def world(folder: Path, config: Config | None = None, **auth: Any) -> AsyncIterator[World]:
    config = msgspec.structs.replace(config or Config(port=0), auth=auth_config(folder, **auth))
    shift = [0]
    async with running_gateway(config, folder=folder / "auth", wall=lambda: time.time_ns() + shift[0]) as gateway:
        gateway.trade("XNAS:AAPL", "100.00")
        yield World(gateway, folder, shift)


async def ask(client: ClientConnection, request: dict[str, Any]) -> Any:
    await client.send(json.dumps(request))
    return json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))


async def closed(client: ClientConnection) -> tuple[int | None, str]:
    """Code and reason with which the gateway closes."""
    async with asyncio.timeout(DEADLINE_S):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
    return client.close_code, client.close_reason or ""


async def test_a_token_in_the_header_opens_the_stream(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        answer = await here.ask(here.token(), {"action": "subscribe", "symbols": ["AAPL", "NOPE"]})
        assert {name: one["state"] for name, one in answer["symbols"].items()} == {
            "AAPL": "live", "NOPE": "no_such_symbol",
        }  # fmt: skip
        for wrong in ("a-wrong-one", here.token(for_s=-60), here.token(iss="other")):
            with pytest.raises(InvalidStatus) as refused:
                async with here.connect(wrong):
                    pass
            assert refused.value.response.status_code == 401
            assert wrong not in refused.value.response.body.decode()


async def test_who_shows_nothing_may_say_one_thing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with here.connect() as client:
            text = here.token({"symbols": ["XNAS:*"], "depth": 10, "rate": 5})
            answer = await ask(client, {"action": "auth", "token": text, "id": 7})
            assert answer.pop("until").endswith("Z")
            assert answer == {
                "type": "authenticated", "id": 7, "subject": "ann", "symbols": ["XNAS:*"], "depth": 10, "rate": 5,
                "channels": ["price", "trades", "book", "bars", "status"], "delay_s": 0.0,
            }  # fmt: skip
            answer = await ask(client, {"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "book"})
            assert (answer["depth"], answer["rate"]) == (10, 5)
        for first in (
            {"action": "subscribe", "symbols": ["AAPL"]},
            {"action": "ping"},
            {"action": "auth"},
            {"action": "auth", "token": ""},
            {"action": "auth", "token": "x"},
            {"action": "auth", "token": 7},
        ):
            async with here.connect() as client:
                await client.send(json.dumps(first))
                assert (await closed(client))[0] == 4801
        for raw in ("{", b"\x00", "[]"):
            async with here.connect() as client:
                await client.send(raw)
                assert (await closed(client))[0] == 4801
        assert here.gateway.hub.memory()["clients"] == 0
        assert not here.gateway.stage.clients.unproven


async def test_who_says_nothing_is_gone_when_the_handshake_would_be(tmp_path: Path) -> None:
    async with world(tmp_path, Config(port=0, handshake_timeout_s=0.3)) as here, here.connect() as client:
        code, reason = await closed(client)
        assert (code, reason) == (4801, "nobody said in time who this is")


async def test_the_first_message_works_in_every_codec(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with here.connect(subprotocols=["tickcast.msgpack"]) as client:
            await client.send(msgspec.msgpack.encode({"action": "auth", "token": here.token()}))
            assert msgspec.msgpack.decode(await client.recv(decode=False))["type"] == "authenticated"
        async with here.connect(subprotocols=["tickcast.proto"]) as client:
            frame = wire.ClientFrame()
            frame.auth.token = here.token(sub="bob")
            await client.send(frame.SerializeToString())
            answer = wire.ServerFrame.FromString(await client.recv(decode=False))
            assert answer.messages[0].authenticated.subject == "bob"


async def test_a_ticket_opens_one_stream_and_no_token_in_an_address_does(tmp_path: Path) -> None:
    async with world(tmp_path) as here, httpx.AsyncClient(base_url=here.gateway.url) as http:
        assert (await http.post("/ticket")).status_code == 401
        text = here.token({"symbols": ["XNAS:*"]})
        answer = await http.post("/ticket", headers={"authorization": f"Bearer {text}"})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        ticket = answer.json()["ticket"]
        async with here.connect(query=f"?ticket={ticket}") as client:
            answer = await ask(client, {"action": "subscribe", "symbols": ["AAPL", "XNAS:AAPL"]})
            assert [one["state"] for one in answer["symbols"].values()] == ["not_entitled", "live"]
        with pytest.raises(InvalidStatus) as refused:
            async with here.connect(query=f"?ticket={ticket}"):
                pass
        assert refused.value.response.status_code == 401
        for name in ("token", "access_token", "api_key"):
            async with here.connect(query=f"?{name}={text}") as client:
                await client.send('{"action":"ping"}')
                assert (await closed(client))[0] == 4801
            assert (await http.get(f"/prices/AAPL?{name}={text}")).status_code == 401


async def test_a_token_is_verified_once_for_a_connection(tmp_path: Path, verified: list[bytes]) -> None:
    async with world(tmp_path) as here, here.connect(here.token()) as client:
        for number in range(15):
            assert (await ask(client, {"action": "ping", "id": number}))["id"] == number
        await ask(client, {"action": "subscribe", "symbols": ["AAPL"], "rate": 0})
        for number in range(20):
            here.gateway.trade("XNAS:AAPL", f"{100 + number}.00")
            await asyncio.wait_for(client.recv(), DEADLINE_S)
        assert len(verified) == 1


async def test_the_end_of_a_token_ends_the_connection_unless_a_newer_one_came(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.connect(here.token()) as ends, here.connect(here.token()) as stays:
        newer = await ask(stays, {"action": "auth", "token": here.token(for_s=7200)})
        assert newer["type"] == "authenticated"
        other = await ask(stays, {"action": "auth", "token": here.token(sub="bob", for_s=7200)})
        assert (other["type"], other["code"]) == ("error", 4200)
        here.shift[0] = 620 * NS
        assert await closed(ends) == (4801, "the token or key is over; come back with another")
        assert (await ask(stays, {"action": "ping"}))["type"] == "pong"


async def test_a_key_that_is_withdrawn_ends_its_streams_and_disturbs_no_neighbour(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        (key, entry), (other, _) = (
            here.keys.add(name, Scope(symbols=("*",)), now_ns=time.time_ns()) for name in ("ann", "bob")
        )
        async with (
            connect(here.gateway.stream_url, additional_headers={"x-api-key": key}) as ends,
            here.connect(other) as stays,
        ):
            for client in (ends, stays):
                await ask(client, {"action": "subscribe", "symbols": ["AAPL"], "rate": 0})
            here.keys.revoke(entry.id, now_ns=time.time_ns())
            assert await closed(ends) == (4801, "the token or key was withdrawn; come back with another")
            with pytest.raises(InvalidStatus):
                async with here.connect(key):
                    pass
            here.gateway.trade("XNAS:AAPL", "101.00")
            assert json.loads(await asyncio.wait_for(stays.recv(), DEADLINE_S))["symbol"] == "AAPL"


async def test_a_key_of_tokens_that_is_taken_away_ends_what_it_signed(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.connect(here.token()) as client:
        (tmp_path / "secret.key").write_text(SECRET[::-1])
        here.shift[0] += FRESH_NS
        with pytest.raises(InvalidStatus):
            async with here.connect(here.token()):
                pass
        (tmp_path / "secret.key").unlink()
        assert (await closed(client))[0] == 4801


async def test_limits_of_a_user_count_over_all_its_streams(tmp_path: Path) -> None:
    async with world(tmp_path, connections_per_user_max=2, requests_per_second_per_user=6) as here:
        async with here.connect(here.token()) as first, here.connect(here.token()) as second:
            with pytest.raises(InvalidStatus) as refused:
                async with here.connect(here.token()):
                    pass
            assert refused.value.response.status_code == 429
            assert int(refused.value.response.headers["retry-after"]) > 0
            async with here.connect() as late:
                await late.send(json.dumps({"action": "auth", "token": here.token()}))
                assert (await closed(late))[0] == 4705
            async with here.connect(here.token(sub="bob")) as neighbour:
                answers = [await ask(client, {"action": "ping"}) for _ in range(6) for client in (first, second)]
                assert {answer.get("code") for answer in answers} >= {None, 4101}
                assert (await ask(neighbour, {"action": "ping"}))["type"] == "pong"
        async with asyncio.timeout(DEADLINE_S):
            while len(here.gateway.guests):
                await asyncio.sleep(0.01)
        async with here.connect(here.token()):
            pass


async def test_another_site_gets_nothing(tmp_path: Path) -> None:
    """A page that somebody visits has no token; with a ticket of its own it is still another site."""
    async with world(tmp_path) as here, httpx.AsyncClient(base_url=here.gateway.url) as http:
        text = here.token()
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
            with pytest.raises(InvalidStatus) as refused:
                async with here.connect(text, origin=origin):
                    pass
            assert refused.value.response.status_code == 403
            answer = await http.request("OPTIONS", "/ticket", headers={
                "origin": origin, "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            })  # fmt: skip
            assert "access-control-allow-origin" not in answer.headers


async def test_nothing_of_a_secret_is_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path) as here, httpx.AsyncClient(base_url=here.gateway.url) as http:
        key, _ = here.keys.add("ann", Scope(symbols=("*",)), now_ns=time.time_ns())
        text = here.token()
        ticket = (await http.post("/ticket", headers={"x-api-key": key})).json()["ticket"]
        for query in (f"?ticket={ticket}", f"?ticket={ticket}", f"?token={text}"):
            try:
                async with here.connect(query=query) as client:
                    await client.send(json.dumps({"action": "auth", "token": text + "x"}))
                    await client.send(json.dumps({"action": "auth", "token": key}))
            except (InvalidStatus, ConnectionClosed):
                continue
        metrics = (await http.get("/metrics", headers={"x-api-key": key})).text
    said = "".join(capfd.readouterr()) + metrics
    assert "gateway_denied" in metrics
    assert not any(secret in said for secret in (key, key[14:], ticket, text, SECRET))
