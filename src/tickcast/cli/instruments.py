"""``tickcast instruments``: what a venue lists, straight from the venue."""

import asyncio

import click
import msgspec

from tickcast.cli.feed import parse_setting
from tickcast.cli.terminal import fitted, open_console
from tickcast.direct.listing import instruments as ask
from tickcast.model.errors import UsageError
from tickcast.venues.declared.venue import Listed

_COLUMNS = ("symbol", "class", "native", "market", "tick", "lot", "contract", "expiry", "state")
_SACRIFICE = ("contract", "market", "lot", "tick", "native", "expiry")


@click.command()
@click.argument("venue")
@click.option("--quote", help="Only those priced in this currency, such as USDT.")
@click.option("--class", "asset_class", help="Only these: crypto, perpetual, future, option, index.")
@click.option("--match", help="Only symbols that hold this text.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting of the feed: rest_url=http://...")
def instruments(
    *, venue: str, quote: str | None, asset_class: str | None, match: str | None, as_json: bool, pairs: tuple[str, ...]
) -> None:
    """List the instruments of VENUE (BINANCE, OKX, ...)."""
    settings = dict(parse_setting(pair) for pair in pairs)
    listed = [
        one
        for one in asyncio.run(ask(venue.upper(), settings=settings))
        if (quote is None or one.currency == quote.upper())
        and (asset_class is None or one.asset_class == asset_class)
        and (match is None or match.upper() in one.symbol)
    ]
    if as_json:
        for one in listed:
            click.echo(msgspec.json.encode({"venue": venue.upper(), **_plain(one)}).decode())
        return
    if not listed:
        raise UsageError(f"expected instruments of {venue.upper()} that match, found none")
    console = open_console()
    console.print(fitted(_COLUMNS, [_cells(one) for one in listed], sacrifice=_SACRIFICE, width=console.width))
    click.echo(f"{len(listed)} instruments")


def _plain(one: Listed) -> dict[str, object]:
    found = {name: getattr(one, name) for name in Listed.__slots__}
    return {**found, "state": one.state.name.lower()}


def _cells(one: Listed) -> dict[str, str]:
    return {
        "symbol": one.symbol,
        "class": one.asset_class,
        "native": one.native,
        "market": one.market,
        "tick": one.tick_size or "-",
        "lot": one.lot_size or "-",
        "contract": one.contract_size or "-",
        "expiry": (one.expiry or "-")[:10],
        "state": one.state.name.lower(),
    }
