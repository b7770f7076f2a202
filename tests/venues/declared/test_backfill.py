"""Missed trades: found out, asked for in pages, told once, and what the ledger is told of them."""

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, dialect

from tickcast.model.ledger import Incident
from tickcast.model.record import Flag, Kind, records_from
from tickcast.venues.base import Request, Step, VenueConfig
from tickcast.venues.declared.backfill import HOLES_MAX, PATIENCE_NS, SETTLE_NS, TRIES_MAX, VAIN_MAX
from tickcast.venues.declared.dialect import Counter, Key, Message, RestTrades, Time, Trades
from tickcast.venues.declared.venue import Channel, Limits, Listed, Print, TradeHistory

TRADE = Trades(key=Key(path="name"), id="id", price="price", size="size")


class Telling(ScriptedVenue):
    """Tells missed trades; they are numbered, and nothing counts them."""

    limits = Limits(channels_per_link=10)
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(page=3, pages_max=4, reach="the test's")
    newest_first = False
    trade = TRADE

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        declared = dialect(self.rule)
        trade = msgspec.structs.replace(self.trade, chained=self.is_chained)
        messages = tuple(
            msgspec.structs.replace(one, emits=(trade,)) if one.name == "trade" else one for one in declared.messages
        )
        rest = RestTrades(rows="rows", trades=self.trade, newest_first=self.newest_first)
        self.dialect = msgspec.structs.replace(declared, messages=messages, rest_trades=rest)

    is_chained = False

    def channels(self, listed: Listed) -> Sequence[Channel]:
        return [Channel("trade", listed.native)]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        end = "" if before is None else f"&before={before.ident - before.covers + 1}"
        return Request(purpose="t", url=f"http://venue/trades?of={listed.native}&after={after.ident}{end}")


class Counting(Telling):
    """Its trades count up by one."""

    is_chained = True


class Backwards(Telling):
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(page=3, pages_max=4, backwards=True, reach="the test's")
    newest_first = True


class Unordered(Telling):
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="place", backwards=True, pages_max=1, reach="the newest 4"
    )
    newest_first = True


class OverlappingForwards(Telling):
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(page=3, pages_max=4, overlaps=True, reach="the test's")


class OverlappingBackwards(Telling):
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        page=3, pages_max=4, backwards=True, overlaps=True, reach="the test's"
    )
    newest_first = True


class Numbered(OverlappingForwards):
    """Its messages are numbered, its trades are not."""

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self.dialect = msgspec.structs.replace(self.dialect, counter=Counter(path="n"))


class UnorderedForwards(Telling):
    trade = msgspec.structs.replace(TRADE, time=Time(path="ms", unit="ms"))
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="place", page=3, pages_max=4, overlaps=True, reach="the test's"
    )


