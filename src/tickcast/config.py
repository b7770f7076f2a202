"""The root config: one TOML file for an instance, one frozen struct for each table, every value with its default."""

import ast
import inspect
import os
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from tickcast.bus.config import Config as BusConfig
from tickcast.fanout.config import Config as FanoutConfig
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.auth.admission import check_door
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.latest.config import Config as LatestConfig
from tickcast.model.errors import UsageError
from tickcast.model.symbols import SymbolError, split_name
from tickcast.normalise.config import Config as NormaliseConfig
from tickcast.ops.config import LatencyConfig, SupervisorConfig
from tickcast.ports import WATCHED_MAX
from tickcast.runtime.log import LogFormat
from tickcast.runtime.settings import Problem, describe_type, read_settings
from tickcast.venues.registry import codes, find_declared

FEED_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
DAY_S: Final = 86_400
RESERVED_NAMES: Final = ("core", "sim", "supervisor")
WORKER_NAME: Final = re.compile(r"gateway(\d{1,4})")
"""Names of the gateway's workers: no feed may be called so."""


class LoggingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the processes say in their logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lines below this level are not written."""
    format: LogFormat = "auto"
    """``json``, ``pretty``, or ``auto``: pretty on a terminal and JSON elsewhere."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instance: every table may be left out, and then has its defaults."""

    feeds: dict[str, FeedConfig] = {}
    """One table ``[feeds.NAME]`` for each feed; the name is that of its process."""
    securities: dict[str, tuple[str, ...]] = {}
    """What is one security though it is spelt differently: ``AAPL = ["XNAS:AAPL", "BINANCE:AAPL-USD"]``, the primary
    venue first. By default a security is the bare symbol."""
    normalise: NormaliseConfig = NormaliseConfig()
    bus: BusConfig = BusConfig()
    latest: LatestConfig = LatestConfig()
    fanout: FanoutConfig = FanoutConfig()
    gateway: GatewayConfig = GatewayConfig()
    latency: LatencyConfig = LatencyConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    logging: LoggingConfig = LoggingConfig()


def load(path: Path | str) -> Config:
    """Read an instance's config file.

    Raises:
        UsageError: a line for each thing wrong, with file, line, key, what was expected and what was found; or a
            password is not where the file says.
    """
    try:
        config = read_settings(path, Config, check=_problems)
    except UsageError as wrong:
        if isinstance(wrong.__cause__, FileNotFoundError):
            raise UsageError(f"{wrong}; name yours with --config, or begin one with `tickcast init`") from wrong
        raise
    feeds = {name: _with_password(name, feed) for name, feed in config.feeds.items()}
    return config if feeds == config.feeds else msgspec.structs.replace(config, feeds=feeds)


