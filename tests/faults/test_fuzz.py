"""Twenty thousand damaged frames against a whole running instance: each ends in a numbered error or close."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.testing.instance import ConfiguredInstance, eventually
from tickcast.testing.rude import RudeClient, frame
from tickcast.testing.witness import Witness

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

FRAMES = 20_000
CLIENTS = 4
BURST = 50
"""Frames sent before their answers are read."""
ECHOED = {0, *range(1000, 1004), *range(3000, 4700)}
"""A damaged frame may be a whole close, with a code that a client may send or none (0), which the answer repeats
(RFC 6455 section 5.5.1)."""

REQUESTS = (
    '{"action":"subscribe","symbols":["AAPL","XNAS:MSFT"],"channel":"price","rate":20,"fields":["price","bid"],"id":1}',
    '{"action":"subscribe","symbols":["BTC-USDT"],"channel":"trades","mode":"all","numbers":"string","batch":false}',
    '{"action":"subscribe","symbols":["AAPL"],"resume":{"AAPL":{"epoch":7,"seq":915}},"last_seen":{}}',
    '{"action":"reconnect","last_seen":{"AAPL":"2026-03-29T14:30:05.000Z"},"rate":0}',
    '{"action":"unsubscribe","symbols":["AAPL"]}',
    '{"action":"set","rate":2,"mode":"merge","fields":null,"batch":false}',
    '{"action":"sync","id":"a"}',
    '{"action":"ping","id":-5}',
)
PIECES = (
    b'"', b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"-1", b"1e308", b"18446744073709551616", b"0.1", b'""',
    b"\\ud800", b"\\u0000", b"\xf0\x9f\x92\xa5", b"\x00", b'"AAPL"', b'"price"', b'"trades"', b'"all"',
    b"9999-12-31T23:59:60Z", b"[[[[[[[[", b'{"":{}}', b"A" * 3000,
)  # fmt: skip


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    # Damage must reach the checks behind the limit of requests.
    tables = {"gateway": "requests_per_second = 1_000_000"}
    with ConfiguredInstance(tmp_path_factory.mktemp("instance"), tables, rate=400, symbols=20) as started:
        started.wait_ready()
        yield started


def damaged(noise: random.Random) -> bytes:
    """Bytes on the wire: mostly well-framed damage, sometimes damaged framing."""
    text = bytearray(noise.choice(REQUESTS).encode())
    for _ in range(noise.choice((0, 1, 1, 2, 5))):
        at = noise.randrange(len(text) + 1)
        match noise.randrange(5):
            case 0:
                text[at:at] = noise.choice(PIECES)
            case 1:
                del text[at : at + noise.randrange(1, 20)]
            case 2:
                text[at : at + noise.randrange(1, 10)] = noise.choice(PIECES)
            case 3:
                text[at : at + 1] = bytes((noise.randrange(128),))
            case _:
                text[at:at] = text[: noise.randrange(len(text) + 1)]
    if noise.random() < 0.01:
        text = bytearray(noise.randbytes(noise.randrange(500)))
    opcode = noise.choices((1, 2, 9, 10, 0, noise.randrange(16)), (93, 4, 2, 1, 0.1, 0.2))[0]
    if opcode & 8:
        del text[noise.randrange(126) :]
    whole = frame(bytes(text), opcode=opcode, final=noise.random() > 0.002, mask=noise.randbytes(4))
    if noise.random() < 0.002:
        at = noise.randrange(len(whole))
        whole = whole[:at] + bytes((whole[at] ^ 1 << noise.randrange(8),)) + whole[at + 1 :]
    return whole


async def throw(client: RudeClient, burst: bytes, outcomes: Counter[str], mark: int) -> bool:
    """Send a burst and take what comes back up to the pong behind it; whether the connection is still good."""
    client.send(burst)
    client.text(json.dumps({"action": "ping", "id": f"mark {mark}"}))
    while True:
        received = await client.frame()
        if received.opcode == 8:
            outcomes[f"close {received.code}"] += 1
            return False
        if received.opcode != 1:
            outcomes[f"opcode {received.opcode}"] += 1
            continue
        message = json.loads(received.payload)
        for each in message if isinstance(message, list) else [message]:
            outcomes[f"error {each['code']}" if each["type"] == "error" else each["type"]] += 1
            if each.get("id") == f"mark {mark}":
                return True


async def fuzz(url: str, seed: int, outcomes: Counter[str]) -> None:
    noise = random.Random(seed)
    thrown = 0
    while thrown < FRAMES // CLIENTS:
        async with await RudeClient.connect(url) as client:
            good = True
            while good and thrown < FRAMES // CLIENTS:
                thrown += BURST
                try:
                    good = await throw(client, b"".join(damaged(noise) for _ in range(BURST)), outcomes, thrown)
                except TimeoutError:  # a damaged length, or a message begun: the gateway waits for the rest, rightly
                    outcomes["unfinished"] += 1
                    good = False
                except (ConnectionError, asyncio.IncompleteReadError):
                    # Bytes behind the frame that broke the rules make the kernel reset, which may overtake the close.
                    outcomes["reset"] += 1
                    good = False


async def test_damaged_frames_end_in_numbered_errors_and_closes(instance: ConfiguredInstance) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201  shown when the test fails
    before = {name: row["pid"] for name, row in instance.ps().items()}
    symbols = [entry["symbol"] for entry in instance.get("/symbols?limit=20")["symbols"]]
    outcomes: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        witness = await asyncio.to_thread(stack.enter_context, Witness(instance.stream_url, symbols))
        await asyncio.gather(*(fuzz(instance.url, seed + number, outcomes) for number in range(CLIENTS)))
        print(outcomes)  # noqa: T201  shown when the test fails
        await asyncio.to_thread(witness.check)
        await asyncio.to_thread(eventually, lambda: instance.metric("tickcast_gateway_connections") == 1)
    errors = {int(name.split()[1]) for name in outcomes if name.startswith("error ")}
    closes = {int(name.split()[1]) for name in outcomes if name.startswith("close ")}
    assert errors <= set(ErrorCode) - {ErrorCode.INTERNAL}
    assert {ErrorCode.BROKEN_MESSAGE, ErrorCode.UNKNOWN_ACTION, ErrorCode.INVALID_REQUEST} <= errors
    assert closes <= {*CloseCode, *ECHOED}
    assert {CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA} <= closes
    assert outcomes["subscribed"] > 100
    assert outcomes["unfinished"] + outcomes["reset"] < 100
    assert {name: row["pid"] for name, row in instance.ps().items()} == before
    assert "Traceback" not in (instance.data / "logs" / "core.log").read_text()
