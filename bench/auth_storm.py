"""What the door costs when many clients come at once: the gateway's CPU for a storm of handshakes, with and without.

    .venv/bin/python bench/auth_storm.py [--clients 10000] [--slice 500] [--kinds KIND ...] [--json FILE]

A gateway in a process of its own, and for each client: connection, handshake, one subscription, its acknowledgement,
close. Storms without anything, and with each kind of proof, alternate in one run, slice by slice; the CPU time of the
gateway's process for all slices of a kind is compared with that of those without. Each client is a user of its own.
Clients come again with the tokens that they had, as after a drain; ``-new``: with new ones.
The aim: less than 5 % more.

Beside it, in the same run: what verifying one new token costs in a loop of nothing else, by the library, by us,
and the signature alone, which nobody can go below.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from base64 import urlsafe_b64decode
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import machine
from tickcast.gateway.auth.access import Scope
from tickcast.gateway.auth.keys import KeyFile
from tickcast.gateway.auth.tokens import KeyRing
from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway
from tickcast.testing.tokens import AUDIENCE, ISSUER, SECRET, RsaIssuer, auth_config, claims, signed

AT_ONCE: Final = 64
KINDS: Final = ("HS256", "RS256", "key", "first", "HS256-new", "RS256-new")
HEAD: Final = (
    "GET /stream HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def serve(folder: Path, closed: bool, told: Connection) -> None:  # noqa: FBT001  an argument of a process
    """Run a gateway until ``told`` says so; answers with the CPU time used so far."""

    async def main() -> None:
        auth = msgspec.structs.replace(
            auth_config(folder), anonymous=not closed, handshakes_per_second_per_user=1_000_000
        )
        auth = msgspec.structs.replace(auth, jwt_keys=(*auth.jwt_keys, str(folder / "rsa.pem")))
        config = Config(port=0, auth=auth, requests_per_second=1000)
        async with running_gateway(config, folder=folder / "auth") as gateway:
            told.send(int(gateway.url.rpartition(":")[2]))
            while await asyncio.to_thread(told.recv):
                told.send(time.process_time())

    asyncio.run(main())


class Gateway:
    """A gateway in a process of its own."""

    def __init__(self, folder: Path, *, closed: bool) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=serve, args=(folder, closed, theirs))
        self._process.start()
        self.port: int = self._pipe.recv()

    def cpu_s(self) -> float:
        self._pipe.send("time")
        return float(self._pipe.recv())

    def stop(self) -> None:
        self._pipe.send("")
        self._process.join()


def masked(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    length = len(payload)
    size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + payload


async def one(port: int, headers: str, first: bytes) -> None:
    """Connect, subscribe, be acknowledged, close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write((HEAD + headers + "\r\n").encode() + first)
        writer.write(masked(b'{"action":"subscribe","symbols":["AAPL"]}'))
        found = b""
        while b'"subscribed"' not in found:
            data = await reader.read(65_536)
            if not data:
                raise SystemExit(f"expected an acknowledgement, found {found[:400]!r}")
            found += data
    finally:
        writer.close()
        await writer.wait_closed()


