"""What a session notices of a venue that changes its messages."""

from collections.abc import Sequence

import msgspec
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book, dialect

from tickcast.model.health import UNKNOWN_MAX
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.declared.dialect import Aggressor, BookRule, Key, Trades
from tickcast.venues.declared.drift import ZEROES_MIN
from tickcast.venues.declared.unfamiliar import AGAIN_NS, Unfamiliar
from tickcast.venues.declared.venue import Happening, Strange, strange

DAY = 86_400 * SECOND


def drift(*steps: Step) -> list[str]:
    return [one.reason for step in steps for one in step.incidents if one.kind == "drift"]


class Sided(ScriptedVenue):
    """Says who was the aggressor; books have a checksum."""

    rule = BookRule(chain="previous", snapshot="stream", checksum="okx")

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        sides = Aggressor(path="side", buyer=("buy",), seller=("sell",))
        trade = Trades(key=Key(path="name"), id="id", price="price", size="size", aggressor=sides)
        declared = dialect(self.rule)
        messages = []
        for one in declared.messages:
            emits = (trade,) if one.name == "trade" else (msgspec.structs.replace(one.emits[0], checksum="checksum"),)
            messages.append(msgspec.structs.replace(one, emits=emits))
        self.dialect = msgspec.structs.replace(declared, messages=tuple(messages), rest_book=None)

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        said = msgspec.json.decode(frame, type=dict[str, str])
        return strange("state", [said["state"]], {"open"}) if "state" in said else super().cold(frame, market)


def up(venue: type[ScriptedVenue] = Sided) -> Script:
    script = Script(venue, quiet_watch=False)
    script.list(a={"A": "LIVE"})
    script.session.opened("streams-1", NOW)
    script.say({"kind": "ok"}, at=NOW)
    return script


def test_a_word_where_others_are_declared_is_told_once_a_day_with_a_sample() -> None:
    script = up()
    odd = {"kind": "trade", "name": "A", "price": "1", "size": "1", "side": "auction"}
    script.say(*({**odd, "id": place} for place in range(3)), at=NOW)
    first, second = (script.session.wake(NOW + minute * 61 * SECOND) for minute in (1, 2))
    assert drift(first, second) == ["a word that nobody knows: trade.side=auction"]
    (seen,) = script.session.findings(NOW + 200 * SECOND).unknown
    assert (seen.what, seen.name, seen.count) == ("value", "trade.side=auction", 3)
    assert "auction" in seen.sample
    assert len(drift(script.session.wake(NOW + 2 * DAY))) == 1, "another day"


def test_a_state_that_nobody_knows_is_told_and_no_dead_letter() -> None:
    script = up()
    step = script.say({"state": "open"}, {"state": "paused"}, {"state": "paused"}, at=NOW)
    assert drift(step) == ["a word that nobody knows: state=paused"]
    assert step.dead_count == 0
    (seen,) = script.session.findings(NOW + 2 * SECOND).unknown
    assert (seen.count, seen.sample) == (2, '{"state":"paused"}')


def test_checksums_that_are_all_zero_are_told_with_a_sample() -> None:
    script = up()
    script.say({**book("A", 1), "checksum": 0}, at=NOW)
    for place in range(ZEROES_MIN):
        script.say({**book("A", place + 2, place + 1), "checksum": 0}, at=NOW)
    first = script.session.wake(NOW + 61 * SECOND)
    assert drift(first) == ["every checksum is 0, which proves nothing"]
    found = script.session.findings(NOW + 62 * SECOND)
    assert found.checksums["zero"] == ZEROES_MIN + 1
    (seen,) = found.unknown
    assert seen.what == "checksum"
    assert '"checksum":0' in seen.sample


def test_one_that_is_another_number_is_enough() -> None:
    script = up()
    script.say({**book("A", 1), "checksum": 5}, at=NOW)
    for place in range(2 * ZEROES_MIN):
        script.say({**book("A", place + 2), "checksum": 0}, at=NOW)
    assert drift(script.session.wake(NOW + 61 * SECOND)) == []


def test_names_and_memory_are_bounded() -> None:
    unfamiliar = Unfamiliar()
    for place in range(5000):
        assert unfamiliar.met("message", f"kind {place}", b"x" * 9999, now_ns=NOW)
    told = unfamiliar.told()
    assert len(told) == UNKNOWN_MAX
    assert all(len(one.sample) <= 1000 for one in told)
    assert not unfamiliar.met("message", "kind 4999", b"", now_ns=NOW + 1)
    assert unfamiliar.met("message", "kind 4999", b"", now_ns=NOW + AGAIN_NS)


def test_a_helper_names_each_word_once() -> None:
    assert strange("state", ["a", "b", "b", "c"], {"a"}) == [Strange("state=b"), Strange("state=c")]
