"""Clients that misbehave towards a whole running instance, while a well-behaved one watches and notices nothing.

Limits of time are short here, so that reaching them takes seconds; all other limits are the defaults.
"""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.testing.instance import ConfiguredInstance, eventually
from tickcast.testing.rude import HANDSHAKE, RudeClient, frame
from tickcast.testing.witness import Witness

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

LIMITS = {
    "gateway": "request_timeout_s = 2.0\nhandshake_timeout_s = 2.0\nping_interval_s = 2.0\nsend_buffer = 8192",
    "fanout": "undrained_max_s = 3.0",
}
UNDRAINED_MAX_S = 3.0
DEADLINE_S = 20.0
GROWTH_MAX_KB = 24 * 1024
"""Resident memory that a misbehaving client may cost: far above its bounds (1 MiB), far below what it asks for."""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    with ConfiguredInstance(tmp_path_factory.mktemp("instance"), LIMITS, rate=1500, symbols=20) as started:
        started.wait_ready()
        before = started.ps()
        yield started
        after = started.ps()
        assert {name: row["pid"] for name, row in after.items()} == {name: row["pid"] for name, row in before.items()}
        said = (started.data / "logs" / "core.log").read_text()
        assert "Traceback" not in said
        assert "request failed" not in said


@pytest.fixture(scope="module")
def witness(instance: ConfiguredInstance) -> Iterator[Witness]:
    """One client that is attached from the first case to the last."""
    with Witness(instance.stream_url, names(instance)[:20]) as attached:
        attached.check()
        yield attached
        attached.check()


@pytest.fixture(autouse=True)
def unnoticed(instance: ConfiguredInstance, witness: Witness) -> Iterator[None]:
    """After each case: the witness noticed nothing, and no trace of the other clients is left."""
    yield
    witness.check()
    eventually(lambda: instance.metric("tickcast_gateway_connections") == 1, what="only the witness is connected")
    eventually(lambda: instance.metric('tickcast_fanout_size{what="clients"}') == 1, what="and the hub knows no other")
    assert instance.metric('tickcast_fanout_size{what="subscriptions"}') == 20


def names(instance: ConfiguredInstance) -> list[str]:
    return [entry["symbol"] for entry in instance.get("/symbols?limit=1000")["symbols"]]


def resident_kb(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def answer(client: RudeClient) -> dict[str, Any]:
    """Return the next message that is no heartbeat."""
    while True:
        received = await client.frame()
        if received.opcode == 1 and (message := json.loads(received.payload))["type"] != "hb":
            return dict(message)


async def ended(client: RudeClient) -> bytes:
    """Return what the server said before it ended the connection; a reset may overtake the answer."""
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(client.reader.read(-1), DEADLINE_S)
    return b""


# ------------------------------------------------------------------ messages that are none


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b'{"action":"subscribe","symbols":["AAPL"'), ErrorCode.BROKEN_MESSAGE),
        (frame(b""), ErrorCode.BROKEN_MESSAGE),
        (frame(b"[" * 60_000), ErrorCode.BROKEN_MESSAGE),
        (frame(b'{"action":"subscribe","symbols":["\\ud800"]}'), ErrorCode.BROKEN_MESSAGE),
        (frame(b'["subscribe"]'), ErrorCode.NOT_AN_OBJECT),
        (frame(b'{"action":"fly"}'), ErrorCode.UNKNOWN_ACTION),
        (frame(b'{"action":{"subscribe":1}}'), ErrorCode.UNKNOWN_ACTION),
        (frame(b'{"action":"subscribe"}'), ErrorCode.INVALID_REQUEST),
        (frame(b'{"action":"subscribe","symbols":["AAPL"],"rate":-1}'), ErrorCode.INVALID_RATE),
        (frame(b'{"action":"subscribe","symbols":["AAPL"],"channel":"orders"}'), ErrorCode.UNKNOWN_CHANNEL),
        (frame(random.Random(1).randbytes(5000), opcode=2), ErrorCode.WRONG_OPCODE),
    ],
    ids=[
        "half an object", "empty", "deep", "half a character", "array", "unknown action", "action is an object",
        "no symbols", "negative rate", "unknown channel", "binary garbage",
    ],
)  # fmt: skip
async def test_a_message_that_is_no_request_is_an_error_and_the_connection_lives(
    instance: ConfiguredInstance, sent: bytes, code: ErrorCode
) -> None:
    async with await RudeClient.connect(instance.url) as client:
        client.send(sent)
        error = await answer(client)
        assert (error["type"], error["code"]) == ("error", code)
        assert len(error["reason"]) < 1000
        client.text('{"action":"ping","id":7}')
        assert (await answer(client))["id"] == 7


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"x" * 10_000_000), CloseCode.TOO_BIG),
        (b"\x81\xff" + (1 << 62).to_bytes(8, "big") + b"\x01\x02\x03\x04", CloseCode.TOO_BIG),
        (frame(b"x" * 60_000, final=False) + frame(b"x" * 60_000, opcode=0), CloseCode.TOO_BIG),
        (frame(b'{"action":"ping"}', mask=None), CloseCode.PROTOCOL_ERROR),
        (b"\xc1\x80\x01\x02\x03\x04", CloseCode.PROTOCOL_ERROR),  # compressed, though no compression was agreed
        (frame(b"", opcode=11), CloseCode.PROTOCOL_ERROR),
        (frame(b"x", opcode=8), CloseCode.PROTOCOL_ERROR),
        (frame(b'{"action":"\xff\xfe"}'), CloseCode.INVALID_DATA),
    ],
    ids=["10 MB", "4 EiB", "pieces", "unmasked", "compressed", "opcode 11", "half a code", "no UTF-8"],
)  # fmt: skip
async def test_a_frame_that_breaks_the_rules_closes_with_its_code(
    instance: ConfiguredInstance, sent: bytes, code: CloseCode
) -> None:
    core = instance.pid("core")
    before_kb = resident_kb(core)
    async with await RudeClient.connect(instance.url) as client:
        client.send(sent)
        assert await client.close_code() == code
    assert resident_kb(core) - before_kb < GROWTH_MAX_KB


