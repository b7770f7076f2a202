"""Level rows of crypto venues over sockets: whoever applies them has the venue's best levels, whatever happens."""

import pytest
from tests.faults.crypto import running

from tickcast.testing.rude_venue import RudeVenue


@pytest.mark.parametrize("depth", [0, 5])
@pytest.mark.parametrize("word", ["kraken", "binance"])
async def test_rows_tell_the_best_levels_of_watched_books_over_lost_links(word: str, depth: int) -> None:
    async with RudeVenue(word) as rude, running(rude, depth=depth) as run:
        await run.until_right()
        symbols = [one.product.symbol for one in run.chosen]
        for watched in (symbols[1::2], symbols, [], symbols[:1]):
            before = run.kinds()["reconnect"]
            rude.cut()
            await run.until(lambda before=before: run.kinds()["reconnect"] > before, "the cut is noticed")  # type: ignore[misc]  # mypy cannot type a lambda's default
            run.watch_books(watched)  # while books are brought up again
            await run.until_right(f"books with {watched} watched")
        assert not run.witness.wrong, run.witness.wrong[:3]
