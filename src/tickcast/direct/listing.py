"""What a venue lists, asked for over REST."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tickcast.feeds.backoff import Backoff
from tickcast.feeds.budget import Budgets, shared_folder
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.rest_poll import WEIGHT, RestClient
from tickcast.model.errors import FeedError, UsageError
from tickcast.runtime.clock import now_ns
from tickcast.runtime.log import configure_library
from tickcast.venues.base import Answer, Request
from tickcast.venues.declared.venue import UNREADABLE, Listed, Venue, reason_of
from tickcast.venues.registry import find_declared, find_factory

PAGES_MAX: Final = 1_000
_JITTER: Final = 0.5


async def instruments(
    venue: str, *, timeout_s: float = 30.0, settings: Mapping[str, Any] | None = None
) -> list[Listed]:
    """Return all instruments that a venue lists, sorted by their symbols.

    Args:
        venue: code of the venue, ``BINANCE``.
        timeout_s: longest time to wait for the lists.
        settings: keys of the config's ``[feeds.NAME]``, such as ``markets`` or ``rest_url``.

    Raises:
        UsageError: there is no such venue, it has no list to ask for, or a setting is wrong.
        FeedError: the venue does not answer, or not with a list; says what it did.
    """
    kind = find_declared(venue)
    if kind is None:
        find_factory(venue)
        raise UsageError(
            f"expected a venue that lists its instruments over REST, found {venue}, which tells them in its feed: "
            "run it and ask GET /symbols"
        )
    try:
        config = msgspec.convert({**(settings or {}), "venue": venue}, FeedConfig)
    except msgspec.ValidationError as wrong:
        raise UsageError(f"settings of {venue}: {wrong}") from wrong
    configure_library()
    quotas = {WEIGHT: kind.limits.weight} if kind.limits.weight else {}
    asked = _Listing(kind(config), Budgets(shared_folder(os.environ), quotas, clock=now_ns), timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            return await asked.run()
    except TimeoutError:
        trouble = asked.trouble or "no answer"
        raise FeedError(f"expected the list of {venue} within {timeout_s:g} s, found: {trouble}") from None


class _Listing:
    """The requests of one listing, page by page."""

    def __init__(self, venue: Venue, budgets: Budgets, timeout_s: float) -> None:
        self._venue = venue
        self._found: dict[tuple[str, str], Listed] = {}
        self._open = 0
        self._pages = 0
        self._done = asyncio.Event()
        self.trouble = ""
        self._rest = RestClient(
            on_answer=self._answered,
            on_trouble=self._failed,
            new_backoff=lambda: Backoff(min_s=0.25, max_s=5.0, random=lambda: _JITTER),
            clock=now_ns,
            timeout_s=timeout_s,
            answer_max=FeedConfig(venue=venue.code).message_max,
            budgets=budgets,
            weight_header=venue.limits.weight_header,
        )

    async def run(self) -> list[Listed]:
        try:
            for request in self._venue.listing():
                self._ask(request)
            await self._done.wait()
        finally:
            await self._rest.stop()
        return sorted(self._found.values(), key=lambda one: one.symbol)

    def _ask(self, request: Request) -> None:
        self._open += 1
        self._pages += 1
        self._rest.ask(request)

    def _failed(self, reason: str) -> None:
        self.trouble = reason

    def _answered(self, request: Request, answer: Answer) -> None:
        try:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            for one in self._venue.listed(request, answer.body):
                self._found[one.market, one.native] = one
            following = self._venue.next_page(request, answer.body)
        except UNREADABLE as wrong:
            self.trouble = f"{request.purpose}: expected a list of instruments, found {reason_of(wrong)}"
            self._rest.ask_again(request)
            return
        if following is not None and self._pages < PAGES_MAX:
            self._ask(following)
        self._open -= 1
        if not self._open:
            self._done.set()
