"""``tickcast venues``: what each venue gives, what proves that its books are whole, and how much it may be asked."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tickcast.cli.instance import data_option, fetch
from tickcast.cli.terminal import open_console
from tickcast.model.errors import StateError
from tickcast.ops.datadir import DataDir
from tickcast.venues.base import Quota
from tickcast.venues.declared.dialect import BookRule, Dialect, Trades, books_of_feeds
from tickcast.venues.declared.venue import Venue
from tickcast.venues.registry import codes, find_declared, find_factory

OTHERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "XNAS": ("Nasdaq TotalView-ITCH 5.0", "sequence numbers of SoupBinTCP or MoldUDP64", "session"),
    "XBOS": ("Nasdaq TotalView-ITCH 5.0", "sequence numbers of SoupBinTCP or MoldUDP64", "session"),
    "BATS": ("Cboe Multicast PITCH", "sequence numbers of each unit", "unit"),
    "XNYS": ("FIX 4.4", "MsgSeqNum (34) and RptSeq (83)", "session and instrument"),
    "XSIM": ("polled REST", "the cursor of each answer", "venue"),
}
"""Venues with a session of their own: protocol, proof, scope of a break."""
RAW: Final = " (raw)"
"""Ends the names of messages that come in an envelope or without, and are declared twice."""
SNAPSHOTS: Final = {
    "stream": "in the stream",
    "first": "first message of a subscription",
    "rest": "over REST",
    "asked": "asked for on its connection",
    "every": "every message is a whole book",
}


CHECKSUMS: Final = {
    "verified": "agreed with the book",
    "failed": "did not: the book was begun anew",
    "zero": "the venue sends 0, which proves nothing",
}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a running feed has seen of its venue."""

    feed: str
    venue: str
    dead_letters: int
    checksums: dict[str, int]
    unknown: list[dict[str, Any]]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a venue."""

    code: str
    title: str
    gives: tuple[str, ...]
    """Words of the config's ``streams``; empty for a venue with a protocol of its own."""
    proof: str
    chain: str
    """Rules of its books, as declared: chain and checksum."""
    snapshot: str
    scope: str
    """What a break concerns."""
    missed_trades: str
    """How far back they are told over REST, and how that is proved; empty = not at all."""
    limits: tuple[str, ...]
    url: str
    rest_url: str
    messages: tuple[str, ...]
    """Kinds of frames that the core reads."""


def facts(code: str) -> Facts:
    """Collect them.

    Raises:
        UsageError: there is no such venue.
    """
    venue = find_declared(code)
    if venue is None:
        find_factory(code)
        title, proof, scope = OTHERS.get(code, ("a protocol of its own", "see its package", ""))
        return Facts(
            code=code, title=title, gives=(), proof=proof, chain="", snapshot="", scope=scope, missed_trades="",
            limits=(), url="", rest_url="", messages=(),
        )  # fmt: skip
    rules = list(dict.fromkeys(rule for _, rule in books(venue.dialect)))
    return Facts(
        code=code,
        title=venue.title,
        gives=tuple(venue.streams),
        proof=venue.proof,
        chain=_joined(_chain(rule, venue.dialect) for rule in rules),
        snapshot=_joined(SNAPSHOTS[rule.snapshot] for rule in rules),
        scope="connection" if venue.dialect.counter is not None else _joined(rule.scope for rule in rules),
        missed_trades=_missed(venue),
        limits=tuple(_limits(venue)),
        url=venue.url,
        rest_url=venue.rest_url,
        messages=tuple(dict.fromkeys(message.name.removesuffix(RAW) for message in venue.dialect.messages)),
    )


def books(dialect: Dialect) -> Iterator[tuple[str, BookRule]]:
    """Yield the messages that carry books, and their rules."""
    for message, rule in books_of_feeds(dialect):
        yield message.name.removesuffix(RAW), rule


def _chain(rule: BookRule, dialect: Dialect) -> str:
    words = {
        "range": "range of ids",
        "previous": "previous id",
        "consecutive": "consecutive ids",
        "ordered": "" if rule.snapshot == "every" else "the order of times alone",
        "none": "",
    }
    found = [words[rule.chain], f"checksum {rule.checksum}" if rule.checksum else ""]
    if dialect.counter is not None:
        found.append(f"counter of all messages ({dialect.counter.path})")
    if rule.snapshot == "every" and not any(found):
        found.append("whole books")
    return " and ".join(word for word in found if word) or "nothing"


