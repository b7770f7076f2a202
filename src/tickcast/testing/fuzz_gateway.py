"""Fuzzing of the gateway: damaged messages, frames and handshakes of every codec at live sockets.

``python -m tickcast.testing.fuzz_gateway --inputs 1000000`` runs a gateway on loopback and throws requests of every
subprotocol at it, with flipped, missing, repeated and foreign bytes, in whole and in broken frames. Each burst ends in
a ping: what comes back up to its pong are answers, errors with numbers of ours, or a close with one. Beside it a
well-behaved client watches a moving market; its counters add up at every barrier. In the end nothing of the others is
left in any table, and memory has not grown. The seed of what went wrong is printed.
"""

import asyncio
import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import uvloop

from tickcast.client.codecs import binary
from tickcast.client.handles import ProtoCodec
from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.gateway.config import Config
from tickcast.proto.tickcast_pb2 import ServerFrame
from tickcast.runtime import log
from tickcast.runtime.clock import monotonic_ns
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.testing.fuzz import Damage
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.rude import HANDSHAKE, RudeClient, frame

BURST: Final = 100
"""Frames between two looks at what came back."""
THROWERS: Final = 6
ANSWER_S: Final = 0.5
"""Without a pong for so long the gateway waits for the rest of a frame whose length was damaged."""
GROWTH_MAX_KIB: Final = 48 * 1024
WARM_SHARE: Final = 0.2
"""Memory is compared from here on: pools and caches are full."""
MARKET_S: Final = 0.005
CHECK_S: Final = 2.0
ECHOED: Final = frozenset({0, *range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""A damaged frame may be a whole close, with a code that a client may send or none (0), which the answer repeats
(RFC 6455 section 5.5.1)."""
STATUSES: Final = frozenset({101, 200, 400, 403, 404, 405, 408, 413, 421, 422, 426, 429, 431, 503})

TEXT: Final = 1
ASCII: Final = bytes(byte & 0x7F for byte in range(256))

SYMBOLS: Final = ["AAPL", "XNAS:AAPL", "XNAS:MSFT", "BINANCE:BTC-USDT"]
REQUESTS: Final[Sequence[dict[str, Any]]] = (
    {"action": "subscribe", "symbols": SYMBOLS, "channel": "price", "rate": 20, "fields": ["price", "bid"], "id": 1},
    {"action": "subscribe", "symbols": ["BTC-USDT"], "channel": "trades", "mode": "all", "batch": False},
    {"action": "subscribe", "symbols": ["XNAS:MSFT"], "resume": {"XNAS:MSFT": {"epoch": 7, "seq": 915}}},
    {"action": "subscribe", "symbols": SYMBOLS, "channel": "book", "depth": 5, "id": "b"},
    {"action": "subscribe", "symbols": ["XNAS:*"], "channel": "bars", "interval": "1m"},
    {"action": "subscribe", "symbols": ["*"], "channel": "status"},
    {"action": "reconnect", "last_seen": {"AAPL": "2026-03-29T14:30:05.000Z"}, "rate": 0},
    {"action": "unsubscribe", "symbols": ["AAPL"]},
    {"action": "set", "rate": 2, "mode": "merge", "fields": None, "batch": False},
    {"action": "visibility", "hidden": True},
    {"action": "sync", "id": "a"},
    {"action": "ping", "id": -5},
)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A codec as its clients ask for it."""

    name: str
    subprotocol: str
    query: str = ""
    opcode: int = 2
    write: Callable[[dict[str, Any]], bytes]
    codes: Callable[[bytes], list[int]]
    """Error codes in a message of the gateway."""


def _error_codes(message: Any) -> list[int]:
    frames = message if isinstance(message, list) and message and isinstance(message[0], dict) else [message]
    return [one["code"] for one in frames if isinstance(one, dict) and one.get("type") == "error"]


def _proto_request(request: dict[str, Any]) -> bytes:
    return binary(ProtoCodec().request(request))


def _proto_codes(data: bytes) -> list[int]:
    return [entry.error.code for entry in ServerFrame.FromString(data).messages if entry.HasField("error")]


DIALECTS: Final = (
    Dialect(
        name="JSON", subprotocol="tickcast.json", opcode=TEXT, write=lambda request: json.dumps(request).encode(),
        codes=lambda data: _error_codes(msgspec.json.decode(data)),
    ),
    Dialect(
        name="JSON, batch", subprotocol="tickcast.json", query="?numbers=string&batch=1", opcode=TEXT,
        write=lambda request: json.dumps(request).encode(), codes=lambda data: _error_codes(msgspec.json.decode(data)),
    ),
    Dialect(
        name="MessagePack", subprotocol="tickcast.msgpack", write=msgspec.msgpack.encode,
        codes=lambda data: _error_codes(msgspec.msgpack.decode(data)),
    ),
    Dialect(
        name="MessagePack, compact", subprotocol="tickcast.msgpack", query="?compact=1", write=msgspec.msgpack.encode,
        codes=lambda data: _error_codes(msgspec.msgpack.decode(data)),
    ),
    Dialect(
        name="Protobuf", subprotocol="tickcast.proto", write=_proto_request, codes=_proto_codes,
    ),
    Dialect(
        name="Protobuf, batch", subprotocol="tickcast.proto", query="?batch=1", write=_proto_request,
        codes=_proto_codes,
    ),
)  # fmt: skip


class GatewayFuzzError(AssertionError):
    """What came back is no answer of ours, or something stayed behind."""


class Found(msgspec.Struct, kw_only=True):
    """What was thrown, and what came back."""

    inputs: int = 0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    barriers: int = 0
    seconds: float = 0.0
    growth_kib: int = 0


def resident_kib() -> int:
    """Resident memory of this process."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def handshake(dialect: Dialect) -> bytes:
    """Return an upgrade request that asks for a codec."""
    offer = b"Sec-WebSocket-Protocol: " + dialect.subprotocol.encode() + b"\r\n\r\n"
    return HANDSHAKE.replace(b"/stream", b"/stream" + dialect.query.encode(), 1)[:-2] + offer


class Noise:
    """Damaged frames of one dialect, by a seed."""

    def __init__(self, dialect: Dialect, seed: str) -> None:
        self._dialect = dialect
        self._chance = random.Random(seed)
        self._damage = Damage(seed)
        self._requests = [dialect.write(request) for request in REQUESTS]

    def frames(self, count: int) -> bytes:
        """Bytes on the wire: mostly damaged requests in whole frames, sometimes damaged frames."""
        return b"".join(self._frame() for _ in range(count))

    def _frame(self) -> bytes:
        chance, payload = self._chance, self._chance.choice(self._requests)
        if chance.random() < 0.9:
            payload = self._damage.bytes(payload)
            if self._dialect.opcode == TEXT and chance.random() < 0.995:
                # what is no UTF-8 closes the connection at once: most of the damage is to come further
                payload = payload.translate(ASCII)
        opcode = self._dialect.opcode
        if chance.random() < 0.03:
            opcode = chance.choices((1, 2, 9, 10, 0, chance.randrange(16)), (40, 40, 10, 10, 1, 1))[0]
        if opcode & 8:
            payload = payload[: chance.randrange(126)]
        whole = frame(payload, opcode=opcode, final=chance.random() > 0.0005, mask=chance.randbytes(4))
        if chance.random() < 0.0005:
            whole = self._damage.bytes(whole)
        return whole


def server_frames(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole frames from the front of what was received."""
    at = 0
    while len(data) - at >= 2:
        length, start = data[at + 1], at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
        if len(data) < start + length:
            break
        yield data[at] & 0x0F, bytes(data[start : start + length])
        at = start + length
    del data[:at]


class Thrower:
    """One client after the other of one dialect."""

    def __init__(self, url: str, dialect: Dialect, *, seed: str, found: Found, inputs_max: int) -> None:
        self._url, self._dialect, self._found, self._inputs_max = url, dialect, found, inputs_max
        self._noise = Noise(dialect, seed)
        self._chance = random.Random(seed)
        self._damage = Damage(f"{seed}:handshake")

    async def run(self) -> None:
        """Throw until all have thrown enough.

        Raises:
            GatewayFuzzError: something came back that is no answer of ours.
        """
        found = self._found
        while found.inputs < self._inputs_max:
            if self._chance.random() < 0.5:
                await self._knock()
            async with await RudeClient.connect(self._url, handshake=False) as client:
                client.send(handshake(self._dialect))
                if b" 101 " not in await client.head():
                    found.outcomes[f"{self._dialect.name} is not spoken"] += 1
                    return
                await self._bursts(client)

    async def _bursts(self, client: RudeClient) -> None:
        found, received = self._found, bytearray()
        for number in range(200):
            if found.inputs >= self._inputs_max:
                return
            mark = f"mark {number}".encode()
            client.send(self._noise.frames(BURST) + frame(mark, opcode=9, mask=os.urandom(4)))
            found.inputs += BURST
            try:
                async with asyncio.timeout(ANSWER_S) as patience:
                    while not self._take(received, mark):
                        chunk = await client.reader.read(1 << 18)
                        if not chunk:
                            found.outcomes["ended"] += 1
                            return
                        received += chunk
                        patience.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
            except _Closed:
                return
            except TimeoutError:
                found.outcomes["unfinished"] += 1
                return
            except ConnectionError:
                # bytes behind the frame that broke the rules make the kernel reset, which may overtake the close
                found.outcomes["reset"] += 1
                return

    def _take(self, received: bytearray, mark: bytes) -> bool:
        """Judge what came; whether the pong was among it."""
        is_marked = False
        for opcode, payload in server_frames(received):
            if opcode == 8:
                self._judge_close(int.from_bytes(payload[:2], "big"))
                raise _Closed
            if opcode == 10:
                is_marked = is_marked or payload == mark
            elif opcode in {1, 2}:
                self._judge(opcode, payload)
        return is_marked

    def _judge(self, opcode: int, payload: bytes) -> None:
        outcomes = self._found.outcomes
        if opcode != self._dialect.opcode:
            raise GatewayFuzzError(f"{self._dialect.name}: a message of opcode {opcode}")
        try:
            codes = self._dialect.codes(payload)
        except Exception as wrong:
            raise GatewayFuzzError(f"{self._dialect.name}: a message that cannot be read: {payload[:80]!r}") from wrong
        for code in codes:
            if code not in set(ErrorCode) - {ErrorCode.INTERNAL}:
                raise GatewayFuzzError(f"{self._dialect.name}: error {code}: {payload[:300]!r}")
            outcomes[f"error {code}"] += 1
        outcomes["other messages"] += not codes

    def _judge_close(self, code: int) -> None:
        if code not in {*CloseCode, *ECHOED} - {CloseCode.FLOOD, CloseCode.DRAIN}:
            raise GatewayFuzzError(f"{self._dialect.name}: close {code}")
        self._found.outcomes[f"close {code if code in set(CloseCode) else 'repeated'}"] += 1

    async def _knock(self) -> None:
        """Throw a damaged handshake or request at the door."""
        found = self._found
        found.inputs += 1
        head = self._chance.choice((handshake(self._dialect), b"GET /prices/AAPL HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        async with await RudeClient.connect(self._url, handshake=False) as client:
            client.send(self._damage.bytes(head) + b"\r\n\r\n")
            try:
                async with asyncio.timeout(ANSWER_S):
                    said = await client.reader.read(4096)
            except TimeoutError:
                found.outcomes["request unfinished"] += 1
                return
            except ConnectionError:
                found.outcomes["reset"] += 1
                return
        match = re.match(rb"HTTP/1\.[01] (\d{3}) ", said)
        if said and (match is None or int(match[1]) not in STATUSES):
            raise GatewayFuzzError(f"{self._dialect.name}: a handshake is answered with {said[:200]!r}")
        found.outcomes[f"status {match[1].decode()}" if match else "ended"] += 1


class _Closed(Exception):  # noqa: N818  the end of a conversation, no error
    """The gateway closed with a code that it may."""


class Neighbour:
    """A well-behaved client beside them: nothing of it is lost, and its counters add up."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._received: Counter[str] = Counter()
        self._price = 0

    async def market(self) -> None:
        """Trade now and then."""
        while True:
            self._price += 1
            self._gateway.trade("XNAS:AAPL", f"{100 + self._price % 100}.{self._price % 7}")
            await asyncio.sleep(MARKET_S)

    async def watch(self, found: Found) -> None:
        """Read, with a barrier every now and then.

        Raises:
            GatewayFuzzError: the counters do not add up.
        """
        async with await RudeClient.connect(self._gateway.url) as client:
            for channel in ("price", "trades"):
                client.text(json.dumps({"action": "subscribe", "symbols": ["AAPL"], "channel": channel, "rate": 0}))
            data, due = bytearray(), asyncio.get_running_loop().time() + CHECK_S
            while True:
                chunk = await client.reader.read(1 << 16)
                if not chunk:
                    raise GatewayFuzzError("the well-behaved client was disconnected")
                data += chunk
                for opcode, payload in server_frames(data):
                    if opcode == 9:
                        client.send(frame(payload, opcode=10))
                    elif opcode == 8:
                        raise GatewayFuzzError(f"the well-behaved client was closed: {payload!r}")
                    elif opcode == 1:
                        self._take(json.loads(payload), found)
                if asyncio.get_running_loop().time() > due:
                    due += CHECK_S
                    client.text('{"action":"sync"}')

    def _take(self, message: Mapping[str, Any], found: Found) -> None:
        match message["type"]:
            case "update" | "trade":
                self._received[str(message.get("channel", "price"))] += 1
            case "synced":
                found.barriers += 1
                for channel, rows in message["channels"].items():
                    row = rows["AAPL"]
                    told = row["delivered"] + row["merged"] + row["lost"]
                    if row["published"] != told or row["delivered"] != self._received[channel]:
                        raise GatewayFuzzError(f"{channel}: received {self._received[channel]}, counted {row}")
            case "error" | "lost":
                raise GatewayFuzzError(f"the well-behaved client was told {message}")


async def fuzz_gateway(*, inputs: int, seed: int, seconds_max: float = 3600.0) -> Found:
    """Throw that many inputs at a gateway of this process.

    Raises:
        GatewayFuzzError: an answer that is none, a counter that does not add up, or something that stayed.
    """
    # damage must reach the checks behind the limits of requests, and all come from one address
    config = Config(
        port=0, requests_per_second=10_000_000, connections_per_address_max=0, handshakes_per_second_per_address=0
    )
    found = Found()
    owner = TaskGroupOwner("fuzz")
    began_ns = monotonic_ns()
    async with running_gateway(config) as gateway:
        neighbour = Neighbour(gateway)
        beside = [owner.spawn(neighbour.market(), "market"), owner.spawn(neighbour.watch(found), "neighbour")]
        warm_kib = 0
        for part in (inputs * WARM_SHARE, inputs):
            throwers = [
                Thrower(
                    gateway.url, DIALECTS[number % len(DIALECTS)], seed=f"{seed}:{number}:{part:.0f}", found=found,
                    inputs_max=int(part),
                ).run()
                for number in range(max(THROWERS, len(DIALECTS)))
            ]  # fmt: skip
            left_s = seconds_max - (monotonic_ns() - began_ns) / 1e9
            throwing = asyncio.gather(*throwers)
            await asyncio.wait([throwing, *beside], timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done():
                    task.result()
            if throwing.done():
                throwing.result()
            else:
                throwing.cancel()
                await asyncio.wait([throwing])
            warm_kib = warm_kib or resident_kib()
        found.seconds = (monotonic_ns() - began_ns) / 1e9
        await _empty(gateway)
        found.growth_kib = resident_kib() - warm_kib
        await owner.stop()
    if found.growth_kib > GROWTH_MAX_KIB:
        raise GatewayFuzzError(f"memory grew by {found.growth_kib} KiB")
    if not found.barriers and found.seconds > 2 * CHECK_S:
        raise GatewayFuzzError("the well-behaved client met no barrier")
    return found


async def _empty(gateway: RunningGateway) -> None:
    """Wait until only the well-behaved client is in any table."""
    clients = gateway.stage.clients
    for _ in range(500):
        held = (len(clients.streams), len(clients.closing), len(clients.waiting), len(clients.unfinished))
        if held == (1, 0, 0, 0) and gateway.hub.memory()["clients"] == 1:
            return
        await asyncio.sleep(0.02)
    raise GatewayFuzzError(f"left behind (streams, closing, waiting, unfinished): {held}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--inputs", type=int, default=1_000_000, show_default=True, help="How many to throw.")
@click.option("--seconds", type=float, default=3600.0, show_default=True, help="At most so long.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other damage with another seed.")
def main(*, inputs: int, seconds: float, seed: int) -> None:
    """Throw damaged frames of every codec at a gateway; exit status 1 if it answers wrongly or keeps something."""
    log.configure(process="fuzz")
    try:
        found = uvloop.run(fuzz_gateway(inputs=inputs, seed=seed, seconds_max=seconds))
    except GatewayFuzzError as wrong:
        click.echo(f"seed {seed}: {wrong}", err=True)
        sys.exit(1)
    for outcome, count in sorted(found.outcomes.items()):
        click.echo(f"{outcome}: {count:,}")
    click.echo(
        f"{found.inputs:,} inputs in {found.seconds:.1f} s ({found.inputs / found.seconds:,.0f}/s), seed {seed}:"
        f" all answered; memory {found.growth_kib:+,} KiB; {found.barriers} barriers balanced beside them"
    )


if __name__ == "__main__":
    main()
