"""The load tool's engine: beside a plain client at the real gateway, and at servers that misbehave."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import websockets
from websockets.frames import Close, Frame, Opcode

from tickcast import _native
from tickcast.cli.load_plan import Asked, divide, locate
from tickcast.cli.load_report import Report
from tickcast.testing.gateway import running_gateway

DEADLINE_S = 20.0
NAMES = ("XNAS:A", "XNAS:B", "XNAS:C")
Talk = Callable[["Server", int], Awaitable[None]]


class Engine:
    """The engine on a thread, so that the server's loop goes on."""

    def __init__(self, url: str, **given: Any) -> None:
        asked = Asked(**{"url": url, "clients": 1, "symbols": 3, "latency": "ping", "timeout_s": 2, **given})
        (plan,) = divide(asked, locate(url), NAMES)
        self._engine = _native.LoadEngine(msgspec.json.encode(plan))

    async def until(self, is_reached: Callable[[Report], bool]) -> Report:
        """Run until the report says so."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            await asyncio.to_thread(self._engine.run, 0.05)
            report = msgspec.json.decode(self._engine.report(), type=Report)
            if is_reached(report):
                return report
            assert asyncio.get_running_loop().time() < deadline, report

    async def stop(self) -> Report:
        """Close all clients."""
        self._engine.stop()
        return await self.until(lambda report: not report.phases.closing)


class Server:
    """One connection of a server that a test writes by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.requests: list[dict[str, Any]] = []

    async def upgrade(self, *, accept: str | None = None, protocol: str = "tickcast.json") -> None:
        """Answer the handshake."""
        head = await self.head()
        key = next(
            line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("sec-websocket-key")
        )
        made = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()  # noqa: S324
        self.writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: {accept or made}\r\n"
            f"sec-websocket-protocol: {protocol}\r\n\r\n".encode()
        )

    async def head(self) -> str:
        """Read the request's head."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def read(self) -> tuple[int, bytes]:
        """Read a client's frame, which is short."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(length)
        assert second & 0x80, "a client masks"
        return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))

    async def welcome(self, **ack: Any) -> dict[str, Any]:
        """Answer handshake and request; returns the request."""
        await self.upgrade()
        request: dict[str, Any] = json.loads((await self.read())[1])
        names = request.get("symbols") or list(request["resume"])
        place = {"state": "live", "epoch": 7, "seq": 100, **ack}
        kind = "subscribed" if request["action"] == "subscribe" else "resumed"
        self.send({"type": kind, "id": request["id"], "symbols": dict.fromkeys(names, place)})
        return request

    def send(self, *messages: Any) -> None:
        """Send messages as JSON."""
        for message in messages:
            self.frame(Opcode.TEXT, json.dumps(message).encode())

    def frame(self, opcode: Opcode, payload: bytes, *, fin: bool = True) -> None:
        """Send a frame."""
        self.writer.write(Frame(opcode, payload, fin).serialize(mask=False))

    def close(self, code: int, reason: str = "") -> None:
        """Send a close."""
        self.frame(Opcode.CLOSE, Close(code, reason).serialize())


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[str]:
    """A server whose every connection is talked to; ``talk`` gets its number."""
    number = -1

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        try:
            await talk(Server(reader, writer), number)
            await writer.drain()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("options", [{}, {"batch": True}, {"strings": True}, {"mode": "all"}, {"channel": "trades"}])
async def test_it_counts_what_a_plain_client_counts(options: dict[str, Any]) -> None:
    async with running_gateway(names=NAMES) as gateway:
        for name in NAMES:
            gateway.trade(name, "100.00")
        engine = Engine(gateway.stream_url, clients=4, **options)
        await engine.until(lambda report: report.phases.open == 4)
        terms = {name: value for name, value in options.items() if name in {"mode", "channel"}}
        channel = options.get("channel", "price")
        async with websockets.connect(gateway.stream_url) as plain:
            await plain.send(json.dumps({"action": "subscribe", "symbols": NAMES, **terms}))
            ack = json.loads(await plain.recv())
            for step in range(120):
                gateway.trade(NAMES[step % 3], f"{100 + step}.25")
                if step % 10 == 0:
                    await asyncio.sleep(0.01)
            await engine.until(lambda report: report.tally.delivered + report.tally.merged == 4 * 120)
            await plain.send('{"action":"sync"}')
            delivered = merged = 0
            seqs = {name: place["seq"] for name, place in ack["symbols"].items()}
            while (frame := json.loads(await plain.recv()))["type"] != "synced":
                if frame["type"] in {"update", "trade"}:
                    delivered += 1
                    merged += frame["seq"] - seqs[frame["symbol"]] - 1
                    seqs[frame["symbol"]] = frame["seq"]
        report = await engine.stop()
        assert (report.tally.delivered, report.tally.merged) == (4 * delivered, 4 * merged)
        counters = frame["channels"][channel].values()
        assert report.tally.delivered + report.tally.merged == 4 * sum(one["published"] for one in counters)
        assert (report.tally.lost, report.tally.troubles, report.phases.open) == (0, {}, 0)