class Play:
    """A session whose trades are told, cut and asked for; the market is ``truth``."""

    def __init__(self, venue: type[Telling], names: Sequence[str] = ("A",), **settings: Any) -> None:
        self.script = Script(venue, quiet_watch=False, **settings)
        self.now = NOW
        self.told: list[tuple[int, bool]] = []
        """Ids of trades, and whether they were fetched."""
        self.gaps: list[tuple[int, bool]] = []
        self.incidents: list[Incident] = []
        self.requests: list[Request] = []
        self.texts: dict[int, str] = {}
        self.times: dict[object, int] = {}
        """Of trades, in ms; others happen when they come."""
        self._keep(self.script.list(a=dict.fromkeys(names, "LIVE")))
        self.open()

    def _keep(self, step: Step) -> Step:
        rows = records_from(b"".join(step.records))
        for row in rows:
            fetched = bool(row["flags"] & Flag.BACKFILLED)
            if row["kind"] == Kind.TRADE:
                self.told.append((int(row["id"]), fetched))
            elif row["kind"] == Kind.GAP:
                self.gaps.append((int(row["id"]), fetched))
        self.incidents += step.incidents
        self.requests += [one for one in step.requests if one.purpose.startswith("trades ")]
        return step

    def open(self) -> None:
        self._keep(self.script.session.opened("streams-1", self.now))
        self.wait(0.1)
        self.say({"kind": "ok"}, {"kind": "ok"}, {"kind": "ok"})

    def cut(self) -> None:
        self._keep(self.script.session.closed("streams-1", self.now))

    def say(self, *said: dict[str, Any]) -> None:
        self._keep(self.script.say(*said, at=self.now))

    def trade(self, *idents: object, name: str = "A") -> None:
        row = {"kind": "trade", "name": name, "price": "1", "size": "1"}
        self.say(*({**row, "id": one, "ms": self.times.get(one)} for one in idents))

    def wait(self, seconds: float) -> None:
        end = self.now + round(seconds * SECOND)
        session = self.script.session
        while session.wake_ns and session.wake_ns <= end:
            self.now = max(self.now, session.wake_ns)
            self._keep(session.wake(self.now))
        self.now = end

    def asked(self) -> dict[str, str]:
        """What the only request under way asks for."""
        (request,) = self.requests
        return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}

    def answer(self, *idents: object, status: int = 200) -> None:
        (request,) = self.requests
        self.requests = []
        rows = [{"name": "A", "id": one, "price": "1", "size": "1", "ms": self.times.get(one)} for one in idents]
        body = {"rows": rows} if status == 200 else {}
        self._keep(self.script.answer(request, body, status=status, at=self.now))

    def entry(self) -> Incident:
        """The newest word on missed trades."""
        return next(one for one in reversed(self.incidents) if one.key)

    def fetched(self) -> list[int]:
        return [ident for ident, fetched in self.told if fetched]


def after_a_cut(venue: type[Telling], *, first: int | None, **settings: Any) -> Play:
    """Trades up to 10, a cut, and perhaps a first one behind it."""
    play = Play(venue, **settings)
    play.trade(9, 10)
    play.cut()
    play.wait(1)
    play.open()
    if first is not None:
        play.trade(first)
    return play


# ------------------------------------------------------------------ trades that nothing counts


def test_a_lost_link_makes_a_hole_that_is_asked_for_and_filled() -> None:
    play = after_a_cut(Telling, first=15)
    assert play.requests == [], "what is on its way comes first"
    play.wait(SETTLE_NS / SECOND + 0.5)
    assert play.asked() == {"of": "A", "after": "10", "before": "15"}
    play.answer(11, 12, 15)
    assert play.fetched() == [11, 12]
    entry = play.entry()
    assert (entry.kind, entry.scope, entry.channel, entry.repair) == ("gap", "connection", "trades", "backfill")
    assert (entry.missing, entry.recovered, bool(entry.until_ns)) == (2, 2, True)
    assert "as far as the venue tells" in entry.reason
    assert play.gaps == []


def test_nothing_missed_is_nothing_told() -> None:
    play = after_a_cut(Telling, first=11)
    play.wait(3)
    play.answer(11)
    assert play.fetched() == []
    assert [one for one in play.incidents if one.key] == []


def test_pages_go_forwards_from_the_last_one_known() -> None:
    play = after_a_cut(Telling, first=20)
    play.wait(3)
    play.answer(11, 12, 13)
    assert play.asked()["after"] == "13"
    play.answer(14, 17, 20)
    assert play.fetched() == [11, 12, 13, 14, 17]
    assert play.entry().recovered == 5


def test_pages_go_backwards_to_the_last_one_known() -> None:
    play = after_a_cut(Backwards, first=20)
    play.wait(3)
    assert play.asked()["before"] == "20"
    play.answer(19, 17, 16)
    assert play.asked()["before"] == "16"
    play.answer(12, 10, 9)
    assert play.fetched() == [12, 16, 17, 19]
    assert play.entry().repair == "backfill"


def test_a_history_that_ends_too_soon_is_said() -> None:
    play = after_a_cut(Backwards, first=20)
    play.wait(3)
    play.answer(19, 17)
    assert play.fetched() == [17, 19]
    entry = play.entry()
    assert entry.repair == ""
    assert entry.until_ns
    assert "the test's" in entry.reason
    assert "not back to the last trade known" in entry.reason


