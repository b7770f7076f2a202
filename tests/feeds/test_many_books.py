"""Many books of a venue with the real weights: all of them live, the busiest before the others, and never a 429."""

from pathlib import Path

import pytest

from tickcast.testing.many_books import BUSIEST, Figures, as_json, bring_up

PAIRS = 500


@pytest.mark.timeout(180)
@pytest.mark.parametrize("feeds", [1, 2])
async def test_five_hundred_books_come_up_busiest_first_without_a_429(feeds: int, tmp_path: Path) -> None:
    figures = await bring_up(pairs=PAIRS, feeds=feeds, folder=tmp_path, within_s=120.0)
    print(as_json(figures))  # noqa: T201  the figures are of interest, and no gate
    assert figures.throttled == 0
    assert figures.missing == 0
    in_order = sorted(figures.rows, key=lambda one: -figures.rows[one])
    busiest = sorted(figures.live_s[one] for one in in_order[:BUSIEST])
    sleepiest = sorted(figures.live_s[one] for one in in_order[-BUSIEST:])
    assert busiest[BUSIEST // 2] < sleepiest[BUSIEST // 2]
    # weight 5 each: no minute may hold more than the venue's 6,000
    assert sum(figures.requests.values()) * 5 < 6000


def test_figures_say_when_the_busiest_were_live() -> None:
    figures = Figures(pairs=30, feeds=1)
    figures.rows = {number: 100 - number for number in range(30)}
    figures.live_s = {number: float(number) for number in range(29)}
    figures.judge()
    assert (figures.busiest_s, figures.all_s, figures.missing) == (BUSIEST - 1.0, 28.0, 1)