async def test_jumps_are_merged_or_lost_by_what_was_asked_for() -> None:
    async def talk(server: Server, number: int) -> None:
        await server.welcome()
        update = {"type": "update", "symbol": NAMES[0]}
        server.send({"type": "snapshot", "symbol": NAMES[0], "epoch": 7, "seq": 100}, update | {"seq": 101})
        server.send([update | {"seq": 105}, {"type": "lost", "symbol": NAMES[0], "count": 4, "epoch": 7, "seq": 109}])
        server.send(
            update | {"seq": 110}, {"type": "snapshot", "symbol": NAMES[0], "epoch": 8, "seq": 3}, update | {"seq": 4}
        )

    async with served(talk) as url:
        report = await Engine(url).until(lambda report: report.tally.updates == 4)
        assert (report.tally.merged, report.tally.lost, report.tally.lost_frames, report.tally.epochs) == (3, 4, 1, 1)
        report = await Engine(url, mode="all").until(lambda report: report.tally.updates == 4)
        assert (report.tally.merged, report.tally.lost, report.tally.troubles) == (0, 7, {})


async def test_message_pack_is_spoken() -> None:
    requests: list[Any] = []

    async def talk(server: Server, number: int) -> None:
        await server.upgrade(protocol="tickcast.msgpack")
        opcode, payload = await server.read()
        assert opcode == Opcode.BINARY
        requests.append(msgspec.msgpack.decode(payload))
        place = {"state": "live", "epoch": 7, "seq": 100}
        ack = {"type": "subscribed", "id": 1, "symbols": dict.fromkeys(requests[0]["symbols"], place)}
        update = {"type": "update", "symbol": NAMES[2], "price": "1.50", "seq": 103}
        for message in (ack, {"type": "snapshot", "symbol": NAMES[2], "handle": 9, "epoch": 7, "seq": 100}, [update]):
            server.frame(Opcode.BINARY, msgspec.msgpack.encode(message))
        server.send(update)

    async with served(talk) as url:
        report = await Engine(url, codec="msgpack").until(lambda report: bool(report.tally.troubles))
        assert (report.tally.updates, report.tally.snapshots, report.tally.merged) == (1, 1, 2)
        assert report.tally.troubles == {"a message that is not of the codec": 1}
    assert requests == [{"action": "subscribe", "symbols": list(NAMES), "channel": "price", "id": 1}]


async def test_frames_in_pieces_and_parts_and_pings_are_read() -> None:
    answers: list[tuple[int, bytes]] = []

    async def talk(server: Server, number: int) -> None:
        await server.welcome()
        update = json.dumps({"type": "update", "symbol": NAMES[0], "seq": 101, "pad": "x" * 70_000}).encode()
        whole = Frame(Opcode.TEXT, update).serialize(mask=False)
        for start in range(0, len(whole), 9_973):
            server.writer.write(whole[start : start + 9_973])
            await server.writer.drain()
            await asyncio.sleep(0.002)
        later = json.dumps({"type": "update", "symbol": NAMES[0], "seq": 103}).encode()
        server.frame(Opcode.TEXT, later[:10], fin=False)
        server.frame(Opcode.PING, b"there?")
        server.frame(Opcode.CONT, later[10:], fin=True)
        while b"there?" not in [payload for _, payload in answers]:
            answers.append(await server.read())

    async with served(talk) as url:
        report = await Engine(url).until(
            lambda report: report.tally.updates == 2 and (Opcode.PONG, b"there?") in answers
        )
        assert (report.tally.merged, report.tally.troubles) == (1, {})


