import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native
from tickcast.gateway import places
from tickcast.gateway.asking import Asked, Unclear, query_of, read_asked
from tickcast.gateway.messages import Place
from tickcast.model.record import Flag, Kind, State, empty_records, record_bytes
from tickcast.testing.gateway import definition

NOW_NS = 1_774_794_600 * 10**9


def moved(hub: _native.Hub, name: str, times: int, now_ns: int) -> None:
    for number in range(times):
        rows = empty_records(1)
        rows["instrument"] = _native.instrument_id(name)
        rows["kind"], rows["flags"], rows["size"] = Kind.TRADE, Flag.LAST_OF_EVENT, 1
        rows["id"], rows["price"] = now_ns % 10**9 + number + 1, 100 + number
        rows["ts_event"] = rows["ts_recv"] = now_ns + number
        hub.apply(record_bytes(rows), now_ns + number)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([("price",), ("trades",), ("price", "trades"), ("trades", "price")]),
)
def test_what_the_core_writes_is_where_the_client_stands(
    topics: list[tuple[int, bool, bool]], channels: tuple[str, ...]
) -> None:
    """``topics``: how often it moves, whether it begins a new epoch, whether it exists."""
    hub = _native.Hub(epoch=7)
    names = [f"XNAS:S{number}" for number in range(len(topics))]
    there = [name for name, (_, _, exists) in zip(names, topics, strict=True) if exists]
    hub.define([definition(name) for name in there], NOW_NS)
    hub.set_feed_state("xnas", State.LIVE, "", NOW_NS)
    for name, (times, is_renewed, exists) in zip(names, topics, strict=True):
        if exists and is_renewed:
            hub.renew(name)
        if exists:
            moved(hub, name, times, NOW_NS)
    client = hub.open(-1)
    hub.configure(client, codec=6, batch=False)
    for channel in channels:
        for name in there:
            hub.subscribe(client, _native.CHANNELS.index(channel), name, 0, 0, 0, NOW_NS)
    hub.set_ids(client, places.prefix(b"asked", [name not in there for name in names]), 4096)
    hub.flush(NOW_NS + 10**9)
    expected = {}
    for channel in channels:
        for name in there:
            standing = hub.position(name, _native.CHANNELS.index(channel))
            assert standing is not None
            expected[channel, name] = Place(epoch=standing.epoch, seq=standing.seq)
    written = hub.place_of(client).decode()
    assert places.read(written, b"asked", names, channels) == expected
    assert places.read(written, b"something else", names, channels) == {}
    cut = places.read(written[: len(written) // 2], b"asked", names, channels)
    assert cut.items() <= expected.items()


@given(st.text(max_size=200))
def test_no_text_does_more_than_prove_nothing(text: str) -> None:
    beginning = places.prefix(b"asked", [False, True]).decode()
    for tried in (text, beginning + text, beginning[:-1] + text):
        found = places.read(tried, b"asked", ["A", "B"], ["price", "trades"])
        assert set(found) <= {(channel, symbol) for channel in ("price", "trades") for symbol in ("A", "B")}
        assert all(0 <= place.epoch < 1 << 53 and 0 <= place.seq < 1 << 53 for place in found.values())


def asked(query: bytes, since: str | None = None) -> Asked:
    return read_asked(query_of(b"/events?" + query), since=since)


def test_a_place_belongs_to_everything_that_was_asked() -> None:
    first = asked(b"symbols=A,B&rate=5&fields=price")
    assert first.check == asked(b"fields=price&rate=5.0&symbols=A,B,A").check, "however it is written"
    for other in (
        b"symbols=B,A&rate=5&fields=price",
        b"symbols=A,B&rate=5",
        b"symbols=A,B&rate=5&fields=price&numbers=string",
    ):
        assert asked(other).check != first.check
    assert asked(b"symbols=A").has_places
    assert not asked(b"symbols=A,XNAS:*").has_places
    assert not asked(b"symbols=A&channels=book,status").has_places


@given(st.binary(max_size=100))
def test_any_address_is_read_or_unclear(query: bytes) -> None:
    try:
        found = asked(query)
    except Unclear:
        return
    assert found.requests()


def test_an_address_comes_to_requests_of_the_stream() -> None:
    found = asked(b"symbols=A&channels=price,book,status&rate=2&depth=5&fields=bid", since="nonsense")
    nowhere = '"resume":{"A":{"epoch":0,"seq":0}}'
    assert [request.decode() for request in found.requests()] == [
        f'{{"action":"subscribe","channel":"price","symbols":["A"],"fields":["bid"],"rate":2.0,{nowhere}}}',
        '{"action":"subscribe","channel":"book","symbols":["A"],"rate":2.0,"depth":5}',
        '{"action":"subscribe","channel":"status","symbols":["*"]}',
    ]
    with pytest.raises(Unclear, match="depth: expected it with book, found price"):
        asked(b"symbols=A&depth=5")
