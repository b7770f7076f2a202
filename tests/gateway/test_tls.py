"""TLS of the gateway: the loop that it runs on, real handshakes, renewals, and everything that is no TLS."""

import asyncio
import contextlib
import datetime as dt
import functools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec

import httpx
import pytest
import trustme
import uvloop
import websockets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.gateway.test_worker import until

from tickcast.gateway.config import Config
from tickcast.gateway.tls import LOOK_NS, Certificate
from tickcast.model.errors import UsageError
from tickcast.runtime import metrics
from tickcast.testing.gateway import RunningGateway, running_gateway

P = ParamSpec("P")
HELD = trustme.CA()
"""The authority whom the clients of these tests trust."""


def on_uvloop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the gateway's loop: TLS is the loop's, and asyncio's is another one."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(test(*args, **kwargs))

    return run


def write(folder: Path, issued: trustme.LeafCert) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


def issue(days: int = 30) -> trustme.LeafCert:
    until_when = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    return HELD.issue_cert("127.0.0.1", "localhost", not_after=until_when)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path, issue())


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    HELD.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def encrypted(files: tuple[Path, Path], **settings: object) -> AsyncIterator[RunningGateway]:
    config = Config(port=0, tls_certificate=str(files[0]), tls_key=str(files[1]), **settings)  # type: ignore[arg-type]
    async with running_gateway(config) as running:
        yield running


