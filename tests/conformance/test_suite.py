"""The suite itself: it must find what is wrong."""

from collections.abc import Iterable

import pytest

from tickcast.sim.crypto.kraken import KrakenVoice
from tickcast.sim.crypto.state import BookNews, Client, Stream, Topic
from tickcast.sim.crypto.voices import VOICES, voice
from tickcast.testing.conformance import suite
from tickcast.testing.conformance.bench import Bench
from tickcast.testing.conformance.rules import carries
from tickcast.testing.conformance.shell import ConformanceError


class WrongSums(KrakenVoice):
    """A voice whose checksums never agree."""

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a book with a wrong checksum."""
        return [self.spoil_checksum(frame) or frame for frame in super().book(stream, news, now_ns)]


def test_every_voice_is_held_against_its_venue() -> None:
    assert {code.lower() for code in suite.covered()} == set(VOICES)
    assert suite.uncovered() == []


def test_a_voice_of_ones_own_that_is_wrong_is_found() -> None:
    with pytest.raises(ConformanceError, match="KRAKEN"):
        suite.check("KRAKEN", "clean", own_voice=WrongSums)


def test_a_book_that_never_was_is_found() -> None:
    bench = Bench("OKX", voice("okx"))
    bench.start()
    target = bench.chosen[0]

    def wrong_size(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client
        if topic is None or not carries(topic, target):
            return (frame,)
        return (frame.replace(b'["', b'["9', 1),)

    bench.venue.tamper = wrong_size
    with pytest.raises(ConformanceError, match=r"never was|cross|every book"):
        bench.run(5000)


def test_a_trade_that_is_told_twice_or_lost_is_found() -> None:
    bench = Bench("BYBIT", voice("bybit"))
    bench.start()

    def lose(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client
        return () if topic is not None and topic.kind == "trade" else (frame,)

    bench.venue.tamper = lose
    bench.run(2000)
    bench.venue.tamper = None
    with pytest.raises(ConformanceError, match="trades are lost without an entry"):
        bench.finish()


def test_the_same_seed_is_the_same_run() -> None:
    runs = []
    for _ in range(2):
        bench = Bench("KRAKEN", voice("kraken"), seed=7)
        bench.start()
        bench.run(1000)
        runs.append([(named.symbol, seen.rows, list(seen.trades)) for named, seen in bench.pairs()])
    assert runs[0] == runs[1]
