import socket

import httpx
import pytest

from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.config import Config
from tickcast.model.errors import UsageError
from tickcast.testing.gateway import running_gateway
from tickcast.testing.rude import RudeClient


async def test_a_taken_port_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1 port {port}.*taken.*gateway\.port"):
            async with running_gateway(Config(port=port)):
                pass


async def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 port 8000"):
        async with running_gateway(Config(host="192.0.2.1", auth=AuthConfig(anonymous=True))):
            pass


async def test_a_stopped_gateway_leaves_the_port_and_can_start_again() -> None:
    async with running_gateway() as first:
        port = int(first.url.rpartition(":")[2])
    async with running_gateway(Config(port=port)) as second, httpx.AsyncClient(base_url=second.url) as http:
        assert (await http.get("/health/live")).status_code == 200


async def test_a_request_under_way_does_not_keep_the_gateway_from_stopping() -> None:
    async with running_gateway() as gateway:
        client = await RudeClient.connect(gateway.url, handshake=False)
        client.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health/live HTTP/1.1\r\n")
        await client.head()
    async with client:
        assert await client.rest() == b'{"status":"live"}'


async def test_an_address_that_others_reach_needs_a_word_on_who_may_come_in() -> None:
    with pytest.raises(UsageError, match=r"others can reach 192\.0\.2\.1.*gateway\.auth\.anonymous = true"):
        async with running_gateway(Config(host="192.0.2.1")):
            pass
