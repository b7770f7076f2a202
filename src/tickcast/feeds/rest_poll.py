"""REST connector: carries a session's requests until each has an answer that says something.

A venue that refuses for now (429, 418, 503 and every other 5xx), an unreachable venue and a slow one are asked again:
not before Retry-After, with backoff by purpose. While a Retry-After runs, nothing is sent to the venue at all.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp

from tickcast.feeds.backoff import Backoff, retry_after_s
from tickcast.ports import Clock
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.venues.base import Answer, Request

REFUSED_FOR_NOW: Final = frozenset({408, 418, 425, 429})
CONCURRENT_MAX: Final = 8


class RestClient:
    """The REST side of one feed."""

    def __init__(
        self,
        *,
        on_answer: Callable[[Request, Answer], None],
        on_trouble: Callable[[str], None],
        new_backoff: Callable[[], Backoff],
        clock: Clock,
        timeout_s: float,
        answer_max: int,
    ) -> None:
        """``on_trouble`` is told of every failed try."""
        self._on_answer = on_answer
        self._on_trouble = on_trouble
        self._new_backoff = new_backoff
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._answer_max = answer_max
        self._backoffs: dict[str, Backoff] = {}
        self._tasks = TaskGroupOwner("feeds.rest")
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)
        self._hold_ns = 0
        self._http: aiohttp.ClientSession | None = None

    def ask(self, request: Request) -> None:
        """Carry a request; the answer comes by ``on_answer``."""
        self._tasks.spawn(self._carry(request, 0.0), request.purpose)

    def ask_again(self, request: Request) -> None:
        """Carry a request once more whose answer was of no use."""
        self._tasks.spawn(self._carry(request, self._backoff(request.purpose).next_s()), request.purpose)

    def worked(self, purpose: str) -> None:
        """An answer was of use: begin from the first delay next time."""
        self._backoffs.pop(purpose, None)

    async def stop(self) -> None:
        """Give all requests up."""
        await self._tasks.stop()
        if self._http is not None:
            await self._http.close()

    def _backoff(self, purpose: str) -> Backoff:
        return self._backoffs.setdefault(purpose, self._new_backoff())

    async def _carry(self, request: Request, delay_s: float) -> None:
        while True:
            now_ns = self._clock()
            delay_s = max(delay_s, (request.at_ns - now_ns) / 1e9, (self._hold_ns - now_ns) / 1e9)
            if delay_s > 0:
                await asyncio.sleep(delay_s)
                delay_s = 0.0
                continue
            async with self._slots:
                trouble, wait_s = await self._try(request)
            if trouble is None:
                return
            if wait_s:
                self._hold_ns = max(self._hold_ns, self._clock() + round(wait_s * 1e9))
            self._on_trouble(trouble)
            delay_s = self._backoff(request.purpose).next_s(at_least_s=wait_s)

    async def _try(self, request: Request) -> tuple[str | None, float]:
        """One try: what went wrong (None = answered) and how long the venue wants us to wait."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=self._timeout)
        shown = request.url.partition("?")[0]
        try:
            async with self._http.get(request.url, headers=dict(request.headers), allow_redirects=False) as response:
                if response.status in REFUSED_FOR_NOW or response.status >= 500:
                    wait_s = retry_after_s(response.headers.get("Retry-After"), now_ns=self._clock())
                    return f"{request.purpose}: {shown} answered {response.status}", wait_s
                body = await response.content.read(self._answer_max + 1)
                while len(body) <= self._answer_max and not response.content.at_eof():
                    body += await response.content.read(self._answer_max + 1 - len(body))
                if len(body) > self._answer_max:
                    return f"{request.purpose}: the answer of {shown} is larger than {self._answer_max} bytes", 0.0
                answer = Answer(
                    status=response.status,
                    body=body,
                    received_ns=self._clock(),
                    etag=response.headers.get("ETag"),
                )
        except TimeoutError:
            return f"{request.purpose}: no answer from {shown} within {self._timeout.total:g} s", 0.0
        except (aiohttp.ClientError, OSError) as wrong:
            # aiohttp's own text of a broken answer holds the whole address, which may hold a key
            text = type(wrong).__name__ if isinstance(wrong, aiohttp.ClientResponseError) else str(wrong)
            return f"{request.purpose}: {shown}: {text}", 0.0
        self._on_answer(request, answer)
        return None, 0.0