def test_more_than_pages_hold_is_said() -> None:
    play = after_a_cut(Telling, first=100)
    play.wait(3)
    for begin in (11, 14, 17, 20):
        play.answer(begin, begin + 1, begin + 2)
    assert len(play.fetched()) == 12
    assert play.entry().repair == ""
    assert "more than 4 answers hold" in play.entry().reason


def test_an_answer_that_is_older_than_the_stream_is_asked_for_again() -> None:
    play = after_a_cut(Telling, first=15)
    play.wait(3)
    play.answer(11)
    assert play.fetched() == []
    play.wait(2)
    play.answer(11, 12, 15)
    assert play.fetched() == [11, 12]


def test_refused_requests_are_tried_again_and_then_given_up() -> None:
    play = after_a_cut(Telling, first=15)
    play.wait(3)
    for _ in range(TRIES_MAX):
        play.answer(status=400)
        play.wait(10)
    assert play.requests == []
    assert play.entry().repair == ""
    assert "status 400" in play.entry().reason


def test_nothing_behind_the_hole_yet_means_up_to_the_newest() -> None:
    play = after_a_cut(Telling, first=None)
    play.wait(3)
    assert "before" not in play.asked()
    play.answer(11, 12)
    assert play.fetched() == [11, 12]
    assert play.entry().repair == "backfill"


def test_a_link_lost_again_keeps_the_older_end() -> None:
    play = after_a_cut(Telling, first=None)
    play.cut()
    play.wait(1)
    play.open()
    play.trade(30)
    play.wait(3)
    assert play.asked() == {"of": "A", "after": "10", "before": "30"}


def test_a_link_lost_again_after_trades_makes_two_holes() -> None:
    play = after_a_cut(Telling, first=15)
    play.cut()
    play.wait(1)
    assert play.asked() == {"of": "A", "after": "10", "before": "15"}
    play.answer(12, 15)
    play.open()
    play.trade(30)
    play.wait(3)
    assert play.asked() == {"of": "A", "after": "15", "before": "30"}
    play.answer(20, 30)
    assert play.fetched() == [12, 20]


def test_what_is_asked_for_waits_until_its_channel_is_subscribed_again() -> None:
    play = Play(Telling)
    play.trade(10)
    play.cut()
    play.wait(1)
    play.script.session.opened("streams-1", play.now)
    play.wait(3)
    assert play.requests == []


def test_an_instrument_without_a_trade_has_no_hole() -> None:
    play = Play(Telling)
    play.cut()
    play.wait(1)
    play.open()
    play.wait(5)
    assert play.requests == []


def test_it_can_be_switched_off() -> None:
    play = after_a_cut(Telling, first=15, backfill=False)
    play.wait(30)
    assert play.requests == []


def test_an_answer_that_must_begin_with_the_last_one_known_shows_what_a_history_forgot() -> None:
    play = after_a_cut(OverlappingForwards, first=20)
    play.wait(2)
    play.answer(10, 11, 12)
    assert play.asked()["after"] == "12"
    play.answer(12, 13, 20)
    assert play.fetched() == [11, 12, 13]
    assert play.entry().repair == "backfill"


@pytest.mark.parametrize("answers", [[(15, 17, 20)], [(10, 11, 12), (13, 15, 20)]])
def test_an_answer_that_begins_too_late_is_a_loss(answers: list[tuple[int, ...]]) -> None:
    play = after_a_cut(OverlappingForwards, first=20)
    play.wait(2)
    for answer in answers:
        play.answer(*answer)
    assert play.entry().repair == ""
    assert "not back to the last trade known" in play.entry().reason


def test_an_answer_that_must_end_with_the_first_one_behind_shows_that_it_is_too_old() -> None:
    play = after_a_cut(OverlappingBackwards, first=20)
    play.wait(2)
    play.answer(12, 11, 10)
    assert play.requests == []
    play.wait(2)
    play.answer(20, 15, 12)
    assert play.asked()["before"] == "12"
    play.answer(12, 11, 10)
    assert play.fetched() == [11, 12, 15]
    assert play.entry().repair == "backfill"


# ------------------------------------------------------------------ trades without an order


