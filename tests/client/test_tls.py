"""A gateway with a certificate: whom the client trusts, for the stream and for REST, and what it says of strangers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

import tickcast
from tickcast.client import UnreachableError
from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

HELD = trustme.CA()


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    issued = HELD.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    async with running_gateway(Config(port=0, tls_certificate=str(certificate), tls_key=str(key))) as running:
        running.trade("XNAS:AAPL", "185.40")
        yield running


async def test_an_authority_of_ones_own_is_trusted_by_stream_and_rest(encrypted: RunningGateway) -> None:
    context = ssl.create_default_context()
    HELD.configure_trust(context)
    async with asyncio.timeout(30), tickcast.connect(encrypted.url, ssl=context) as client:
        async with client.ticks("XNAS:AAPL") as ticks:
            assert str((await anext(ticks)).price) == "185.40"
        assert "XNAS:AAPL" in [one.symbol for one in await client.fetch_symbols()]


async def test_an_authority_that_the_environment_names_is_trusted(
    encrypted: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HELD.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with asyncio.timeout(30), tickcast.connect(encrypted.url) as client, client.ticks("XNAS:AAPL") as ticks:
        assert str((await anext(ticks)).price) == "185.40"


async def test_who_is_not_trusted_is_told_how_to_be(encrypted: RunningGateway) -> None:
    async with asyncio.timeout(30), tickcast.connect(encrypted.url) as client:
        with pytest.raises(UnreachableError, match=r"trusted here.*SSL_CERT_FILE"):
            await anext(client.ticks("XNAS:AAPL"))
        with pytest.raises(UnreachableError, match=r"trusted here.*SSL_CERT_FILE"):
            await client.fetch_symbols()
