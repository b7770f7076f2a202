"""Counting as the protocol says, against a gateway that counts on its own side."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.client.counters import Counters, Counting

STEPS = st.lists(st.tuples(st.integers(-2, 5), st.booleans()), max_size=30)


@given(steps=STEPS, begin=st.integers(0, 100), is_lossy=st.booleans())
def test_every_published_message_is_delivered_merged_or_lost(
    steps: list[tuple[int, bool]], begin: int, is_lossy: bool
) -> None:
    counting = Counting(is_lossy=is_lossy)
    counting.begin("A", 7, begin)
    seq, delivered, lost = begin, 0, 0
    for count, is_lost in steps:
        counting.take("A", None, seq + count, is_lost=is_lost and is_lossy)
        if count > 0:
            seq += count
            delivered += not (is_lost and is_lossy)
            lost += 0 if not is_lossy else count if is_lost else count - 1
    row = counting.rows()["A"]
    assert (row.seq, row.published, row.delivered, row.lost) == (seq, seq - begin, delivered, lost)
    assert row.published == row.delivered + row.merged + row.lost
    told = {
        "epoch": 7,
        "seq": seq,
        "published": seq - begin,
        "delivered": delivered,
        "lost": lost,
        "merged": row.merged,
    }
    assert counting.compare({"A": told, "B": told}) == (1, 0)
    assert counting.compare({"A": told | {"delivered": delivered + 1}}) == (0, 1)


def test_a_new_epoch_begins_at_nought_and_the_sums_go_on() -> None:
    counting = Counting(is_lossy=False)
    counting.begin("A", 7, 10)
    counting.take("A", None, 14)
    counting.take("A", 8, 3)
    counting.begin("A", 8, 9)
    counting.take("A", 8, 4)
    assert counting.rows()["A"] == Counters(epoch=8, seq=4, published=8, delivered=3, merged=5, breaks=1)
    counting.forget("A")
    counting.take("A", 8, 9)
    assert counting.rows() == {}


def test_trades_of_a_new_epoch_are_counted_from_where_it_stands() -> None:
    counting = Counting(is_lossy=True)
    counting.begin("A", 7, 10)
    counting.stand("A", 7, 30)
    counting.take("A", None, 12)
    counting.stand("A", 8, 5)
    counting.take("A", None, 6)
    assert counting.rows()["A"] == Counters(epoch=8, seq=6, published=3, delivered=2, merged=0, lost=1, breaks=1)
