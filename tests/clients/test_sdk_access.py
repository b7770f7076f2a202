"""The SDK for TypeScript at a door that is locked: tokens, tickets, and a token that runs out on the way."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from tests.clients.sdk_process import sdk_client

from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

SECRET = "a secret of more than thirty-two bytes"  # noqa: S105  of this test


def token(*, for_s: float = 600, subject: str = "reader", **scope: object) -> str:
    claims = {"sub": subject, "iss": "us", "aud": "prices", "exp": time.time() + for_s}
    return jwt.encode({**claims, "tickcast": {"symbols": ["XNAS:*"], **scope}}, SECRET, "HS256", {"kid": "desk"})


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    key = tmp_path / "desk.key"
    key.write_text(SECRET)
    auth = AuthConfig(jwt_keys=(str(key),), jwt_issuer="us", jwt_audience="prices", jwt_leeway_s=0)
    async with running_gateway(Config(port=0, auth=auth), folder=tmp_path / "auth") as running:
        running.trade("XNAS:AAPL", "185.40")
        yield running


@pytest.mark.parametrize("codec", ["json", "proto"])
async def test_a_token_of_the_first_message_opens_what_it_names_and_nothing_else(
    gateway: RunningGateway, codec: str
) -> None:
    async with sdk_client(gateway.url, token=token(), codec=codec) as client:
        await client.watch("prices", "XNAS:AAPL", "BINANCE:BTC-USDT")
        await client.until("live")
        told = await client.becomes(lambda told: len(told["ticks"]) == 2)
        states = {symbol: tick["state"] for symbol, tick in told["ticks"].items()}
        assert states == {"XNAS:AAPL": "live", "BINANCE:BTC-USDT": "not_entitled"}
        (access,) = told["access"]
        assert (access["subject"], access["symbols"], access["delay_s"]) == ("reader", ["XNAS:*"], 0)


@pytest.mark.parametrize("shown", [{}, {"token": "wrong"}])
async def test_without_a_good_token_it_stays_away(gateway: RunningGateway, shown: dict[str, str]) -> None:
    async with sdk_client(gateway.url, **shown) as client:
        await client.watch("prices", "XNAS:AAPL")
        assert (await client.until("stopped"))["code"] == 4801
        told = await client.becomes(lambda told: told["closed"] is not None)
        assert (told["closed"]["code"], "XNAS:AAPL" in told["ticks"]) == (4801, False)


async def test_a_newer_token_is_shown_before_the_old_one_is_over(gateway: RunningGateway) -> None:
    async with sdk_client(gateway.url, tokens=[token(for_s=3), token()]) as client:
        await client.watch("prices", "XNAS:AAPL")
        until = await client.becomes(lambda told: len(told["access"]) == 2)
        first, second = until["access"]
        assert first["until"] < second["until"]
        assert (until["counters"]["connections"], until["errors"]) == (1, [])


async def test_one_that_ran_out_without_a_newer_one_comes_back_with_another(gateway: RunningGateway) -> None:
    # the second is of somebody else, so the connection cannot stay on it: it ends with the first, and begins anew
    tokens = [token(for_s=2), token(subject="another"), token(subject="another")]
    async with sdk_client(gateway.url, tokens=tokens) as client:
        await client.watch("prices", "XNAS:AAPL")
        await client.until("offline")
        await client.until("live")
        told = await client.told()
        assert [access["subject"] for access in told["access"]] == ["reader", "another"]
        assert [error["code"] for error in told["errors"]] == [4200]


async def test_a_ticket_from_a_callback_is_taken_once(gateway: RunningGateway) -> None:
    async with sdk_client(gateway.url, ticketFrom=f"{gateway.url}/ticket", bearer=token()) as client:
        await client.watch("prices", "XNAS:AAPL")
        await client.becomes(lambda told: told["ticks"].get("XNAS:AAPL", {}).get("price") == "185.40")
        for stream in list(gateway.stage.clients.streams.values()):
            stream.abort()
        await client.until("offline")
        await client.until("live")
        assert (await client.told())["counters"]["connections"] == 2