@pytest.mark.parametrize(
    ("message", "trouble"),
    [
        (b'{"type":"update"', "a message that is not of the codec"),
        (b'{"type":"update","symbol":"XNAS:A","seq":100}', "a seq that was there before"),
        (b'{"type":"update","symbol":"XNAS:Z","seq":101}', "a frame of a symbol that was not asked for"),
        (b'{"type":"update","symbol":"XNAS:A"}', "a frame without seq"),
    ],
)
async def test_what_the_protocol_forbids_is_counted(message: bytes, trouble: str) -> None:
    async def talk(server: Server, number: int) -> None:
        await server.welcome()
        server.frame(Opcode.TEXT, message)

    async with served(talk) as url:
        report = await Engine(url).until(lambda report: bool(report.tally.troubles))
        assert report.tally.troubles == {trouble: 1}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answered 404"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "answered 200"),
        ("SSH-2.0-OpenSSH_9\r\n", "an answer that is no HTTP"),
    ],
)
async def test_a_server_of_another_kind_is_given_up_at_once(answer: str, text: str) -> None:
    async def talk(server: Server, number: int) -> None:
        await server.head()
        server.writer.write(answer.encode())

    async with served(talk) as url:
        report = await Engine(url, clients=3).until(lambda report: report.phases.failed == 3)
        assert (report.tally.refused, report.tally.retries) == ({text: 3}, 0)


async def test_a_wrong_handshake_is_given_up_at_once() -> None:
    async def talk(server: Server, number: int) -> None:
        await server.upgrade(**({"accept": "wrong"} if number == 0 else {"protocol": "other"}))

    async with served(talk) as url:
        report = await Engine(url, clients=2).until(lambda report: report.phases.failed == 2)
        assert set(report.tally.refused) == {
            "answered 101 with a wrong Sec-WebSocket-Accept",
            "did not choose the subprotocol tickcast.json",
        }


async def test_one_that_is_full_is_asked_again_as_often_as_it_says() -> None:
    async def talk(server: Server, number: int) -> None:
        if number < 3:
            await server.head()
            server.writer.write(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n")
            return
        await server.welcome()

    async with served(talk) as url:
        report = await Engine(url, tries=1).until(lambda report: report.phases.open == 1)
        assert (report.tally.refused, report.tally.retries) == ({"answered 503": 3}, 3)


async def test_after_a_drain_it_resumes_when_it_was_told_to() -> None:
    requests: list[dict[str, Any]] = []

    async def talk(server: Server, number: int) -> None:
        requests.append(await server.welcome(**({"recovered": False, "reason": "too_old"} if number else {})))
        if number == 0:
            server.send({"type": "update", "symbol": NAMES[1], "seq": 104})
            server.close(4702, "draining; retry in 30 ms")

    async with served(talk) as url:
        report = await Engine(url).until(lambda report: report.tally.acknowledged == 2)
    assert report.tally.closed == {"4702": 1}
    assert report.tally.not_recovered == {"too_old": 3}
    assert [request["action"] for request in requests] == ["subscribe", "reconnect"]
    assert requests[1]["resume"][NAMES[1]] == {"epoch": 7, "seq": 104}
    assert requests[1]["resume"][NAMES[0]] == {"epoch": 7, "seq": 100}


@pytest.mark.parametrize(("code", "options"), [(4801, {}), (4702, {"reconnect": False})])
async def test_it_stays_away_when_it_shall(code: int, options: dict[str, Any]) -> None:
    async def talk(server: Server, number: int) -> None:
        await server.welcome()
        server.close(code)

    async with served(talk) as url:
        report = await Engine(url, **options).until(lambda report: report.phases.failed == 1)
        assert (report.tally.closed, report.tally.acknowledged) == ({str(code): 1}, 1)


async def test_silence_and_hangups_are_told_apart() -> None:
    async def talk(server: Server, number: int) -> None:
        if number == 0:
            await server.reader.read()
        await server.head()
        server.writer.close()

    async with served(talk) as url:
        first = Engine(url, tries=1, timeout_s=0.3)
        report = await first.until(lambda report: report.phases.failed == 1)
        assert report.tally.refused == {"no answer to the handshake in time": 1}
        report = await Engine(url, tries=1).until(lambda report: report.phases.failed == 1)
        assert report.tally.refused == {"hung up during the handshake": 1}
    report = await Engine(url, tries=1).until(lambda report: report.phases.failed == 1)
    assert list(report.tally.refused) == ["Connection refused (os error 111)"]


async def test_those_that_leave_come_back_and_resume() -> None:
    async with running_gateway(names=NAMES) as gateway:
        gateway.trade(NAMES[0], "100.00")
        engine = Engine(gateway.stream_url, clients=5, churn=20)
        report = await engine.until(lambda report: report.tally.acknowledged >= 15)
        assert report.tally.churned >= 10
        assert report.tally.recovered == 3 * (report.tally.acknowledged - 5)
        assert (report.tally.not_recovered, report.tally.closed, report.tally.reached) == ({}, {}, 5)