async def test_a_hundred_thousand_symbols_in_one_request(instance: ConfiguredInstance) -> None:
    async with await RudeClient.connect(instance.url) as client:
        client.text(json.dumps({"action": "subscribe", "symbols": [f"XNAS:S{n}" for n in range(100_000)]}))
        assert await client.close_code() == CloseCode.TOO_BIG


async def test_a_hundred_thousand_symbols_in_many_requests(instance: ConfiguredInstance) -> None:
    """Names that do not exist are not watched and cost nothing; beyond the limit they are refused."""
    core = instance.pid("core")
    before_kb = resident_kb(core)
    codes: Counter[int] = Counter()
    async with await RudeClient.connect(instance.url) as client:
        for start in range(0, 100_000, 4000):
            client.text(json.dumps({"action": "subscribe", "symbols": [f"S{n}" for n in range(start, start + 4000)]}))
        for _ in range(25):
            codes[(await answer(client))["code"]] += 1
    assert set(codes) <= {ErrorCode.TOO_MANY_SYMBOLS, ErrorCode.TOO_MANY_REQUESTS}
    assert codes[ErrorCode.TOO_MANY_SYMBOLS] >= 20
    assert resident_kb(core) - before_kb < GROWTH_MAX_KB


# ------------------------------------------------------------------ too little, too late, too much


@pytest.mark.parametrize(
    "sent",
    [b"", HANDSHAKE[:60], b"GET /prices/AAPL HTTP/1.1\r\nHost: localhost\r\n"],
    ids=["nothing", "half a handshake", "half a request"],
)
async def test_a_request_that_is_never_finished_ends_with_408(instance: ConfiguredInstance, sent: bytes) -> None:
    async with await RudeClient.connect(instance.url, handshake=False) as client:
        client.send(sent)
        assert (await ended(client)).startswith(b"HTTP/1.1 408 ")


