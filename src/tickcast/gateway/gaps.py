"""REST of the gap ledger: what was less than whole, and whether a symbol was complete over a time."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import FastAPI, Query
from fastapi.responses import Response

from tickcast.gateway import schemas
from tickcast.gateway.answers import JSON, answers, cursor_after, read_cursor, refusal
from tickcast.gateway.auth.access import Access
from tickcast.gateway.auth.door import Viewer, not_entitled, refuse_part
from tickcast.gateway.timestamps import parse_timestamp, timestamp
from tickcast.model.ledger import IncidentKind, LedgerEntry
from tickcast.ports import Clock, Completeness, GapLedger, GapQuery, LegCompleteness

SYMBOL_MAX: Final = 96
PAGE: Final = 1_000
"""Entries that are looked at together for those that somebody may know of."""
KindFilter = IncidentKind | Literal[""]
_UNITS_NS: Final = {"s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
Since = Annotated[
    str, Query(max_length=40, description="RFC 3339 (2026-03-29T14:30:00Z), or how long ago: 30s, 15m, 1h, 2d.")
]


def add_gaps(app: FastAPI, ledger: GapLedger, clock: Clock) -> None:
    """Add ``/gaps``."""

    @app.get("/gaps", tags=["operations"], response_class=Response, responses=answers(schemas.GAPS, 401, 403, 422))
    async def gaps(  # noqa: PLR0917  the parameters of the address
        access: Viewer,
        since: Since = "",
        until: Since = "",
        venue: Annotated[str, Query(max_length=20, description="One venue's entries.")] = "",
        feed: Annotated[str, Query(max_length=32, description="One feed's entries.")] = "",
        symbol: Annotated[str, Query(max_length=SYMBOL_MAX, description="XNAS:AAPL, or AAPL over its venues.")] = "",
        kind: Annotated[KindFilter, Query(description="One kind of entry.")] = "",
        is_open: Annotated[
            bool | None, Query(alias="open", description="true: only what has not ended; false: only what has.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Most entries in the answer.")] = 100,
        cursor: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
    ) -> Response:
        """The gap ledger, newest first: every gap, repair, checksum failure, reconnect, halt and outage."""
        if refused := refuse_part(access, "status"):
            return refused
        now_ns, after = clock(), read_cursor(cursor)
        if after is None:
            return refusal(422, f"cursor: expected `next` of the page before, or none; found {cursor[:40]!r}")
        try:
            query = GapQuery(
                since_ns=_moment("since", since, now_ns),
                until_ns=_moment("until", until, now_ns),
                venue=venue,
                feed=feed,
                symbol=symbol,
                kind=kind,
                is_open=is_open,
                limit=limit,
                cursor=after,
            )
        except ValueError as wrong:
            return refusal(422, str(wrong))
        found, following = _found(ledger, query, access)
        body = {
            "gaps": [shown(entry, now_ns) for entry in found],
            "next": None if following is None else cursor_after(following),
        }
        return Response(msgspec.json.encode(body), media_type=JSON)


def add_completeness(app: FastAPI, ledger: GapLedger, clock: Clock) -> None:
    """Add ``/completeness``."""

    @app.get(
        "/completeness",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.COMPLETENESS, 401, 403, 404, 422),
    )
    async def completeness(
        access: Viewer,
        symbol: Annotated[
            str, Query(min_length=1, max_length=SYMBOL_MAX, description="XNAS:AAPL, or AAPL over its venues.")
        ],
        begin: Annotated[
            str, Query(alias="from", max_length=40, description="RFC 3339, or how long ago: 30s, 15m, 1h, 2d.")
        ],
        end: Annotated[str, Query(alias="to", max_length=40, description="The same; without it now.")] = "",
    ) -> Response:
        """Whether a symbol was complete over a time: `complete`, `incomplete`, or `unknown`, and why."""
        now_ns = clock()
        try:
            from_ns, to_ns = _moment("from", begin, now_ns), _moment("to", end, now_ns) or now_ns
        except ValueError as wrong:
            return refusal(422, str(wrong))
        if not from_ns < min(to_ns, now_ns):
            return refusal(422, "from: expected a time before `to` and before now")
        if not access.may_use("status") or not access.may_see(symbol):
            return not_entitled(symbol)
        found = ledger.completeness(symbol, from_ns, to_ns)
        if found is None:
            return refusal(
                404, f"nothing was ever told of a symbol {symbol}; /symbols lists what there is", symbol=symbol
            )
        return Response(msgspec.json.encode(_answer(_within(found, access), now_ns)), media_type=JSON)


def _may_know(entry: LedgerEntry, access: Access) -> bool:
    return access.may_know(entry.venue, entry.instruments, entry.instruments_count)


def _found(ledger: GapLedger, query: GapQuery, access: Access) -> tuple[Sequence[LedgerEntry], str | None]:
    """A page of entries that somebody may know of; others leave no hole, and no page behind them."""
    if access.sees_everything:
        return ledger.gaps(query)
    found: list[LedgerEntry] = []
    page = msgspec.structs.replace(query, limit=PAGE)
    while len(found) <= query.limit:
        entries, following = ledger.gaps(page)
        found += [entry for entry in entries if _may_know(entry, access)]
        if following is None:
            break
        page = msgspec.structs.replace(page, cursor=following)
    return found[: query.limit], found[query.limit - 1].id if len(found) > query.limit else None


def _within(found: Completeness, access: Access) -> Completeness:
    """The answer without legs outside the scope, and without entries that name others."""
    if access.sees_everything:
        return found
    legs = [
        msgspec.structs.replace(leg, entries=tuple(entry for entry in leg.entries if _may_know(entry, access)))
        for leg in found.legs
        if access.may_see(leg.symbol)
    ]
    return msgspec.structs.replace(found, legs=tuple(legs))


def _moment(name: str, text: str, now_ns: int) -> int:
    """A time, absolute or as long ago; 0 = none was given."""
    if not text:
        return 0
    number, unit = text[:-1], text[-1]
    if unit in _UNITS_NS and number.isascii() and number.isdecimal() and len(number) <= 9:
        return max(now_ns - int(number) * _UNITS_NS[unit], 1)
    try:
        return parse_timestamp(text)[0]
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}, or how long ago, such as 1h") from None


def shown(entry: LedgerEntry, now_ns: int) -> dict[str, Any]:
    """An entry as REST tells it: times in RFC 3339, and how long it lasts."""
    row = msgspec.structs.asdict(entry)
    began_ns, ended_ns = row.pop("began_ns"), row.pop("ended_ns")
    row["began"] = timestamp(began_ns)
    row["ended"] = timestamp(ended_ns) if ended_ns else None
    row["duration_ms"] = max((ended_ns or now_ns) - began_ns, 0) / 1e6
    row["lost"] = entry.lost
    return row


def _answer(found: Completeness, now_ns: int) -> dict[str, Any]:
    return {
        "symbol": found.symbol,
        "from": timestamp(found.from_ns),
        "to": timestamp(found.to_ns),
        "answer": found.answer,
        "legs": [_leg(leg, now_ns) for leg in found.legs],
    }


def _leg(leg: LegCompleteness, now_ns: int) -> dict[str, Any]:
    return msgspec.structs.asdict(leg) | {"entries": [shown(entry, now_ns) for entry in leg.entries]}
