"""The REST connector against scripted servers: limits, errors, stalls, strange answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.feeds.peers import now_ns, serving, until

from tickcast.feeds.backoff import Backoff
from tickcast.feeds.rest_poll import RestClient
from tickcast.venues.base import Answer, Request


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


class Scripted:
    """Answers each request with the next entry; the last one stays."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.heads: list[str] = []
        self.times: list[int] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        self.times.append(now_ns())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:  # says nothing
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()


class Client:
    """A connector, and what it brought."""

    def __init__(self, *, timeout_s: float = 5.0, answer_max: int = 1000) -> None:
        self.answers: list[tuple[str, Answer]] = []
        self.troubles: list[str] = []
        self.signs: list[tuple[str, str, str, bytes]] = []
        self.rest = RestClient(
            on_sign=lambda *sign: self.signs.append(sign),
            on_answer=lambda request, answer: self.answers.append((request.purpose, answer)),
            on_trouble=self.troubles.append,
            new_backoff=lambda: Backoff(min_s=0.01, max_s=0.05, random=lambda: 0.5),
            clock=now_ns,
            timeout_s=timeout_s,
            answer_max=answer_max,
        )


@contextlib.asynccontextmanager
async def asking(script: Scripted, client: Client) -> AsyncIterator[Callable[..., None]]:
    async with serving(script) as port:

        def ask(purpose: str = "p", at_ns: int = 0, **headers: str) -> None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            client.rest.ask(Request(purpose=purpose, url=f"http://127.0.0.1:{port}/x?y=1", headers=named, at_ns=at_ns))

        try:
            yield ask
        finally:
            await client.rest.stop()


async def test_a_request_may_be_a_post_without_a_body() -> None:
    client, script = Client(), Scripted(http("200 OK", b"token"))
    async with asking(script, client), serving(script) as port:
        client.rest.ask(Request(purpose="p", url=f"http://127.0.0.1:{port}/x", method="POST"))
        await until(lambda: client.answers)
        assert client.answers[0][1].body == b"token"
        assert script.heads[0].startswith("POST /x ")
        assert "Content-Length: 0" in script.heads[0]


async def test_an_answer_comes_with_its_tag_and_time() -> None:
    client, script = Client(), Scripted(http("200 OK", b"body", ETag='"t"'))
    async with asking(script, client) as ask:
        ask(If_None_Match='"old"')
        await until(lambda: client.answers)
        ((purpose, answer),) = client.answers
        assert (purpose, answer.status, answer.body, answer.etag) == ("p", 200, b"body", '"t"')
        assert script.times[0] <= answer.received_ns <= now_ns()
        assert 0 < answer.sent_ns <= script.times[0]
        assert 'If-None-Match: "old"' in script.heads[0]
        assert script.heads[0].startswith("GET /x?y=1 HTTP/1.1")


async def test_not_modified_gone_and_not_found_are_answers() -> None:
    for status in (304, 410, 404, 302):
        client = Client()
        async with asking(Scripted(http(f"{status} X", Location="http://127.0.0.1:1/")), client) as ask:
            ask()
            await until(client.answers.__len__)
            assert client.answers[0][1].status == status


async def test_retry_after_is_kept_and_holds_every_request() -> None:
    client, script = Client(), Scripted(http("429 Slow", Retry_After="1"), http("200 OK", b"1"))
    async with asking(script, client) as ask:
        ask("first")
        await until(lambda: client.troubles)
        ask("second")
        await until(lambda: len(client.answers) == 2)
        assert min(script.times[1:]) - script.times[0] >= 0.99e9
        assert "answered 429" in client.troubles[0]


async def test_a_broken_server_is_asked_again_with_backoff() -> None:
    script = Scripted(http("503 X"), http("500 X"), b"\x00garbage\r\n\r\n", b"", http("200 OK", b"fine"))
    client = Client()
    async with asking(script, client) as ask:
        ask()
        await until(lambda: client.answers)
        assert client.answers[0][1].body == b"fine"
        assert len(client.troubles) in {3, 4}  # aiohttp itself repeats a GET whose connection closed without a byte
        assert not [trouble for trouble in client.troubles if "y=1" in trouble]


