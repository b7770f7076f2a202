"""What every refusal means and what to do about it: one list for the page at ``/docs/errors`` and the reference."""

import html
from http import HTTPStatus
from typing import Final

from tickcast.gateway.codes import CloseCode, ErrorCode

PATH: Final = "/docs/errors"
STATUSES: Final[dict[int, str]] = {
    400: "the request is broken: its text says what was expected and what was found; the same again fails again",
    401: "the gateway wants to know who asks: send Authorization: Bearer TOKEN or X-Api-Key, or a ticket that was not "
    "used yet; a token that is over is made anew by whoever made it",
    403: "we know who asks, and it is not allowed: a page of a foreign origin (gateway.origins lists those that may), "
    "or something outside the scope of the token",
    404: "there is no such path or symbol; /docs lists the paths, /symbols the symbols",
    405: "the path is right and the method is not; the header Allow says which are",
    408: "the request was not finished in time (gateway.handshake_timeout_s, gateway.request_timeout_s)",
    409: "what is asked for does not fit the state of the instance, which the text names",
    413: "the body is larger than allowed",
    415: "the body is compressed or of another type than the path takes",
    421: "the Host header names somebody else; list the name under which clients reach the gateway in gateway.hosts",
    422: "a parameter has the wrong type or is out of its range; the text names it",
    426: "WebSocket version 13 is spoken",
    429: "too many connections or requests of this address or user; come back after Retry-After seconds",
    431: "the request's head is larger than gateway.head_max",
    500: "we failed, and logged why; tickcast logs core",
    503: "no room, or the core is away; come back after Retry-After seconds",
}
"""By the status of HTTP."""
RANGES: Final[tuple[tuple[range, str], ...]] = (
    (range(1000, 1001), "nothing is wrong"),
    (range(1001, 2000), "mend the client: it broke WebSocket"),
    (range(4000, 4100), "mend the request: the same again fails again"),
    (range(4100, 4200), "ask for less, or more slowly"),
    (range(4200, 4300), "ask for what the token allows, or whoever gave it"),
    (range(4500, 4600), "try again in a while"),
    (range(4700, 4800), "come back after a delay"),
    (range(4800, 4900), "do not come back as you are"),
)
"""What to do, by the range of a code of the stream."""
ABOUT: Final = """\
# Errors

What a gateway refuses, why, and what to do. Every gateway has this list at `/docs/errors`; the `type` of an error of
HTTP ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) leads there. Made from `src/tickcast/gateway/errors.py`.
"""
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}:target{outline:2px solid}"
)


def link(code: int) -> str:
    """Where a gateway explains a status or a code of its own."""
    return f"{PATH}#{code}"


def rows() -> list[tuple[str, list[tuple[int, str, str]]]]:
    """All of them, in three lists: number, meaning, what to do."""
    statuses = [(status, HTTPStatus(status).phrase, text) for status, text in STATUSES.items()]
    return [
        ("Answers of HTTP", statuses),
        ("Errors of the stream", [(int(code), code.meaning, advice(code)) for code in ErrorCode]),
        ("Closes of the stream", [(int(code), code.meaning, advice(code)) for code in CloseCode]),
    ]


def advice(code: int) -> str:
    """What to do about a code of the stream."""
    return next(text for codes, text in RANGES if code in codes)


def markdown() -> str:
    """The reference page ``docs/reference/errors.md``."""
    parts = [ABOUT]
    for heading, listed in rows():
        parts.append(f"## {heading}\n\n| | meaning | what to do |\n| --- | --- | --- |")
        parts.append("\n".join(f"| {number} | {meaning} | {text} |" for number, meaning, text in listed) + "\n")
    return "\n".join(parts)


def page() -> str:
    """The same for a browser."""
    parts = []
    for heading, listed in rows():
        lines = "".join(
            f'<tr id="{number}"><th>{number}</th><td>{_code(meaning)}</td><td>{_code(text)}</td></tr>'
            for number, meaning, text in listed
        )
        parts.append(f"<h2>{heading}</h2><table>{lines}</table>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>tickcast errors</title>'
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style><h1>Errors</h1>{''.join(parts)}</html>"
    )


def _code(text: str) -> str:
    """Escape; what stands between backticks is code."""
    pieces = html.escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
