"""The documented nginx in front: a real one, with the configuration as it is but for ports and files."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme
import websockets

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

ROOT = Path(__file__).parents[2]
SITE = ROOT / "deploy/nginx/tickcast.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (apt install nginx)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(folder: Path, *, front: int, gateway: str) -> Path:
    """The site with this test's ports and files, in the smallest file that nginx runs with."""
    site = SITE.read_text(encoding="utf-8")
    changes = {
        r"server 127\.0\.0\.1:8000;": f"server {gateway};",
        r"listen 443 ssl;": f"listen 127.0.0.1:{front} ssl;",
        r"/etc/letsencrypt/live/prices\.example/fullchain\.pem": str(folder / "certificate.pem"),
        r"/etc/letsencrypt/live/prices\.example/privkey\.pem": str(folder / "key.pem"),
        r"/var/log/nginx/tickcast\.log": str(folder / "access.log"),
    }
    for pattern, put in changes.items():
        site, count = re.subn(pattern, put, site)
        assert count == 1, f"{pattern} stands {count} times in {SITE}"
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{ worker_connections 256; }}\nhttp {{\n{paths}{site}\n}}\n"
    )
    return whole


@contextlib.asynccontextmanager
async def behind(folder: Path, config: Config) -> AsyncIterator[tuple[RunningGateway, str, ssl.SSLContext]]:
    """A gateway behind nginx: yields it, nginx' ``host:port`` and whom to trust."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "prices.example")
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    assert NGINX is not None
    async with running_gateway(config) as running:
        port = free_port()
        whole = configuration(folder, front=port, gateway=running.url.removeprefix("http://"))
        process = await asyncio.create_subprocess_exec(
            NGINX, "-p", str(folder), "-c", str(whole), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await answering(port, process, folder)
            yield running, f"127.0.0.1:{port}", trust
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)


async def answering(port: int, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, (folder / "error.log").read_text()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def test_stream_rest_and_page_through_nginx(tmp_path: Path) -> None:
    async with behind(tmp_path, Config(port=0, hosts=("prices.example",))) as (running, place, trust):
        running.trade("XNAS:AAPL", "185.40")
        async with websockets.connect(f"wss://{place}/stream?numbers=string", ssl=trust) as client:
            await client.send('{"action":"subscribe","symbols":["XNAS:AAPL"]}')
            told = [json.loads(await client.recv()) for _ in range(2)]
            assert [each["type"] for each in told] == ["subscribed", "snapshot"]
            running.trade("XNAS:AAPL", "185.41")
            assert json.loads(await asyncio.wait_for(client.recv(), 30))["price"] == "185.41"
        async with httpx.AsyncClient(verify=trust, base_url=f"https://{place}") as http:
            named = {"Host": "prices.example"}
            answer = await http.get("/prices/XNAS:AAPL", headers=named)
            assert (answer.status_code, answer.json()["price"]) == (200, 185.41)
            assert (await http.get("/prices/XNAS:AAPL", headers={"Host": "evil.example"})).status_code == 421
            assert (await http.get("/prices?symbols=" + "A" * 40_000)).status_code in {400, 414}
        log = (tmp_path / "access.log").read_text()
        assert "/stream" in log
        assert "numbers=string" not in log, "what stands behind a ? is not logged"


async def test_a_foreign_page_is_refused_through_nginx_too(tmp_path: Path) -> None:
    async with behind(tmp_path, Config(port=0)) as (_, place, trust):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(
                f"wss://{place}/stream", ssl=trust, origin=websockets.Origin("https://evil.example")
            )
        assert refused.value.response.status_code == 403


async def test_a_gateway_that_is_gone_is_an_error_and_comes_back(tmp_path: Path) -> None:
    async with behind(tmp_path, Config(port=0)) as (running, place, trust):
        client = await websockets.connect(f"wss://{place}/stream", ssl=trust)
        await running.stage.stop()
        with pytest.raises(websockets.ConnectionClosed) as ended:
            await asyncio.wait_for(client.recv(), 30)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 4702, "the gateway's own close code comes through"
        async with httpx.AsyncClient(verify=trust) as http:
            assert (await http.get(f"https://{place}/prices/XNAS:AAPL")).status_code == 502
