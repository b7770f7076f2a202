"""Handshakes that go wrong: what is said, how long is waited, what the ledger has. Certificates above all."""

import asyncio
import itertools
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.faults.crypto import running
from tests.feeds.peers import serving

from tickcast.feeds.config import FeedConfig
from tickcast.feeds.tls import open_tls
from tickcast.feeds.websocket import HandshakeError, open_websocket
from tickcast.model.errors import FeedError, UsageError
from tickcast.runtime.clock import now_ns
from tickcast.testing.rude_venue import RudeVenue, http

pytestmark = pytest.mark.timeout(60)


async def dial(url: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = 3.0) -> None:
    connection = await open_websocket(
        url, on_open=lambda _: None, on_messages=lambda *_: None, clock=now_ns, timeout_s=timeout_s,
        message_max=1000, tls=tls,
    )  # fmt: skip
    connection.abort("enough")


# ------------------------------------------------------------------ answers that are no handshake


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (http("200 OK", b"<html>\r\n<h1>Welcome</h1></html>"), r"found status 200: <html> <h1>Welcome</h1></html>"),
        (http("401 Unauthorized", b'{"msg":"login"}'), r'found status 401: {"msg":"login"}'),
        (http("403 Forbidden", b"blocked region"), r"found status 403: blocked region"),
        (http("302 Found", Location="ws://127.0.0.1:1/"), r"found status 302 \(a redirect, which is not followed\)"),
        (http("503 X", b"\xff" * 5000), r"found status 503: .{100,130}$"),
        (http("599 Odd"), "cannot connect"),
        (http("101 Switching Protocols"), "cannot connect"),
        (b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"y" * 100_000, "exceed|no answer"),
        (b"\x16\x03\x01\x02\x00\x01", "cannot connect"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n", "cannot connect"),
        (b"HTTP/1.1 200 \xff\xfe\r\nA\x00B: \xff\r\n\r\n", "cannot connect"),
        (b"", "cannot connect"),
    ],
    ids=["html", "401", "403", "redirect", "garbled body", "599", "no token", "endless head", "TLS", "SSH", "not ASCII",
         "nothing"],
)  # fmt: skip
async def test_what_is_no_handshake_is_an_error_that_says_so(raw: bytes, text: str) -> None:
    async with RudeVenue("okx") as rude:
        rude.on_handshake = lambda _: raw
        with pytest.raises(FeedError, match=text):
            await dial(rude.addresses["url"] + "/ws/v5/public?key=secret", timeout_s=1.0)
        with pytest.raises(FeedError) as caught:
            await dial(rude.addresses["url"] + "/ws/v5/public?key=secret", timeout_s=1.0)
        assert "secret" not in str(caught.value)
        assert len(str(caught.value)) < 400
        assert len(rude.handshakes) == 2


async def test_retry_after_comes_with_the_error() -> None:
    async with RudeVenue("okx") as rude:
        rude.on_handshake = lambda _: http("429 Too Many Requests", Retry_After="7")
        with pytest.raises(HandshakeError) as caught:
            await dial(rude.addresses["url"])
        assert (caught.value.status, caught.value.retry_after_s) == (429, 7.0)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_of_a_handshake_is_kept(status: int) -> None:
    async with RudeVenue("okx") as rude:
        rude.on_handshake = lambda _: http(f"{status} X", Retry_After="2") if len(rude.handshakes) == 1 else None
        async with running(rude) as run:
            await run.until_right()
            (first, _), (second, _), *_ = rude.handshakes
            assert second - first >= 2e9
            assert run.kinds()["throttled"] == (status == 429)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_handshake_is_tried_again_slowly_and_told_once(status: int) -> None:
    async with RudeVenue("bybit") as rude:
        rude.on_handshake = lambda _: http(f"{status} X", b"go away")
        async with running(rude, refused_retry_s=0.5) as run:
            await run.until(lambda: len(rude.handshakes) >= 3 * 2, "three attempts of two links")
            times = [when for when, path in rude.handshakes if path.endswith("spot")]
            assert min(later - sooner for sooner, later in itertools.pairwise(times)) >= 0.5e9
            assert run.feed.health.state == "failed"
            assert "go away" in (run.feed.health.last_error or "")
            assert [entry.link for entry in run.ledger if entry.kind == "refused"] in (
                ["spot-1", "linear-1"], ["linear-1", "spot-1"],
            )  # fmt: skip
            rude.on_handshake = lambda _: None
            await run.until_right()


# ------------------------------------------------------------------ names and addresses


@pytest.mark.parametrize(
    "host", ["no-such-venue.invalid", "127.0.0.1:1", "a..b:1", "x" * 300 + ".invalid", "[::1]:1", "127.0.0.1:99999"]
)
async def test_a_name_that_leads_nowhere_is_an_error(host: str) -> None:
    with pytest.raises(FeedError, match="cannot connect"):
        await dial(f"ws://{host}/", timeout_s=5)


