"""``tickcast init``: begin a config file that starts as it is, with the settings one looks for first as comments."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from tickcast import config as settings
from tickcast.cli.toml_text import table, value
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.model.errors import UsageError

DEFAULT: Final = Path("tickcast.toml")
STARTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "BINANCE": ("BTC-USDT", "ETH-USDT"),
    "BINANCE_FUTURES": ("BTC-USDT-PERP", "ETH-USDT-PERP"),
    "OKX": ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP"),
    "COINBASE": ("BTC-USD", "ETH-USD"),
    "KRAKEN": ("BTC-USD", "ETH-USD"),
    "KRAKEN_FUTURES": ("BTC-USD-PERP-LINEAR", "ETH-USD-PERP-LINEAR"),
    "BITSTAMP": ("BTC-USD", "ETH-USD"),
    "BYBIT": ("BTC-USDT", "BTC-USDT-PERP"),
    "DERIBIT": ("BTC-USD-PERP", "ETH-USD-PERP"),
    "BITFINEX": ("BTC-USD", "ETH-USD"),
    "GEMINI": ("BTC-USD", "ETH-USD"),
    "HTX": ("BTC-USDT", "ETH-USDT"),
    "BITGET": ("BTC-USDT", "ETH-USDT"),
    "KUCOIN": ("BTC-USDT", "ETH-USDT"),
    "GATEIO": ("BTC-USDT", "ETH-USDT"),
    "BITMEX": ("BTC-USD-PERP", "BTC-USDT-PERP"),
    "CRYPTO_COM": ("BTC-USD", "ETH-USD"),
    "POLONIEX": ("BTC-USDT", "ETH-USDT"),
}
"""Symbols that each venue has traded for years, to begin with."""
FIRST: Final = ("BINANCE", "COINBASE", "KRAKEN")
SHOWN: Final[tuple[tuple[str, type[msgspec.Struct], tuple[str, ...]], ...]] = (
    ("gateway", GatewayConfig, ("host", "port", "hosts", "origins", "tls_certificate", "tls_key", "workers")),
    ("gateway.auth", AuthConfig, ("anonymous", "jwt_keys", "jwt_issuer", "jwt_audience", "connections_per_user_max")),
)
"""Settings that are shown as comments, with their defaults."""
FEED: Final = ("symbols", "depth", "on_demand", "dual_lines")
"""Settings of the first feed that are shown as comments."""
EXAMPLES: Final[Mapping[str, Any]] = {
    "hosts": ["prices.example"],
    "origins": ["https://app.example"],
    "tls_certificate": "/etc/letsencrypt/live/prices.example/fullchain.pem",
    "tls_key": "/etc/letsencrypt/live/prices.example/privkey.pem",
    "anonymous": True,
    "jwt_keys": ["keys/issuer.pem"],
    "jwt_issuer": "https://login.example",
    "jwt_audience": "prices",
    "dual_lines": ["BTC-USDT"],
    "depth": 50,
    "on_demand": True,
}
"""Values in place of defaults that show nothing."""
WIDTH: Final = 118
ABOUT: Final = """\
# tickcast: what this instance reads, and who may read it.
#
#   tickcast up --config {file}                 the venues themselves
#   tickcast up --config {file} --simulated     the same on this machine, without a network
#   tickcast config check {file}                what is wrong with this file, if anything
#
# A line that is commented out shows a default, or an example where there is none. Every setting there is, with its
# meaning: `tickcast config reference`; what is in force: `tickcast config show {file}`. A running instance takes
# changes of symbols with `tickcast reload`.
"""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT)
@click.option(
    "--venue", "venues", multiple=True, metavar="CODE", help="A venue to read (more than once); see: tickcast venues."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(*, file: Path, venues: tuple[str, ...], force: bool) -> None:
    """Write a commented config to FILE (default tickcast.toml): three crypto venues, or those of --venue.

    It starts as it is; nothing else is written, and nothing is started.
    """
    codes = tuple(dict.fromkeys(code.upper() for code in venues)) or FIRST
    unknown = [code for code in codes if code not in STARTERS]
    if unknown:
        raise UsageError(
            f"--venue: expected some of {', '.join(STARTERS)}, found {', '.join(unknown)}; nothing written. "
            "Exchanges that speak ITCH, PITCH or FIX need addresses of their own: docs/tutorial/first-ten-minutes.md"
        )
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text(file, codes))
    except FileExistsError:
        raise UsageError(f"{file} is there already and was left alone; name another file, or give --force") from None
    except OSError as wrong:
        raise UsageError(f"cannot write {file}: {wrong.strerror or wrong}") from wrong
    settings.load(file)  # what was written starts
    click.echo(f"wrote {file}: {', '.join(codes)}")
    click.echo(f"next: tickcast up --config {file} --simulated   (without --simulated: the venues themselves)")


def text(file: Path, codes: Sequence[str]) -> str:
    """Make the file's text."""
    parts = [ABOUT.format(file=file)]
    parts += [commented(name, kind, keys) for name, kind, keys in SHOWN]
    for number, code in enumerate(codes):
        feed = {"venue": code, "symbols": list(STARTERS[code])}
        parts.append(table(f"feeds.{code.lower().replace('_', '-')}", feed).rstrip("\n") + "\n")
        if not number:
            parts.append(lines(FeedConfig, FEED[1:]))
    parts.append(
        "# One price over several venues: by default that of each symbol, over all venues that list it.\n"
        f"# [securities]\n# BTC = {value([f'{code}:{STARTERS[code][0]}' for code in codes[:3]])}\n"
    )
    return "\n".join(parts)


def commented(name: str, kind: type[msgspec.Struct], keys: Sequence[str]) -> str:
    """A table whose settings are all comments."""
    return f"[{name}]\n{lines(kind, keys)}"


def lines(kind: type[msgspec.Struct], keys: Sequence[str]) -> str:
    """Settings as comments, each behind its meaning."""
    texts, defaults = settings.field_texts(kind), {field.name: field.default for field in msgspec.structs.fields(kind)}
    parts = []
    for key in keys:
        about = textwrap.wrap(texts[key].replace("``", "`"), WIDTH)
        parts += [f"# {line}" for line in about]
        parts += [f"# {key} = {value(EXAMPLES.get(key, defaults[key]))}", ""]
    return "\n".join(parts)