async def test_a_request_that_drips_ends_in_time(instance: ConfiguredInstance) -> None:
    """Each byte is fresh, but the head as a whole has a deadline."""
    async with await RudeClient.connect(instance.url, handshake=False) as client:
        client.send(b"GET /prices/AAPL HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        reading = asyncio.create_task(ended(client))
        dripped = 0
        while not reading.done() and dripped < 200:
            client.send(b"x")
            dripped += 1
            await asyncio.wait({reading}, timeout=0.1)
        assert reading.done(), "the connection outlived its deadline tenfold"
        said = await reading
        assert said.startswith(b"HTTP/1.1 408 ") or said == b""


async def test_garbage_in_place_of_http_is_answered_with_400(instance: ConfiguredInstance) -> None:
    async with await RudeClient.connect(instance.url, handshake=False) as client:
        client.send(random.Random(2).randbytes(300) + b"\r\n\r\n")
        assert (await ended(client)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x81", frame(b'{"action":"ping"}')[:9], frame(b'{"action"', final=False)],
    ids=["nothing", "half a head", "half a frame", "half a message"],
)
async def test_a_client_that_falls_silent_is_closed_in_time(instance: ConfiguredInstance, sent: bytes) -> None:
    async with await RudeClient.connect(instance.url) as client:
        client.send(sent)
        async with asyncio.timeout(DEADLINE_S):
            assert await client.close_code() == CloseCode.TIMED_OUT


async def test_a_thousand_requests_a_second_are_refused_and_then_closed(instance: ConfiguredInstance) -> None:
    codes: Counter[int] = Counter()
    answered = 0
    async with await RudeClient.connect(instance.url) as client:
        client.send(b"".join(frame(b'{"action":"ping","id":%d}' % number) for number in range(1000)))
        while (received := await client.frame()).opcode != 8:
            message = json.loads(received.payload)
            answered += message["type"] == "pong"
            codes[message.get("code", 0)] += 1
        assert received.code == CloseCode.FLOOD
    assert 20 <= answered < 100
    assert 100 <= codes[ErrorCode.TOO_MANY_REQUESTS] < 200


async def test_five_hundred_clients_come_and_go(instance: ConfiguredInstance) -> None:
    """They leave in every way there is, in the middle of everything; nothing of them stays."""
    core = instance.pid("core")
    symbols = names(instance)
    opened = instance.metric("tickcast_gateway_opened_total")
    room = asyncio.Semaphore(50)
    sizes_kb: list[int] = []

    async def visit(number: int) -> None:
        async with room, await RudeClient.connect(instance.url) as client:
            client.text(json.dumps({"action": "subscribe", "symbols": symbols, "rate": (0, 1, 20)[number % 3]}))
            if number % 2:
                await client.frame()
            if number % 5 == 0:
                client.send(frame((1000).to_bytes(2, "big"), opcode=8))
                assert await client.close_code() == CloseCode.NORMAL

    for _ in range(3):  # the first round fills pools and caches
        await asyncio.gather(*(visit(number) for number in range(170)))
        await asyncio.to_thread(eventually, lambda: instance.metric("tickcast_gateway_connections") == 1)
        sizes_kb.append(resident_kb(core))
    assert instance.metric("tickcast_gateway_opened_total") == opened + 510
    assert sizes_kb[2] - sizes_kb[0] < GROWTH_MAX_KB


# ------------------------------------------------------------------ clients that do not read


async def everything(instance: ConfiguredInstance, client: RudeClient) -> None:
    """Subscribe to all there is, unfiltered, in both channels, and read no more after the second ack."""
    for channel in ("price", "trades"):
        client.text(json.dumps({"action": "subscribe", "symbols": names(instance), "channel": channel, "rate": 0}))
        while (await answer(client))["type"] != "subscribed":
            continue
    client.pause_reading()


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, condition)


async def test_a_client_that_stops_reading_is_bounded_and_then_closed(instance: ConfiguredInstance) -> None:
    core = instance.pid("core")
    before_kb = resident_kb(core)
    largest_kb, unsent = before_kb, 0.0
    slow = 'tickcast_gateway_closed_total{code="4701"}'
    closed = instance.metric(slow)
    loop = asyncio.get_running_loop()
    async with await RudeClient.connect(instance.url, receive_buffer=4096) as client:
        await everything(instance, client)
        blocked = 'tickcast_fanout_size{what="blocked"}'
        await until(lambda: instance.metric(blocked) == 1)
        since = loop.time()

        def look() -> bool:
            nonlocal largest_kb, unsent
            largest_kb = max(largest_kb, resident_kb(core))
            unsent = max(unsent, instance.metric('tickcast_fanout_size{what="unsent_bytes"}'))
            return instance.metric(slow) == closed + 1

        await until(look)
        assert loop.time() - since < UNDRAINED_MAX_S + 10
        client.resume_reading()
        assert await client.close_code() == CloseCode.SLOW
    assert unsent <= 1_048_576
    assert largest_kb - before_kb < GROWTH_MAX_KB


async def test_a_client_that_reads_again_in_time_is_conflated_and_told_the_count(
    instance: ConfiguredInstance, witness: Witness
) -> None:
    async with await RudeClient.connect(instance.url, receive_buffer=4096) as client:
        await everything(instance, client)
        await until(lambda: instance.metric('tickcast_fanout_size{what="blocked"}') == 1)
        await asyncio.to_thread(witness.wait, 100)
        client.resume_reading()
        client.text('{"action":"sync"}')
        received: Counter[str] = Counter()
        seqs: dict[tuple[str, str], int] = {}
        while (message := await answer(client))["type"] != "synced":
            if message["type"] in {"update", "trade"}:
                key = (message.get("channel", "price"), message["symbol"])
                assert message["seq"] > seqs.get(key, 0)
                seqs[key] = message["seq"]
            received[message["type"]] += 1
        rows = message["channels"]["price"].values()
        for row in [*rows, *message["channels"]["trades"].values()]:
            assert row["published"] == row["delivered"] + row["merged"] + row["lost"]
        assert sum(row["merged"] for row in rows) > 0
        assert sum(row["lost"] for row in rows) == 0


async def test_a_silent_reader_keeps_nobody_from_connecting(instance: ConfiguredInstance) -> None:
    """Twenty clients that never read, while another comes, watches and goes."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            client = await stack.enter_async_context(await RudeClient.connect(instance.url, receive_buffer=4096))
            client.pause_reading()
            client.text(json.dumps({"action": "subscribe", "symbols": names(instance), "rate": 0}))
        async with connect(instance.stream_url) as other:
            await other.send(json.dumps({"action": "subscribe", "symbols": ["XNAS:AAPL"], "rate": 0}))
            async with asyncio.timeout(DEADLINE_S):
                while json.loads(await other.recv())["type"] != "update":
                    continue
