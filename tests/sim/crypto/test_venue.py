"""The framework: subscriptions, faults, limits, restarts, REST weights."""

from collections.abc import Iterable

import pytest
from tests.sim.crypto.rig import Rig

from tickcast.sim.crypto.state import BookNews, Client, Stream, Topic
from tickcast.sim.faults import Fault, Verb

TRADES = "/market/ws/btcusdt@aggTrade"
DEPTH = "/public/ws/btcusdt@depth@100ms"


def test_same_seed_same_frames() -> None:
    runs = []
    for _ in range(2):
        rig = Rig("binance_futures", seed=5)
        client = rig.connect(DEPTH)
        rig.run(1500)
        runs.append(rig.frames(client))
    assert runs[0] == runs[1]
    assert len(runs[0]) > 5


def test_a_frame_is_written_once_for_all_who_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("binance_futures")
    clients = [rig.connect(DEPTH) for _ in range(5)]
    written = []
    write = rig.venue.voice.book

    def count(stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        written.append(news)
        return write(stream, news, now_ns)

    monkeypatch.setattr(rig.venue.voice, "book", count)
    rig.run(1000)
    got = [rig.frames(client) for client in clients]
    assert len(written) == len(got[0]) > 3
    assert all(one == got[0] for one in got)


def test_nothing_is_written_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("binance_futures")
    client = rig.connect(DEPTH)
    rig.run(200)
    rig.venue.left(client)
    for name in ("book", "trades", "values"):
        monkeypatch.setattr(rig.venue.voice, name, lambda *args: pytest.fail(f"written for nobody: {args}"))
    rig.run(1000)
    assert rig.venue.state()["streams"] == 0


@pytest.mark.parametrize(
    ("verb", "whole"),
    [("drop", False), ("corrupt", False), ("truncate", False), ("duplicate", True), ("reorder", True)],
)
def test_units_pass_the_fault_gate(verb: Verb, whole: bool) -> None:
    rig = Rig("binance_futures")
    client, other = rig.connect(TRADES), rig.connect("/market/ws/btcusdt@aggTrade")
    rig.run(500)
    rig.got[client].clear()
    rig.got[other].clear()
    rig.venue.faults.arm(Fault(fault=verb))
    rig.run(1500)
    one, two = rig.got[client], rig.got[other]
    assert one != two
    assert (set(one) == set(two)) == whole
    assert rig.venue.faults.fired[verb] == 1


def test_delayed_frames_come_in_order_while_nothing_new_is_sent() -> None:
    rig = Rig("binance_futures")
    client, other = rig.connect(TRADES), rig.connect(TRADES)
    rig.venue.faults.arm(Fault(fault="delay", delay_ms=300, for_s=0.5))
    rig.run(700)
    rig.run(500, quiet=True)
    assert rig.got[client] == rig.got[other]
    assert len(rig.got[client]) == rig.instrument("BTCUSDT").stats.count


def test_a_clock_fault_shifts_what_is_told() -> None:
    rig = Rig("binance_futures")
    rig.venue.faults.arm(Fault(fault="clock", offset_s=3600))
    client = rig.connect(TRADES)
    rig.run(1000)
    shifted = [one["T"] * 1_000_000 - rig.now_ns for one in rig.frames(client)]
    assert shifted
    assert all(3_598e9 < one <= 3_600e9 for one in shifted)
    assert abs(rig.rest("/fapi/v1/time")["serverTime"] * 1_000_000 - rig.now_ns - 3_600e9) < 2e6


def test_a_restart_cuts_connections_and_lowers_numbers() -> None:
    rig = Rig("binance_futures")
    client = rig.connect(DEPTH)
    rig.run(1000)
    before = rig.frames(client)[-1]["u"]
    trade_id = rig.instrument("BTCUSDT").trade_id
    rig.venue.faults.arm(Fault(fault="restart"))
    assert rig.cut == [client]
    again = rig.connect(DEPTH)
    rig.run(1000)
    assert 0 < rig.frames(again)[0]["u"] < before
    assert rig.instrument("BTCUSDT").trade_id >= trade_id


def test_refusals() -> None:
    rig = Rig("binance_futures")
    assert rig.venue.admits(DEPTH)
    assert not rig.venue.admits("/elsewhere")
    rig.venue.faults.arm(Fault(fault="refuse_login", count=1))
    assert not rig.venue.admits(DEPTH)
    assert rig.venue.admits(DEPTH)
    rig.venue.faults.arm(Fault(fault="disconnect", for_s=1.0))
    assert not rig.venue.admits(DEPTH)
    rig.now_ns += 2_000_000_000
    assert rig.venue.admits(DEPTH)


def test_a_client_that_says_too_much_is_closed() -> None:
    rig = Rig("binance_futures")
    client = rig.connect("/market/ws")
    for number in range(11):
        rig.say(client, {"method": "LIST_SUBSCRIPTIONS", "id": number})
    assert client.close is not None
    assert client.close[0] == 1008
    assert len(rig.frames(client)) == 10


def test_weights_end_in_429_with_the_time_to_wait() -> None:
    rig = Rig("binance_futures")
    url = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    answers = [rig.venue.rest(url, rig.now_ns, address="1.2.3.4") for _ in range(121)]
    assert [one.status for one in answers] == [200] * 120 + [429]
    wait_s = int(answers[-1].headers["Retry-After"])
    assert 1 <= wait_s <= 60
    assert rig.venue.rest(url, rig.now_ns, address="4.3.2.1").status == 200
    assert rig.venue.rest(url, rig.now_ns + wait_s * 1_000_000_000, address="1.2.3.4").status == 200


def test_tampering_stands_between_voice_and_client() -> None:
    rig = Rig("binance_futures")
    client = rig.connect(TRADES)

    def tamper(one: Client, topic: Topic | None, frame: bytes) -> list[bytes]:
        assert one is client
        assert topic is not None
        assert topic.kind == "trade"
        return [frame, b"{}"]

    rig.venue.tamper = tamper
    rig.run(1000)
    frames = rig.frames(client)
    assert frames[1::2] == [{}] * (len(frames) // 2)
    assert len(frames) > 2


def test_halts_stop_an_instrument_and_no_other() -> None:
    rig = Rig("binance_futures")
    rig.run(500)
    rig.venue.halt(0)
    halted, other = rig.venue.instruments[0], rig.venue.instruments[1]
    before = halted.stats.count, halted.book_id, other.book_id
    rig.run(1000)
    assert (halted.stats.count, halted.book_id) == before[:2]
    assert other.book_id > before[2]
    rig.venue.halt(0, halted=False)
    rig.run(1000)
    assert halted.book_id > before[1]