async def serial(url: str) -> int:
    """Serial number of the certificate that a new connection is shown."""
    host, _, port = url.removeprefix("https://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=trusting())
    shown = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return int(shown, 16)


@on_uvloop
async def test_prices_over_wss_and_rest_over_https(files: tuple[Path, Path]) -> None:
    async with encrypted(files) as running:
        assert running.url.startswith("https://")
        assert running.stream_url.startswith("wss://")
        running.trade("XNAS:AAPL", "185.40")
        async with websockets.connect(running.stream_url, ssl=trusting()) as client:
            await client.send('{"action":"subscribe","symbols":["XNAS:AAPL"]}')
            told = [json.loads(await client.recv()) for _ in range(2)]
            assert [each["type"] for each in told] == ["subscribed", "snapshot"]
            running.trade("XNAS:AAPL", "185.41")
            assert json.loads(await client.recv())["price"] == 185.41
        async with httpx.AsyncClient(verify=trusting()) as http:
            answer = await http.get(f"{running.url}/prices/XNAS:AAPL")
            assert answer.json()["price"] == 185.41


@on_uvloop
async def test_much_more_than_the_buffers_hold_arrives_whole(files: tuple[Path, Path]) -> None:
    """What a socket does not take at once stays with the transport: nothing may be lost or told twice there."""
    rounds, burst = 30, 100  # of some 15 KiB each, which is more than the socket takes and less than a client may owe
    async with (
        encrypted(files, send_buffer=4_096) as running,
        websockets.connect(running.stream_url, ssl=trusting(), max_queue=2) as client,
    ):
        await client.send('{"action":"subscribe","symbols":["XNAS:AAPL"],"channel":"trades"}')
        assert json.loads(await client.recv())["type"] == "subscribed"
        seen: list[int] = []
        for turn in range(1, rounds + 1):
            for number in range(burst):
                running.trade("XNAS:AAPL", f"{100 + number / 100:.2f}")
            while len(seen) < turn * burst:
                told = json.loads(await asyncio.wait_for(client.recv(), 60))
                assert told["type"] in {"trade", "snapshot", "status"}, told
                if told["type"] == "trade":
                    seen.append(int(told["id"]))
        assert seen == list(range(1, rounds * burst + 1))


@on_uvloop
async def test_plain_http_and_silence_are_turned_away_and_leave_no_trace(files: tuple[Path, Path]) -> None:
    async with encrypted(files, handshake_timeout_s=0.5, addresses_exempt=(), connections_per_address_max=2) as running:
        port = int(running.url.rpartition(":")[2])
        before = metrics.REGISTRY.get_sample_value("tickcast_gateway_tls_failed_total") or 0
        for hello in (b"GET /prices HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(hello)
            with contextlib.suppress(ConnectionError):
                said = await asyncio.wait_for(reader.read(), 30)  # an alert of TLS at most
                assert not said.startswith(b"HTTP")
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await until(lambda: (metrics.REGISTRY.get_sample_value("tickcast_gateway_tls_failed_total") or 0) >= before + 3)
        # all three have given back what they counted for: two more are welcome
        async with (
            websockets.connect(running.stream_url, ssl=trusting()) as one,
            websockets.connect(running.stream_url, ssl=trusting()) as other,
        ):
            for client in (one, other):
                await client.send('{"action":"ping"}')
                assert json.loads(await client.recv())["type"] == "pong"


@on_uvloop
async def test_a_stranger_who_checks_refuses_us(files: tuple[Path, Path]) -> None:
    async with encrypted(files) as running:
        with pytest.raises(ssl.SSLCertVerificationError):
            await websockets.connect(running.stream_url, ssl=ssl.create_default_context())


@on_uvloop
async def test_a_renewed_certificate_is_taken_and_open_connections_live_on(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickcast.gateway.tls.LOOK_NS", 0)
    async with encrypted(files) as running, websockets.connect(running.stream_url, ssl=trusting()) as client:
        first = await serial(running.url)
        write(tmp_path, issue(days=60))
        deadline = asyncio.get_running_loop().time() + 30
        while await serial(running.url) == first:
            assert asyncio.get_running_loop().time() < deadline, "the new certificate was never shown"
            await asyncio.sleep(0.05)
        await client.send('{"action":"ping"}')
        assert json.loads(await client.recv())["type"] == "pong"


# ---------------------------------------------------------------------- the files; no loop


@pytest.fixture
def clock() -> Callable[[], int]:
    times = iter(range(LOOK_NS, LOOK_NS * 100, LOOK_NS))
    return lambda: next(times)


def test_half_of_a_renewal_is_left_alone(files: tuple[Path, Path], tmp_path: Path, clock: Callable[[], int]) -> None:
    held = Certificate(*files)
    first, (certificate, key) = held.context, files
    old_key = key.read_bytes()
    write(tmp_path, issue())
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    assert not held.look(clock())
    assert held.context is first
    assert not held.look(clock()), "nothing changed since"
    key.write_bytes(new_key)
    assert held.look(clock())
    assert held.context is not first
    certificate.unlink()
    assert not held.look(clock()), "a file that is gone for a moment"


def test_files_are_looked_at_now_and_then(files: tuple[Path, Path], tmp_path: Path) -> None:
    held = Certificate(*files)
    assert not held.look(LOOK_NS)
    write(tmp_path, issue())
    assert not held.look(2 * LOOK_NS - 1)
    assert held.look(2 * LOOK_NS)


def test_what_cannot_be_used_is_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    other = ec.generate_private_key(ec.SECP256R1())

    def stored(protection: serialization.KeySerializationEncryption) -> bytes:
        return other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    foreign, locked, text = tmp_path / "foreign.pem", tmp_path / "locked.pem", tmp_path / "text.pem"
    foreign.write_bytes(stored(serialization.NoEncryption()))
    locked.write_bytes(stored(serialization.BestAvailableEncryption(b"secret")))
    text.write_text("no certificate")
    for first, second, words in (
        (tmp_path / "none.pem", key, "tls_certificate: cannot read"),
        (text, key, "expected certificates in PEM"),
        (certificate, tmp_path / "none.pem", "tls_key: cannot read"),
        (certificate, foreign, "expected the private key of"),
        (certificate, locked, "not encrypted"),
        (certificate, text, "tls_key"),
    ):
        with pytest.raises(UsageError, match=words):
            Certificate(first, second)


def test_nothing_below_tls_1_2_is_spoken(files: tuple[Path, Path]) -> None:
    assert Certificate(*files).context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("settings", [{"tls_certificate": "a.pem"}, {"tls_key": "a.pem"}])
def test_one_file_of_the_two_is_an_error(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="both tls_certificate and tls_key"):
        Config(**settings)  # type: ignore[arg-type]