def test_trades_without_an_order_are_found_by_their_place() -> None:
    play = Play(Unordered)
    play.trade("b", "a")
    play.cut()
    play.wait(1)
    play.open()
    play.trade("f")
    play.wait(3)
    play.answer("g", "f", "e", "d", "a")
    assert len(play.fetched()) == 2
    assert play.entry().repair == "backfill"


def test_a_list_that_does_not_reach_back_is_said() -> None:
    play = Play(Unordered)
    play.trade("a")
    play.cut()
    play.wait(1)
    play.open()
    play.trade("f")
    play.wait(3)
    play.answer("f", "e", "d")
    assert play.entry().repair == ""
    assert "the newest 4" in play.entry().reason


def after_a_cut_of_texts() -> Play:
    play = Play(UnorderedForwards)
    play.times = {name: play.now // 1_000_000 + place for place, name in enumerate("abcdef")}
    play.trade("a")
    play.cut()
    play.wait(1)
    play.open()
    play.trade("f")
    play.wait(3)
    return play


def test_pages_of_trades_without_an_order_are_joined() -> None:
    play = after_a_cut_of_texts()
    play.answer("a", "b", "c")
    assert len(play.requests) == 1
    play.answer("c", "d", "e")
    play.answer("e", "f")
    assert len(play.fetched()) == 4
    assert play.entry().repair == "backfill"


def test_pages_of_trades_without_an_order_that_do_not_join_are_a_loss() -> None:
    play = after_a_cut_of_texts()
    play.answer("a", "b", "c")
    play.answer("e", "f")
    assert play.requests == []
    assert play.entry().repair == ""


def test_a_jump_of_a_connections_numbers_is_asked_for_where_nothing_else_counts_trades() -> None:
    play = Play(Numbered)
    play.say({"kind": "trade", "name": "A", "id": 10, "price": "1", "size": "1", "n": 7})
    play.say({"kind": "trade", "name": "A", "id": 15, "price": "1", "size": "1", "n": 12})
    play.wait(2)
    assert play.asked() == {"of": "A", "after": "10", "before": "15"}
    play.answer(10, 11, 15)
    assert play.fetched() == [11]
    entry = play.entry()
    assert (entry.scope, entry.repair) == ("connection", "backfill")
    assert "over a jump of the numbers of a connection" in entry.reason


def test_a_second_jump_ends_the_hole_of_the_first() -> None:
    play = Play(Numbered)
    for ident, number in ((10, 1), (15, 5), (16, 6), (20, 9)):
        play.say({"kind": "trade", "name": "A", "id": ident, "price": "1", "size": "1", "n": number})
    play.wait(3)
    asked = [parse_qs(urlsplit(one.url).query) for one in play.requests]
    assert [(one["after"], one["before"]) for one in asked] == [(["10"], ["15"]), (["16"], ["20"])]


# ------------------------------------------------------------------ trades that count up by one


def test_a_jump_is_asked_for_at_once_and_proved() -> None:
    play = Play(Counting)
    play.trade(10)
    play.trade(14)
    play.wait(0.5)
    assert play.asked() == {"of": "A", "after": "10", "before": "14"}
    assert (play.entry().scope, play.entry().missing, play.entry().until_ns) == ("instrument", 3, 0)
    assert (play.entry().from_seq, play.entry().to_seq) == (11, 13)
    play.answer(11, 12, 13)
    assert play.fetched() == [11, 12, 13]
    assert play.gaps == [(3, False), (3, True)]
    entry = play.entry()
    assert (entry.repair, entry.missing, entry.recovered) == ("backfill", 3, 3)
    assert "proved by consecutive numbers" in entry.reason


def test_the_next_number_proves_that_nothing_was_missed_without_a_question() -> None:
    play = after_a_cut(Counting, first=11)
    play.wait(PATIENCE_NS / SECOND + 5)
    assert play.requests == []
    assert [one for one in play.incidents if one.key] == []


def test_a_jump_behind_a_cut_belongs_to_the_lost_link() -> None:
    play = after_a_cut(Counting, first=13)
    play.wait(1)
    play.answer(11, 12)
    entry = play.entry()
    assert (entry.scope, entry.link, entry.missing, entry.repair) == ("connection", "streams-1", 2, "backfill")
    assert play.fetched() == [11, 12]


def test_a_quiet_instrument_is_asked_for_after_a_while_and_the_next_trade_follows() -> None:
    play = after_a_cut(Counting, first=None)
    play.wait(PATIENCE_NS / SECOND - 2)
    assert play.requests == []
    play.wait(4)
    play.answer(11, 12)
    assert play.fetched() == [11, 12]
    play.trade(13)
    assert play.gaps == [], "the stream goes on where the answer ended"


def test_a_jump_while_the_answer_is_on_its_way_is_part_of_the_question() -> None:
    play = after_a_cut(Counting, first=None)
    play.wait(PATIENCE_NS / SECOND + 2)
    late = list(play.requests)
    play.requests = []
    play.trade(14)
    play.wait(1)
    assert play.asked() == {"of": "A", "after": "10", "before": "14"}
    play.script.answer(late[0], {"rows": []}, at=play.now)
    play.answer(11, 12, 13)
    assert play.fetched() == [11, 12, 13]


def test_numbers_that_the_venue_never_gave_away_are_no_loss() -> None:
    play = Play(Counting)
    play.trade(10)
    play.trade(14)
    play.wait(0.5)
    play.answer(11, 13, 14)
    entry = play.entry()
    assert (entry.missing, entry.recovered, entry.repair) == (2, 2, "backfill")
    assert "as far as the venue tells" in entry.reason


def test_numbers_that_always_have_holes_are_not_asked_for_for_ever() -> None:
    play = Play(Counting)
    ident = 10
    play.trade(ident)
    for _ in range(VAIN_MAX):
        ident += 2
        play.trade(ident)
        play.wait(0.5)
        while play.requests:
            play.answer(ident)
            play.wait(5)
    play.trade(ident + 2)
    play.wait(1)
    assert play.requests == []
    assert "holes of their own" in play.entry().reason


def test_too_many_holes_are_not_kept() -> None:
    play = Play(Counting)
    for place in range(HOLES_MAX + 2):
        play.trade(10 + 3 * place)
    assert "too many holes at once" in play.entry().reason
    assert play.entry().until_ns


def test_holes_of_several_instruments_are_one_entry() -> None:
    play = Play(Counting, names=("A", "B"))
    play.trade(10)
    play.trade(10, name="B")
    play.cut()
    play.wait(1)
    play.open()
    play.trade(13)
    play.trade(12, name="B")
    play.wait(1)
    assert len({one.key for one in play.incidents if one.key}) == 1
    for request in list(play.requests):
        name = parse_qs(urlsplit(request.url).query)["of"][0]
        rows = [{"name": name, "id": one, "price": "1", "size": "1"} for one in (11, 12)]
        play._keep(play.script.answer(request, {"rows": rows}, at=play.now))
    entry = play.entry()
    assert (entry.missing, entry.recovered, entry.repair, len(entry.instruments)) == (3, 3, "backfill", 2)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"rows":[{"id":1}]}', b'{"rows":7}'])
def test_damaged_answers_end_as_a_loss(body: bytes) -> None:
    play = after_a_cut(Telling, first=15)
    play.wait(3)
    for _ in range(TRIES_MAX):
        (request,) = play.requests
        play.requests = []
        answer = msgspec.Raw(body) if body.startswith(b"{") or body == b"[]" else body.decode()
        play._keep(play.script.answer(request, answer, at=play.now))
        play.wait(10)
    assert play.requests == []
    assert play.entry().repair == ""


def test_a_declaration_is_needed_beside_the_request() -> None:
    class Undeclared(Telling):
        def __init__(self, config: VenueConfig) -> None:
            super().__init__(config)
            self.dialect = msgspec.structs.replace(self.dialect, rest_trades=None)

    play = after_a_cut(Undeclared, first=15)
    play.wait(30)
    assert play.requests == []
    assert isinstance(play.script.session.instruments[0].listed, Listed)
    assert all(isinstance(one, Message) for one in Telling(VenueConfig(venue="S")).dialect.messages)