def _missed(venue: type[Venue]) -> str:
    if venue.trade_history is None:
        return ""
    proof = "proved by consecutive numbers" if _counts_trades(venue) else "as far as the venue tells"
    return f"over REST, {proof}: {venue.trade_history.reach}"


def _counts_trades(venue: type[Venue]) -> bool:
    emits = (emit for message in venue.dialect.messages for emit in message.emits)
    return any(isinstance(emit, Trades) and emit.chained for emit in emits)


def _limits(venue: type[Venue]) -> Iterator[str]:
    limits = venue.limits
    yield f"{limits.channels_per_link} channels a connection"
    for what, quota in (
        ("messages a connection", limits.messages),
        ("new connections", limits.connects),
        ("REST weight", limits.weight),
    ):
        if quota is not None:
            yield f"{quota.amount} {what} in {_seconds(quota)}"
    if limits.lifetime_s:
        yield f"connections end after {limits.lifetime_s / 3600:g} h and are replaced before"


def _seconds(quota: Quota) -> str:
    seconds = quota.per_s
    if seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"


def _joined(words: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def seen_by(data: DataDir, *, required: bool) -> list[Seen]:
    """Ask the instance in a data folder what its feeds have seen.

    Raises:
        StateError: it does not run, and ``required`` says that it was asked for.
    """
    try:
        rows = fetch(data, "/feeds")["feeds"]
    except StateError:
        if required:
            raise
        return []
    return [
        Seen(
            feed=row["name"],
            venue=row["venue"],
            dead_letters=row["dead_letters"],
            checksums=row.get("checksums", {}),
            unknown=row.get("unknown", []),
        )
        for row in rows
    ]


@click.command()
@click.argument("wanted", metavar="[VENUE]...", nargs=-1)
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_context
def venues(context: click.Context, *, wanted: tuple[str, ...], data: DataDir, as_json: bool) -> None:
    """Show what each venue gives, what proves that its books are whole, in what scope, and its limits.

    Where an instance runs in the data folder: also what its feeds saw that nobody knew, and what became of checksums.
    """
    found = [facts(code) for code in ([name.upper() for name in wanted] or codes())]
    is_asked = context.get_parameter_source("data") == click.core.ParameterSource.COMMANDLINE
    seen = seen_by(data, required=is_asked)
    chosen = {one.code for one in found}
    seen = [one for one in seen if one.venue in chosen]
    if as_json:
        for_each = [
            msgspec.structs.asdict(one) | {"seen": [each for each in seen if each.venue == one.code]} for one in found
        ]
        click.echo(msgspec.json.encode(for_each).decode())
        return
    if wanted:
        for one in found:
            open_console().print(_page(one))
        _print_seen(seen)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("venue", "protocol", "proved by", "a break concerns"):
        table.add_column(name)
    for one in found:
        table.add_row(one.code, one.title, one.chain or one.proof, one.scope)
    open_console().print(table)
    _print_seen(seen)


def _print_seen(seen: list[Seen]) -> None:
    """Say what feeds saw: nothing of those that saw nothing strange and have no checksums."""
    told = [one for one in seen if one.unknown or one.checksums or one.dead_letters]
    for one in told:
        table = Table(title=f"feed {one.feed} ({one.venue})", box=SIMPLE_HEAD, show_edge=False, title_justify="left")
        for name in ("seen", "count", "sample"):
            table.add_column(name, overflow="fold")
        table.add_row("dead letters", f"{one.dead_letters:,}", "")
        for name, count in one.checksums.items():
            table.add_row(f"checksums {name}", f"{count:,}", CHECKSUMS.get(name, ""))
        for each in one.unknown:
            table.add_row(Text(f"unknown {each['what']} {each['name']}"), f"{each['count']:,}", Text(each["sample"]))
        open_console().print(table)


def _page(one: Facts) -> Table:
    table = Table(title=f"{one.code}: {one.title}", show_header=False, box=SIMPLE_HEAD, title_justify="left")
    for name, value in rows(one):
        table.add_row(name, value)
    return table


def rows(one: Facts) -> list[tuple[str, Any]]:
    """What is said of a venue, as name and text; what there is nothing to say of is left out."""
    found = [
        ("gives", " ".join(one.gives)),
        ("proof", one.proof),
        ("rule", one.chain),
        ("book begins", one.snapshot),
        ("a break concerns", one.scope),
        ("missed trades", one.missed_trades),
        ("limits", "; ".join(one.limits)),
        ("stream", one.url),
        ("REST", one.rest_url),
        ("messages", ", ".join(one.messages)),
    ]
    return [(name, value) for name, value in found if value]
