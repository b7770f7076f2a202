"""REST connector: carries a session's requests until each has an answer that says something.

A venue that refuses for now (429, 418, 503 and every other 5xx), an unreachable venue and a slow one are asked again:
not before Retry-After, with backoff by purpose. While a Retry-After runs, nothing is sent to the venue at all, by no
process of this machine. Requests that wait for the venue's quota go by their urgency, which is asked for anew each time
one may go.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

import aiohttp

from tickcast.feeds.backoff import Backoff, retry_after_s
from tickcast.feeds.budget import Budgets
from tickcast.feeds.canaries import Sign
from tickcast.feeds.tls import trouble_of
from tickcast.ports import Clock
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.venues.base import Answer, Request

REFUSED_FOR_NOW: Final = frozenset({408, 418, 425, 429})
THROTTLED: Final = frozenset({418, 429})
MOVED: Final = frozenset({301, 302, 303, 307, 308})
GONE: Final = 410
SHOWN_MAX: Final = 120
CONCURRENT_MAX: Final = 8
WEIGHT: Final = "weight"


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
        budgets: Budgets | None = None,
        weight_header: str = "",
        priority: Callable[[Request], float] = lambda request: request.priority,
        on_throttled: Callable[[str, float], None] | None = None,
        on_sign: Callable[[Sign, str, str, bytes], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Ask nothing yet.

        ``on_trouble`` is told of every failed try, ``on_throttled`` of the venue's order to wait (seconds), ``on_sign``
        of addresses that move or close (sign, address, reason, sample); ``tls`` verifies certificates (None: by the
        system's authorities).
        """
        self._tls = tls
        self._on_answer = on_answer
        self._on_trouble = on_trouble
        self._on_throttled = on_throttled
        self._on_sign = on_sign
        self._new_backoff = new_backoff
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._answer_max = answer_max
        self._budgets = budgets
        self._weight_header = weight_header
        self._priority = priority
        self._backoffs: dict[str, Backoff] = {}
        self._tasks = TaskGroupOwner("feeds.rest")
        self._waiting: list[tuple[int, Request]] = []
        """Not before (ns), in the order of arrival."""
        self._news = asyncio.Event()
        self._running = 0
        self._hold_ns = 0
        self._throttled = new_backoff()
        """For a venue that says "too many" and not how long to wait: nobody asks for so long, longer each time."""
        self._pump: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def failure(self) -> BaseException | None:
        """What broke the client itself; nothing is asked any more then."""
        return self._tasks.failure

    @property
    def waiting(self) -> int:
        """Requests that have not been sent yet."""
        return len(self._waiting)

    def ask(self, request: Request) -> None:
        """Carry a request; the answer comes by ``on_answer``."""
        self._put(request, 0.0)

    def _put(self, request: Request, delay_s: float) -> None:
        self._waiting.append((max(request.at_ns, self._clock() + round(delay_s * 1e9)), request))
        self._news.set()
        if self._pump is None:
            self._pump = self._tasks.spawn(self._send_all(), "pump")

    def ask_again(self, request: Request) -> None:
        """Carry a request once more whose answer was of no use."""
        self._put(request, self._backoff(request.purpose).next_s())

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

    async def _send_all(self) -> None:
        """Send what is due, the most urgent first, as fast as slots and quota allow."""
        while True:
            self._news.clear()
            wait_ns = self._send_next()
            if wait_ns == 0:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait_ns is None else wait_ns / 1e9):
                    await self._news.wait()

    def _send_next(self) -> int | None:
        """Send one request; how long to wait before the next try: 0 = go on, None = until there is news."""
        now_ns = self._clock()
        if not self._waiting or self._running >= CONCURRENT_MAX:
            return None
        if self._hold_ns > now_ns:
            return self._hold_ns - now_ns
        due = [entry for entry in self._waiting if entry[0] <= now_ns]
        if not due:
            return max(1, min(at_ns for at_ns, _ in self._waiting) - now_ns)
        chosen = max(due, key=lambda entry: self._priority(entry[1]))  # the first of equals
        request = chosen[1]
        if self._budgets is not None and (wait_ns := self._budgets.of(request.url).take(WEIGHT, request.weight)):
            return wait_ns
        self._waiting.remove(chosen)
        self._running += 1
        self._tasks.spawn(self._carry(request), request.purpose)
        return 0

    async def _carry(self, request: Request) -> None:
        try:
            trouble, wait_s = await self._try(request)
        finally:
            self._running -= 1
            self._news.set()
        if trouble is None:
            return
        if wait_s:
            self._hold_ns = max(self._hold_ns, self._clock() + round(wait_s * 1e9))
            if self._budgets is not None:
                self._budgets.of(request.url).hold(WEIGHT, self._hold_ns)
        self._on_trouble(trouble)
        self._put(request, self._backoff(request.purpose).next_s(at_least_s=wait_s))

    async def _try(self, request: Request) -> tuple[str | None, float]:
        """One try: what went wrong (None = answered) and how long the venue wants us to wait."""
        if self._http is None:
            connector = aiohttp.TCPConnector(ssl=self._tls or True)
            self._http = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        shown = request.url.partition("?")[0]
        sent_ns = self._clock()
        try:
            asking = self._http.request(
                request.method, request.url, headers=dict(request.headers), allow_redirects=False
            )
            async with asking as response:
                own_word = response.status == request.throttled_status
                if own_word or response.status in REFUSED_FOR_NOW or response.status >= 500:
                    wait_s = retry_after_s(response.headers.get("Retry-After"), now_ns=self._clock())
                    wait_s = wait_s or request.throttled_s * own_word
                    reason = f"{request.purpose}: {shown} answered {response.status}"
                    if own_word or response.status in THROTTLED:
                        wait_s = self._told_to_wait(reason, wait_s)
                    return reason, wait_s
                self._throttled.reset()
                self._note_weight(request, response)
                body = await response.content.read(self._answer_max + 1)
                while len(body) <= self._answer_max and not response.content.at_eof():
                    body += await response.content.read(self._answer_max + 1 - len(body))
                if len(body) > self._answer_max:
                    return f"{request.purpose}: the answer of {shown} is larger than {self._answer_max} bytes", 0.0
                self._look_for_signs(shown, response, body)
                answer = Answer(
                    status=response.status,
                    body=body,
                    received_ns=self._clock(),
                    etag=response.headers.get("ETag"),
                    sent_ns=sent_ns,
                    date=response.headers.get("Date", "")[:64],
                )
        except TimeoutError:
            return f"{request.purpose}: no answer from {shown} within {self._timeout.total:g} s", 0.0
        except (aiohttp.ClientError, OSError, ValueError) as wrong:  # a ValueError: a header or a name that is none
            return f"{request.purpose}: {shown}: {_trouble(wrong)}", 0.0
        self._on_answer(request, answer)
        return None, 0.0

    def _look_for_signs(self, address: str, response: aiohttp.ClientResponse, body: bytes) -> None:
        """Tell of an address that redirects, is gone, or is announced to go (RFC 8594, RFC 9745)."""
        if self._on_sign is None:
            return
        headers, found = response.headers, ""
        if response.status in MOVED:
            found = f"redirects ({response.status}) to {headers.get('Location', 'nowhere')[:SHOWN_MAX]}"
        elif response.status == GONE:
            found = f"is gone ({GONE})"
        else:
            told = [f"{name}: {headers[name][:SHOWN_MAX]}" for name in ("Deprecation", "Sunset") if name in headers]
            found = f"is announced to close ({', '.join(told)})" if told else ""
        if found:
            self._on_sign("address", address, f"{address} {found}", body)

    def _told_to_wait(self, reason: str, wait_s: float) -> float:
        """Say that the venue throttles us; for how long nothing is to be asked."""
        said = f"Retry-After {wait_s:g} s" if wait_s else "without Retry-After"
        if not wait_s:
            held_s = (self._hold_ns - self._clock()) / 1e9
            wait_s = held_s if held_s > 0 else self._throttled.next_s()
        if self._on_throttled is not None:
            self._on_throttled(f"{reason}, {said}", wait_s)
        return wait_s

    def _note_weight(self, request: Request, response: aiohttp.ClientResponse) -> None:
        """Believe the venue's own count: others may ask it from this address too."""
        used = response.headers.get(self._weight_header, "") if self._weight_header else ""
        if self._budgets is not None and used.isascii() and used.isdigit():
            self._budgets.of(request.url).told(WEIGHT, float(used[:12]))


def _trouble(wrong: Exception) -> str:
    """Say what went wrong, without the whole address, which may hold a key and is in many of aiohttp's own texts."""
    if isinstance(wrong, aiohttp.ClientConnectorCertificateError):
        cause: object = wrong.certificate_error
        return trouble_of(cause) if isinstance(cause, OSError) else "its certificate is not to be trusted"
    if isinstance(wrong, aiohttp.ClientConnectorError):
        return trouble_of(wrong.os_error)
    if isinstance(wrong, OSError):
        return trouble_of(wrong)
    if isinstance(wrong, aiohttp.ClientPayloadError):
        return f"the answer is damaged or ends in the middle: {wrong}"
    if isinstance(wrong, aiohttp.ClientResponseError):
        return f"expected an HTTP answer, found what is none ({type(wrong).__name__})"
    return f"{type(wrong).__name__}: {wrong}"
