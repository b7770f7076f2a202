"""What a locked gateway makes of clients with a token, with a wrong one, with one that ends, and without."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tickcast
from tickcast.client import NotAllowedError, TokenError
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.tokens import auth_config, token

DEADLINE_S = 30.0
SCOPE = {"symbols": ["XNAS:AAPL"], "channels": ["price"], "rate": 5}


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    config = Config(port=0, auth=auth_config(tmp_path, anonymous=False, jwt_leeway_s=0.0))
    async with asyncio.timeout(DEADLINE_S), running_gateway(config) as gateway:
        gateway.trade("XNAS:AAPL", "185.40")
        yield gateway


def good(*, for_s: float = 600, **scope: object) -> str:
    return token(SCOPE | scope, now_s=time.time(), for_s=for_s)


async def test_a_token_shows_what_is_in_its_scope(locked: RunningGateway) -> None:
    async with tickcast.connect(locked.url, token=good()) as client:
        ticks = client.ticks("XNAS:AAPL", "XNAS:MSFT")
        states = {tick.symbol: tick.state for tick in [await anext(ticks), await anext(ticks)]}
        assert states == {"XNAS:AAPL": "live", "XNAS:MSFT": "not_entitled"}
        assert (await client.fetch_prices("XNAS:AAPL"))[0].price is not None
        with pytest.raises(NotAllowedError, match="4200") as refused:
            await anext(client.ticks("XNAS:AAPL", mode="all"))
        assert refused.value.code == 4200


@pytest.mark.parametrize("shown", [None, "eyJhbGciOi.no.token"])
async def test_without_a_good_token_the_error_says_what_to_do(locked: RunningGateway, shown: str | None) -> None:
    async with tickcast.connect(locked.url, token=shown) as client:
        with pytest.raises(TokenError) as refused:
            await anext(client.ticks("XNAS:AAPL"))
        assert refused.value.code in {401, 4801}
        assert ("token=" in str(refused.value)) == (shown is None)
        with pytest.raises(TokenError):
            await client.fetch_prices("XNAS:AAPL")


async def test_a_token_that_ends_is_followed_by_the_next(locked: RunningGateway) -> None:
    tokens = [good(for_s=3), good()]
    given: list[str] = []

    async def next_token() -> str:
        given.append(tokens[min(len(given), 1)])
        return given[-1]

    async with tickcast.connect(locked.url, token=next_token, jitter=lambda: 0.0) as client:
        ticks = client.ticks("XNAS:AAPL")
        states = [(await anext(ticks)).state for _ in range(3)]
        assert (states, ticks.connects, given) == (["live", "stale", "live"], 2, tokens)
    async with tickcast.connect(locked.url, token=good(for_s=3)) as client:
        with pytest.raises(TokenError, match="does not take the token"):
            async for _ in client.ticks("XNAS:AAPL"):
                pass
