"""TLS at the workers of a whole instance: each of them shows the certificate, then the renewed one; and commands."""

import asyncio
import json
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect

from tickcast.ops.datadir import DataDir
from tickcast.testing.instance import ConfiguredInstance, eventually

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
DEADLINE_S = 60.0
CLIENTS = 16
HELD = trustme.CA()
"""The authority whom clients trust."""


class EncryptedInstance(ConfiguredInstance):
    """Two workers with a certificate; ``authority`` is a file of whom to trust."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.issue()
        self.key.chmod(0o600)
        HELD.cert_pem.write_to_path(self.authority)
        settings = {"workers": "2", "tls_certificate": f'"{self.certificate}"', "tls_key": f'"{self.key}"'}
        gateway = "\n".join(f"{name} = {value}" for name, value in settings.items())
        super().__init__(folder, {"gateway": gateway}, rate=200, symbols=8, exchanges=("XNAS",))

    def issue(self) -> None:
        """Write another certificate and its key."""
        issued = HELD.issue_cert("127.0.0.1", "localhost")
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"wss://127.0.0.1:{self.port}/stream"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedInstance]:
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("encrypted")
        started = EncryptedInstance(folder)
        # for this process and for the commands it runs
        environment.setenv("SSL_CERT_FILE", str(started.authority))
        with started:
            started.wait_ready(deadline_s=DEADLINE_S)
            logs = [DataDir(started.data).log(worker) for worker in ("gateway1", "gateway2")]
            eventually(lambda: all("listening" in log.read_text() for log in logs), what="both accept")
            yield started


def of_workers(instance: EncryptedInstance, name: str) -> dict[str, float]:
    """Values of a metric by worker."""
    with urllib.request.urlopen(f"{instance.url}/metrics", timeout=DEADLINE_S) as answer:  # noqa: S310  our own loopback address
        text = answer.read().decode()
    rows = re.findall(rf"^tickcast_{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return {worker: float(value) for labels, value in rows for worker in re.findall(r'process="(gateway\d)"', labels)}


async def sharing(instance: EncryptedInstance, clients: int) -> dict[str, float]:
    """How many clients each worker holds, once it is told of all."""

    def told() -> dict[str, float]:
        held = of_workers(instance, "gateway_connections")
        assert sum(held.values()) == clients, held
        return held

    return await asyncio.to_thread(eventually, told, deadline_s=DEADLINE_S)


async def trusting() -> ssl.SSLContext:
    return await asyncio.to_thread(ssl.create_default_context)


def serial(client: ClientConnection) -> int:
    """Serial number of the certificate that a connection was shown."""
    shown = client.transport.get_extra_info("ssl_object").getpeercert()
    return int(shown["serialNumber"], 16)


async def is_served(client: ClientConnection) -> None:
    """Wait for the next update."""
    async with asyncio.timeout(DEADLINE_S):
        while json.loads(await client.recv())["type"] != "update":
            pass


@asynccontextmanager
async def watching(instance: EncryptedInstance, count: int) -> AsyncIterator[list[ClientConnection]]:
    """So many clients of one price, which share the workers."""
    async with AsyncExitStack() as stack:
        context = await trusting()
        clients = [
            await stack.enter_async_context(connect(instance.stream_url, ssl=context, max_queue=1_000))
            for _ in range(count)
        ]
        for client in clients:
            await client.send('{"action":"subscribe","symbols":["XNAS:AAPL"],"rate":5}')
        for client in clients:
            await is_served(client)
        yield clients


async def test_a_renewed_certificate_is_shown_by_every_worker_and_who_is_connected_stays(
    instance: EncryptedInstance,
) -> None:
    async with watching(instance, CLIENTS) as before:
        held = await sharing(instance, CLIENTS)
        assert len(held) == 2
        assert all(held.values()), "both hold some"
        first = {serial(client) for client in before}
        assert len(first) == 1
        instance.issue()
        await asyncio.to_thread(
            eventually,
            lambda: of_workers(instance, "gateway_certificate_loads_total") == {"gateway1": 1, "gateway2": 1},
            deadline_s=DEADLINE_S,
            what="the certificate loaded by both",
        )
        async with watching(instance, CLIENTS) as after:
            told = await sharing(instance, 2 * CLIENTS)
            assert all(told[worker] > count for worker, count in held.items()), "both took some of the new ones"
            renewed = {serial(client) for client in after}
            assert len(renewed) == 1
            assert renewed != first
        for client in before:
            await is_served(client)


def test_the_commands_reach_an_instance_that_is_encrypted(instance: EncryptedInstance) -> None:
    assert f"tickcast listens on {instance.url}" in instance.output()
    assert instance.ps()["gateway2"]["state"] == "running"
    assert instance.cli("latency").returncode == 0
    # over the port, as anybody does: the address is that of the instance, or given
    done = instance.cli("watch", "XNAS:AAPL", "--json", "--count", "2")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["symbol"] for line in done.stdout.splitlines()] == ["XNAS:AAPL"] * 2
    done = instance.cli("get", "XNAS:AAPL", "--json", "--url", instance.url)
    assert json.loads(done.stdout)["symbol"] == "XNAS:AAPL", done.stderr


def test_commands_say_how_to_trust_an_authority_of_ones_own(
    instance: EncryptedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    for command in (("watch", "XNAS:AAPL", "--json", "--count", "1"), ("get", "XNAS:AAPL")):
        done = instance.cli(*command, "--url", instance.url)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "certificate" in done.stderr
        assert "SSL_CERT_FILE" in done.stderr
        assert "Traceback" not in done.stderr
    assert instance.cli("ps").returncode == 0, "over the data folder's socket"