async def test_a_feed_whose_names_do_not_resolve_waits_with_backoff() -> None:
    async with RudeVenue("okx") as rude:
        host = "http://no-such-venue.invalid"
        async with running(rude, rest_url=host, url="ws://no-such-venue.invalid", stale_after_s=0.5) as run:
            await run.until(lambda: run.feed.health.state == "stale", "stale")
            assert "no-such-venue.invalid" in (run.feed.health.last_error or "")
            assert not run.seen()


# ------------------------------------------------------------------ certificates


def openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of our own, and certificates of it for 127.0.0.1: one that holds, one that is over."""
    folder = tmp_path_factory.mktemp("tls")
    ca, name = folder / "ca.pem", folder / "name.cnf"
    name.write_text("subjectAltName=IP:127.0.0.1\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        "req", "-x509", *key, "-keyout", f"{folder}/ca.key", "-out", f"{ca}", "-days", "2", "-subj", "/CN=Our authority"
    )
    for word, days in (("good", "2"), ("expired", "-1")):
        openssl(
            "req", *key, "-keyout", f"{folder}/{word}.key", "-out", f"{folder}/{word}.csr", "-subj", "/CN=127.0.0.1"
        )
        openssl(
            "x509", "-req", "-in", f"{folder}/{word}.csr", "-CA", f"{ca}", "-CAkey", f"{folder}/ca.key",
            "-CAcreateserial", "-days", days, "-extfile", f"{name}", "-out", f"{folder}/{word}.pem",
        )  # fmt: skip
    return folder


def serving_tls(folder: Path, word: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{word}.pem", folder / f"{word}.key")
    return context


async def test_an_authority_of_ones_own_is_named_in_the_config(certificates: Path) -> None:
    async with RudeVenue("okx", tls=serving_tls(certificates, "good")) as rude:
        assert rude.addresses["url"].startswith("wss:")
        async with running(rude, tls_ca=str(certificates / "ca.pem")) as run:
            await run.until_right()


@pytest.mark.parametrize(
    ("word", "ca", "why"), [("good", False, "unable to get local issuer|self-signed"), ("expired", True, "expired")]
)
async def test_a_certificate_that_is_not_to_be_trusted_is_refused(
    certificates: Path, word: str, *, ca: bool, why: str
) -> None:
    tls = open_tls("f", str(certificates / "ca.pem") if ca else None)
    async with RudeVenue("okx", tls=serving_tls(certificates, word)) as rude:
        for context in (tls, None):
            with pytest.raises(FeedError, match=r"certificate is not to be trusted: .*tls_ca") as caught:
                await dial(rude.addresses["url"] + "/ws/v5/public", tls=context)
        assert caught.value
        with pytest.raises(FeedError, match=why):
            await dial(rude.addresses["url"] + "/ws/v5/public", tls=tls)
        assert not rude.handshakes, "nothing was sent to a server that is not the venue's"
        settings = {"tls_ca": str(certificates / "ca.pem")} if ca else {}
        async with running(rude, stale_after_s=1.0, **settings) as run:
            await run.until(lambda: run.feed.health.state == "stale", "stale")
            assert "certificate is not to be trusted" in (run.feed.health.last_error or "")
        assert not rude.requests


async def test_a_certificate_for_another_name_is_refused(certificates: Path) -> None:
    async with RudeVenue("okx", tls=serving_tls(certificates, "good")) as rude:
        with pytest.raises(FeedError, match="certificate is not to be trusted"):
            await dial(f"wss://localhost:{rude.port}/ws/v5/public", tls=open_tls("f", str(certificates / "ca.pem")))


async def test_plain_text_behind_a_tls_address_and_the_other_way_round(certificates: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(http("400 Bad Request"))

    async with serving(plain) as port, RudeVenue("okx", tls=serving_tls(certificates, "good")) as secure:
        with pytest.raises(FeedError, match="expected TLS"):
            await dial(f"wss://127.0.0.1:{port}/ws/v5/public")
        with pytest.raises(FeedError, match="cannot connect"):
            await dial(f"ws://127.0.0.1:{secure.port}/ws/v5/public")


async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("ws", "wss"):
            with pytest.raises(FeedError, match="cannot connect"):
                await asyncio.wait_for(dial(f"{scheme}://127.0.0.1:{port}/", timeout_s=0.3), 5)


def test_a_file_of_authorities_that_is_none_is_the_users_mistake(tmp_path: Path) -> None:
    assert FeedConfig(venue="OKX").tls_ca is None
    with pytest.raises(UsageError, match=r"feeds\.okx\.tls_ca: cannot read"):
        open_tls("okx", str(tmp_path / "missing.pem"))
    (tmp_path / "wrong.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"feeds\.okx\.tls_ca: expected certificates in PEM"):
        open_tls("okx", str(tmp_path / "wrong.pem"))
