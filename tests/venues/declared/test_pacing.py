"""Quotas are kept in every window; repairs come one at a time and back off; rows keep their place."""

from hypothesis import given
from hypothesis import strategies as st
from tests.venues.decoding import rows

from tickcast.venues import rows as make
from tickcast.venues.base import Quota, Request, Step
from tickcast.venues.declared.pacing import SECOND_NS, Bucket, Errands, soonest
from tickcast.venues.declared.placing import place_rows
from tickcast.venues.declared.repairs import ASK_NS, CALM_NS, QUEUED_NS, Repairs

NOW = 1_790_000_000_000_000_000


@given(
    amount=st.integers(1, 50),
    per_s=st.sampled_from([0.5, 1.0, 60.0]),
    pauses=st.lists(st.integers(0, 3 * SECOND_NS), max_size=120),
)
def test_no_window_has_more_than_the_quota(amount: int, per_s: float, pauses: list[int]) -> None:
    bucket = Bucket(Quota(amount=amount, per_s=per_s))
    now, spent = NOW, []
    for pause in pauses:
        now = max(now + pause, bucket.ready_ns(1, now + pause))
        bucket.spend(1, now)
        spent.append(now)
    window = int(per_s * SECOND_NS)
    for place, begin in enumerate(spent):
        assert sum(at < begin + window for at in spent[place:]) <= max(amount, 2)


def test_without_a_quota_nothing_waits() -> None:
    bucket = Bucket(None)
    bucket.spend(1000, NOW)
    assert bucket.ready_ns(1000, NOW) == NOW


def test_what_costs_more_than_the_bucket_holds_goes_and_is_paid_off() -> None:
    bucket = Bucket(Quota(amount=100, per_s=1.0))
    assert bucket.ready_ns(90, NOW) == NOW
    bucket.spend(90, NOW)
    assert bucket.ready_ns(1, NOW) - NOW > 0.8 * SECOND_NS


def test_a_request_is_under_way_once() -> None:
    errands = Errands()
    request = Request(purpose="a", url="u")
    errands.add(request)
    errands.add(request)
    assert errands.release() == [request]
    errands.add(request)
    assert errands.release() == []
    errands.done("a")
    errands.add(request)
    assert errands.release() == [request]


def test_never_is_not_soon() -> None:
    assert soonest([0, 7, 5, 0]) == 5
    assert soonest([0]) == soonest([]) == 0


@given(st.lists(st.tuples(st.sampled_from(["broken", "whole", "due", "dismiss"]), st.integers(0, 20 * SECOND_NS))))
def test_a_repair_is_never_asked_for_twice_at_once(events: list[tuple[str, int]]) -> None:
    repairs, now, asked_ns = Repairs(), NOW, 0
    for event, pause in events:
        now += pause
        match event:
            case "broken":
                repairs.broken(1, now)
                asked_ns = 0
            case "whole":
                repairs.whole(1, now)
                asked_ns = 0
            case "dismiss":
                repairs.dismiss(1)
                asked_ns = 0
            case _:
                for one in repairs.due(now, lambda _: 0.0):
                    assert not asked_ns or now >= asked_ns + ASK_NS
                    repairs.asked(one, now)
                    asked_ns = now
        assert repairs.is_open(1) == (repairs.next_ns() > 0)


def test_a_book_that_waits_for_its_turn_is_put_in_the_queue_again_and_counts_no_attempt() -> None:
    repairs = Repairs()
    repairs.broken(1, NOW)
    for turn in range(5):
        now = NOW + turn * QUEUED_NS
        assert repairs.due(now, lambda _: 0.0) == [1]
        repairs.queued(1, now)
        assert repairs.due(now + QUEUED_NS - 1, lambda _: 0.0) == []
    repairs.asked(1, NOW + 5 * QUEUED_NS)
    repairs.broken(1, NOW + 5 * QUEUED_NS)
    assert repairs.next_ns() == NOW + 5 * QUEUED_NS + SECOND_NS, "the delay of a first attempt"


def test_a_book_that_stayed_whole_begins_with_no_delay_again() -> None:
    repairs, now = Repairs(), NOW
    for _ in range(4):
        repairs.broken(1, now)
        now = max(now, repairs.next_ns())
        repairs.asked(1, now)
        repairs.whole(1, now)
    repairs.broken(1, now)
    assert repairs.next_ns() > now
    repairs.whole(1, now)
    now += CALM_NS
    repairs.broken(1, now)
    assert repairs.next_ns() == now


def test_the_busiest_go_first() -> None:
    repairs = Repairs()
    for one in (1, 2, 3):
        repairs.broken(one, NOW)
    assert repairs.due(NOW, {1: 5.0, 2: 9.0, 3: 7.0}.__getitem__) == [2, 3, 1]


@given(st.data())
def test_inserted_rows_stand_where_they_belong_and_texts_stay_with_their_rows(data: st.DataObject) -> None:
    def row(ident: int) -> bytes:
        return make.trade(1, (1, 0), (1, 0), ident=ident, side=0, seq=0, ts_event=0, ts_recv=0)

    own = list(range(data.draw(st.integers(0, 8))))
    offsets = sorted(data.draw(st.lists(st.integers(0, len(own)), max_size=4)))
    inserted = [(offset, [100 + 10 * place, 101 + 10 * place]) for place, offset in enumerate(offsets)]
    expected: list[int] = []
    for place in range(len(own) + 1):
        expected += [ident for offset, idents in inserted if offset == place for ident in idents]
        expected += own[place : place + 1]
    step = Step(records=[row(999)])
    place_rows(
        step,
        b"".join(map(row, own)),
        {place: str(ident) for place, ident in enumerate(own)},
        [(offset, [row(ident) for ident in idents], {1: str(idents[1])}) for offset, idents in inserted],
    )
    told = [one.ident for one in rows(step.records)]
    assert told == [999, *expected]
    named = {told[place]: text for place, text in step.texts.items()}
    assert named == {ident: str(ident) for ident in (*own, *(idents[1] for _, idents in inserted))}