def _with_password(name: str, feed: FeedConfig) -> FeedConfig:
    """Fetch a feed's password from where it is kept."""
    if feed.password_file is not None:
        try:
            password = Path(feed.password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as wrong:
            what = wrong.strerror if isinstance(wrong, OSError) else "it is no UTF-8 text"
            raise UsageError(
                f"feeds.{name}.password_file: expected a file that holds the password, found none at "
                f"{feed.password_file}: {what}; nothing was started"
            ) from None
    elif feed.password_variable is not None:
        password = os.environ.get(feed.password_variable, "")
    else:
        return feed
    if not password:
        where = f"password_file {feed.password_file}" if feed.password_file else f"variable {feed.password_variable}"
        raise UsageError(f"feeds.{name}: expected a password in the {where}, found nothing; nothing was started")
    return msgspec.structs.replace(feed, password=password, password_file=None, password_variable=None)


def _problems(config: Config) -> Iterator[Problem]:
    try:
        check_door(config.gateway.auth, config.gateway.host)
    except UsageError as wrong:
        yield ("gateway", "host"), str(wrong)
    for name, feed in config.feeds.items():
        if not FEED_NAME.fullmatch(name) or name in RESERVED_NAMES or WORKER_NAME.fullmatch(name):
            yield (
                ("feeds", name),
                f"expected small letters, digits, - and _ (xnas), none of {', '.join(RESERVED_NAMES)}, gateway1",
            )
        yield from _feed_problems(name, feed)
    owners: dict[str, str] = {}
    for security, members in config.securities.items():
        where = ("securities", security)
        yield from _name_problems(where, security, venue=False)
        if not members:
            yield where, "expected at least one instrument, such as XNAS:AAPL, found none"
        for index, member in enumerate(members):
            yield from _name_problems((*where, index), member, venue=True)
            if owners.setdefault(member, security) != security:
                yield (*where, index), f"{member} belongs to {owners[member]} already"


def _feed_problems(name: str, feed: FeedConfig) -> Iterator[Problem]:
    ways = [way for way in ("password", "password_file", "password_variable") if getattr(feed, way)]
    if len(ways) > 1:
        yield ("feeds", name, ways[1]), f"expected one way to the password, found {' and '.join(ways)}"
    if feed.venue not in codes():
        yield ("feeds", name, "venue"), f'expected one of {", ".join(codes())}, found "{feed.venue}"'
    elif feed.on_demand and find_declared(feed.venue) is None:
        yield ("feeds", name, "on_demand"), f"a feed of {feed.venue} streams nothing on demand; leave it out"
    for key in feed.__struct_fields__:
        value = getattr(feed, key)
        if isinstance(value, int | float) and not value >= 0:  # not a number is not 0 or more either
            yield ("feeds", name, key), f"expected 0 or more, found {value:g}"
    if feed.on_demand_max == 0 or feed.on_demand_max > WATCHED_MAX:
        yield ("feeds", name, "on_demand_max"), f"expected 1 to {WATCHED_MAX}, found {feed.on_demand_max}"
    if feed.on_demand_linger_s > DAY_S:
        yield ("feeds", name, "on_demand_linger_s"), f"expected 0 to {DAY_S} s, found {feed.on_demand_linger_s:g}"


def _name_problems(where: tuple[str | int, ...], name: str, *, venue: bool) -> Iterator[Problem]:
    try:
        found, _ = split_name(name)
    except SymbolError as wrong:
        yield where, str(wrong)
        return
    if (found is not None) != venue:
        expected = (
            "an instrument with its venue, such as XNAS:AAPL" if venue else "a symbol without venue, such as AAPL"
        )
        yield where, f'expected {expected}, found "{name}"'


# ------------------------------------------------------------------ what there is to set


def schema() -> dict[str, Any]:
    """JSON Schema of the config file, each key described."""
    made = msgspec.json.schema(Config)
    _describe(made, made["$defs"], Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tickcast config", **made}


def _describe(node: dict[str, Any], components: Mapping[str, dict[str, Any]], kind: Any) -> None:
    if "$ref" in node:
        node = components[node["$ref"].rpartition("/")[2]]
    inner = _struct_in(kind)
    if inner is None:
        return
    if inner is not kind:  # a table of tables
        _describe(node["additionalProperties"], components, inner)
        return
    texts, hints = field_texts(inner), typing.get_type_hints(inner)
    for name, entry in node["properties"].items():
        _describe(entry, components, hints[name])
        text = texts.get(name) or (hints[name].__doc__ if _struct_in(hints[name]) is hints[name] else None)
        if text:
            entry["description"] = text


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    for found in (kind, *typing.get_args(kind)):
        if isinstance(found, type) and issubclass(found, msgspec.Struct):
            return found
    return None


def field_texts(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Field to the docstring below it, inherited ones too."""
    texts: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if issubclass(owner, msgspec.Struct) and owner is not msgspec.Struct:
            body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            assert isinstance(body, ast.ClassDef)  # noqa: S101  the source of a class is one
            for field, below in zip(body.body, body.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(below, ast.Expr)
                    and isinstance(below.value, ast.Constant)
                ):
                    texts[field.target.id] = " ".join(str(below.value.value).split())
    return texts


ABOUT: Final = """# Config file

One TOML file describes an instance: `tickcast up --config tickcast.toml`. Every table and key may be left out, unless
it says *required*. An unknown key, a wrong type or an impossible value is refused with its line, and nothing starts.
`tickcast config check FILE` does only that; `tickcast config show FILE` prints what is in force;
`tickcast config schema` prints the JSON Schema.

This page is made by `tickcast config reference`.
"""


def reference() -> str:
    """The reference of the config file, in Markdown; ``docs/reference/config.md`` is this text."""
    parts = [ABOUT]
    hints = typing.get_type_hints(Config)
    texts = field_texts(Config)
    for name, kind in hints.items():
        inner = _struct_in(kind)
        heading = f"[{name}.NAME]" if inner is not None and inner is not kind else f"[{name}]"
        parts.append(f"## `{heading}`\n")
        about = texts.get(name) or " ".join(str(kind.__doc__).split())
        parts.append(f"{_markdown(about)}\n")
        if inner is not None:
            parts.append(_key_table(inner))
            for key, below in _tables_in(inner).items():
                parts.append(f"## `[{name}.{key}]`\n")
                parts.append(f"{_markdown(field_texts(inner)[key])}\n")
                parts.append(_key_table(below))
    return "\n".join(parts)


def _tables_in(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Tables inside of a table, by key."""
    hints = typing.get_type_hints(kind)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, msgspec.Struct)}


def _key_table(kind: type[msgspec.Struct]) -> str:
    texts, hints = field_texts(kind), typing.get_type_hints(kind)
    rows = ["| key | is | default | meaning |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(kind):
        if field.name in _tables_in(kind):
            continue
        default = (
            "*required*" if field.required else f"`{_toml(field.default)}`" if field.default is not None else "none"
        )
        meaning = _markdown(texts.get(field.name, "")).replace("|", "\\|")
        rows.append(f"| `{field.encode_name}` | {describe_type(hints[field.name])} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r":[a-z]+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode().replace(",", ", ")


def as_toml(config: Config) -> str:
    """The config with every default written out, as TOML."""
    lines: list[str] = []
    for name, value in msgspec.to_builtins(config).items():
        inner = _tables_in(type(getattr(config, name))) if name != "feeds" else {}
        within = {f"{name}.{key}": item for key, item in value.items() if name == "feeds" or key in inner}
        tables = within if name == "feeds" else {name: value} | within
        for table, pairs in tables.items():
            lines.append(f"[{table}]")
            lines += [
                f"{_toml_key(key)} = {_toml(item)}"
                for key, item in pairs.items()
                if item is not None and f"{table}.{key}" not in tables
            ]
            lines.append("")
    return "\n".join(lines)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else msgspec.json.encode(key).decode()


def as_json(config: Config) -> str:
    """The config with every default written out, as JSON."""
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode()


def hide_secrets(config: Config) -> Config:
    """The config without passwords, to be shown. Keys of tokens are in files of their own, which it names."""
    feeds = {
        name: msgspec.structs.replace(feed, password="***") if feed.password else feed  # noqa: S106  it hides one
        for name, feed in config.feeds.items()
    }
    gateway = config.gateway
    url = urlsplit(gateway.socketio.redis_url)
    if url.password:
        port = f":{url.port}" if url.port else ""
        shown = url._replace(netloc=f"{url.username}:***@{url.hostname}{port}").geturl()
        gateway = msgspec.structs.replace(gateway, socketio=msgspec.structs.replace(gateway.socketio, redis_url=shown))
    return msgspec.structs.replace(config, feeds=feeds, gateway=gateway)
