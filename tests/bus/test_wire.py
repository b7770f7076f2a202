"""Frames survive any cutting of the stream; damage is refused, never misread."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.bus import wire
from tickcast.model.batch import Hops, TickBatch
from tickcast.model.errors import BusError
from tickcast.model.health import FeedHealth
from tickcast.model.queues import QueueLevel
from tickcast.testing.bus import trades


def whole_batch() -> TickBatch:
    batch = trades(1, 5, securities=2)
    return TickBatch(
        "feed", 3, batch.records, batch.definitions, ("a", None, "c", None, "é"), Hops(received=1, decoded=2)
    )


def test_batch_round_trip() -> None:
    sent = whole_batch()
    ((kind, body),) = wire.FrameReader().feed(b"".join(wire.batch(7, sent, 9)))
    number, found = wire.read_batch(body, "feed")
    assert (kind, number) == (wire.FrameType.BATCH, 7)
    assert np.array_equal(found.records, sent.records)
    assert (found.definitions, found.texts, found.session) == (sent.definitions, sent.texts, 3)
    assert found.hops == Hops(received=1, decoded=2, bus_in=9)


@given(st.lists(st.integers(1, 200), max_size=20))
def test_any_cutting_gives_the_same_frames(cuts: list[int]) -> None:
    health = FeedHealth(name="f", venue="V", state="connected", since_ns=1, pid=2)
    stream = b"".join([*wire.ack(5), *wire.batch(1, whole_batch(), 1), *wire.health(health), *wire.ack(6)])
    reader, start = wire.FrameReader(), 0
    found: list[tuple[wire.FrameType, bytes]] = []
    for cut in [*cuts, len(stream)]:
        found.extend((kind, bytes(body)) for kind, body in reader.feed(stream[start : start + cut]))
        start += cut
    whole = [(kind, bytes(body)) for kind, body in wire.FrameReader().feed(stream)]
    assert found == whole
    assert [kind.name for kind, _ in whole] == ["ACK", "BATCH", "HEALTH", "ACK"]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_bus_errors(data: bytes) -> None:
    try:
        frames = list(wire.FrameReader().feed(data))
    except BusError:
        return
    for _, body in frames:
        for read in (wire.read_hello, wire.read_welcome, wire.read_health, wire.read_ack):
            with contextlib.suppress(BusError):
                read(body)
        with contextlib.suppress(BusError):
            wire.read_batch(body, "feed")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x00\x00\x00\x03", "length 0"),
        (b"\xff\xff\xff\xff\x03", "length 4294967295"),
        (b"\x02\x00\x00\x00\x63", "type 99"),
    ],
)
def test_impossible_frames_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(BusError, match=message):
        list(wire.FrameReader().feed(data))


def test_a_cut_batch_is_refused() -> None:
    body = memoryview(b"".join(wire.batch(1, whole_batch(), 1)))[5:]
    with pytest.raises(BusError, match="expected a batch"):
        wire.read_batch(body[:-1], "feed")


def test_the_queues_of_a_feed_come_with_its_health() -> None:
    queues = {"feeds.f.inbox": QueueLevel(1, 2, 3)}
    health = FeedHealth(name="f", venue="V", state="connected", since_ns=1, pid=2, queues=queues)
    [(kind, body)] = wire.FrameReader().feed(b"".join(wire.health(health)))
    assert kind is wire.FrameType.HEALTH
    assert wire.read_health(body) == health