async def test_a_server_that_says_nothing_is_left_after_the_limit() -> None:
    client, script = Client(timeout_s=0.2), Scripted(None, http("200 OK", b"fine"))
    async with asking(script, client) as ask:
        ask()
        await until(lambda: client.answers)
        assert "no answer from" in client.troubles[0]
        assert "y=1" not in client.troubles[0]


async def test_an_answer_that_is_too_large_is_refused() -> None:
    client, script = Client(answer_max=1000), Scripted(http("200 OK", b"x" * 5000), http("200 OK", b"x" * 1000))
    async with asking(script, client) as ask:
        ask()
        await until(lambda: client.answers)
        assert client.answers[0][1].body == b"x" * 1000
        assert "larger than 1000 bytes" in client.troubles[0]


async def test_half_an_answer_is_none() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    client, script = Client(), Scripted(half, http("200 OK", b"whole"))
    async with asking(script, client) as ask:
        ask()
        await until(lambda: client.answers)
        assert [answer.body for _, answer in client.answers] == [b"whole"]


async def test_a_request_waits_for_its_time() -> None:
    client, script = Client(), Scripted(http("200 OK"))
    async with asking(script, client) as ask:
        due = now_ns() + 300_000_000
        ask(at_ns=due)
        await until(lambda: client.answers)
        assert script.times[0] >= due


async def test_nobody_there_is_said_and_tried_again() -> None:
    client = Client()
    async with serving(Scripted(http("200 OK"))) as port:
        pass
    client.rest.ask(Request(purpose="p", url=f"http://127.0.0.1:{port}/"))
    await until(lambda: len(client.troubles) >= 3)
    async with serving(Scripted(http("200 OK", b"there")), port):
        await until(lambda: client.answers)
    await client.rest.stop()


async def test_a_venue_that_does_not_say_how_long_to_wait_is_left_alone_longer_each_time() -> None:
    client = Client()
    script = Scripted(*[http("429 Too Many Requests")] * 4, http("200 OK", b"at last"))
    async with asking(script, client) as ask:
        ask("first")
        await until(lambda: client.troubles)
        ask("second")  # it waits although nobody refused it
        await until(lambda: len(client.answers) == 2)
    assert len(script.times) == 6
    assert script.times[1] - script.times[0] >= 7_000_000, "10 ms, of which the dice leave three quarters"
    assert script.times[3] - script.times[2] >= 14_000_000, "20 ms, for both"


async def test_an_address_that_moves_or_closes_is_a_sign() -> None:
    client = Client()
    script = Scripted(
        http("301 Moved", b"<html>moved</html>", Location="https://elsewhere/x"),
        http("410 Gone"),
        http("200 OK", b"{}", Sunset="Wed, 11 Nov 2026 11:11:11 GMT", Deprecation="@1688169599"),
        http("200 OK", b"{}", Date="Sun, 29 Mar 2026 14:30:01 GMT"),
    )
    async with asking(script, client) as ask:
        for count in range(1, 5):
            ask(f"p{count}")
            await until(lambda: len(client.answers) == count)  # noqa: B023  awaited in the same turn
    assert [answer.status for _, answer in client.answers] == [301, 410, 200, 200]
    assert client.answers[3][1].date == "Sun, 29 Mar 2026 14:30:01 GMT"
    texts = [reason.partition(" ")[2] for _, _, reason, _ in client.signs]
    assert texts == [
        "redirects (301) to https://elsewhere/x",
        "is gone (410)",
        "is announced to close (Deprecation: @1688169599, Sunset: Wed, 11 Nov 2026 11:11:11 GMT)",
    ]
    sign, address, _, sample = client.signs[0]
    assert (sign, sample) == ("address", b"<html>moved</html>")
    assert "?" not in address, "a query may hold a key"