async def storm(port: int, proofs: list[tuple[str, bytes]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def enter(headers: str, first: bytes) -> None:
        async with gate:
            await one(port, headers, first)

    async with asyncio.TaskGroup() as group:
        for headers, first in proofs:
            group.create_task(enter(headers, first))


def proofs_of(kind: str, count: int, rsa: RsaIssuer, keys: list[str]) -> list[tuple[str, bytes]]:
    """Headers and first frame of each client; tokens are made before the clock runs."""
    if kind == "none":
        return [("", b"")] * count
    made: list[tuple[str, bytes]] = []
    for number in range(count):
        body = claims(
            {"symbols": ["*"]},
            now_s=int(time.time()),
            for_s=3600,
            sub=f"user{number}",
            jti=f"{kind}{number}{time.time_ns()}",
        )
        if kind == "key":
            made.append((f"x-api-key: {keys[number % len(keys)]}\r\n", b""))
        elif kind.startswith("RS256"):
            text = signed(body, key=rsa.key, algorithm="RS256", kid="rsa")
            made.append((f"authorization: Bearer {text}\r\n", b""))
        elif kind.startswith("HS256"):
            made.append((f"authorization: Bearer {signed(body)}\r\n", b""))
        else:
            made.append(("", masked(json.dumps({"action": "auth", "token": signed(body)}).encode())))
    return made


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rsa = RsaIssuer()
    (folder / "rsa.pem").write_bytes(rsa.public_pem)
    file = KeyFile(folder / "auth")
    keys = [file.add(f"user{n}", Scope(symbols=("*",)), now_ns=time.time_ns())[0] for n in range(50)]
    opened, closed = Gateway(folder, closed=False), Gateway(folder, closed=True)
    took: dict[str, list[float]] = {kind: [] for kind in ("none", *options.kinds)}
    slices = max(2, options.clients // options.slice)
    try:
        made = {kind: proofs_of(kind, slices * options.slice, rsa, keys) for kind in took}
        for number in range(-1, slices):  # one to warm up
            part = slice(number % slices * options.slice, (number % slices + 1) * options.slice)
            order = ["none", *options.kinds]
            for kind in order if number % 2 else reversed(order):
                # of one process, where that can be: two differ by more than what is measured
                gateway = closed if kind == "first" else opened
                asyncio.run(storm(gateway.port, made["first" if gateway is closed else "none"][part]))
                if not kind.endswith("-new"):  # they were here before
                    asyncio.run(storm(gateway.port, made[kind][part]))
                before = gateway.cpu_s()
                asyncio.run(storm(gateway.port, made[kind][part]))
                if number >= 0:
                    took[kind].append(gateway.cpu_s() - before)
    finally:
        opened.stop()
        closed.stop()
    return {
        "clients": slices * options.slice,
        "slice": options.slice,
        "cores": os.cpu_count(),
        "none": {"cpu_us_a_client": round(sum(took["none"]) / slices / options.slice * 1e6, 1)},
        **{kind: figures(took[kind], took["none"], options.slice) for kind in options.kinds},
        "one_new_token_us": alone(folder, rsa),
    }


def figures(took: list[float], without: list[float], clients: int) -> dict[str, Any]:
    """Of all slices; the quartiles of the slices' own ratios say how far to believe it."""
    low, middle, high = statistics.quantiles([of / none for of, none in zip(took, without, strict=True)])
    return {
        "cpu_us_a_client": round(sum(took) / len(took) / clients * 1e6, 1),
        "ratio": round(sum(took) / sum(without), 3),
        "ratio_quartiles": [round(low, 3), round(middle, 3), round(high, 3)],
    }


def alone(folder: Path, rsa: RsaIssuer, count: int = 2000) -> dict[str, dict[str, float]]:
    """CPU time of verifying a token that nobody saw before, in a loop of nothing else: the best of three."""
    auth = auth_config(folder)
    ring = KeyRing(msgspec.structs.replace(auth, jwt_keys=(*auth.jwt_keys, str(folder / "rsa.pem"))))
    public, now_ns = rsa.key.public_key(), time.time_ns()
    found: dict[str, dict[str, float]] = {}
    for algorithm, private, verifying, kid in (
        ("HS256", SECRET, SECRET, "secret"),
        ("RS256", rsa.key, public, "rsa"),
    ):
        body = claims({"symbols": ["*"]}, now_s=time.time(), for_s=3600)
        texts = [signed({**body, "jti": str(n)}, key=private, algorithm=algorithm, kid=kid) for n in range(count)]
        raw = [(text.encode().rpartition(b".")[0], urlsafe_b64decode(text.rpartition(".")[2] + "==")) for text in texts]

        def ours(text: str) -> object:
            return ring.admit(text, now_ns)

        def library(text: str, key: Any = verifying, algorithm: str = algorithm) -> object:
            return jwt.decode(text, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER)

        def bare(part: tuple[bytes, bytes], algorithm: str = algorithm) -> object:
            if algorithm == "HS256":
                return hmac.compare_digest(hmac.digest(SECRET.encode(), part[0], hashlib.sha256), part[1])
            return public.verify(part[1], part[0], padding.PKCS1v15(), hashes.SHA256())

        ways: dict[str, tuple[Any, list[Any]]] = {
            "tickcast": (ours, texts), "PyJWT": (library, texts), "signature alone": (bare, raw),
        }  # fmt: skip
        found[algorithm] = {name: best_us(way, values) for name, (way, values) in ways.items()}
    return found


def best_us(way: Any, values: list[Any]) -> float:
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        for value in values:
            way(value)
        best = min(best, time.process_time() - before)
    return round(best / len(values) * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10_000, help="of each kind, over all slices")
    parser.add_argument("--slice", type=int, default=500, help="clients of one storm")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"benchmark": "auth_storm", "machine": machine.facts(), **measure(options, Path(folder))}
    text = json.dumps(found, indent=1)
    if options.json:
        options.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
