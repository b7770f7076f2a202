"""Settings of the simulated exchanges and their loader."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from tickcast.model.errors import UsageError


class SoupItchConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="soup_itch"
):
    """A market that speaks ITCH 5.0 over SoupBinTCP 3.00."""

    address: str = "127.0.0.1:0"
    """Where to listen; port 0 takes a free one."""
    rate: float | None = None
    """Messages a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 5.0
    """The flow is made in slices of this length."""
    username: str = ""
    """Expected at login; empty admits everybody."""
    password: str = ""
    """Expected at login when ``username`` is set."""
    timezone: str = "America/New_York"
    """Midnight of this zone is where the ITCH timestamps count from."""
    history_bytes_max: int = 64 * 1024 * 1024
    """Bytes of sequenced packets kept for resume and for slow clients."""
    unsent_bytes_max: int = 1024 * 1024
    """Bytes handed to one client's transport before it must drain."""
    clients_max: int = 64
    """Connections at a time; further ones are closed at once."""
    rare_every_s: float = 7.0
    """One message of a rare type (imbalance, broken trade, LULD collar, ...) this often; 0 = never."""


class MoldItchConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="mold_itch"
):
    """A market that speaks ITCH 5.0 over MoldUDP64 1.00: the same packets on every line, and a re-request server."""

    lines: tuple[str, ...] = ("127.0.0.1:26411", "127.0.0.1:26412")
    """Where the A line, the B line (and further ones) go: a host or a multicast group, and a port."""
    rerequest: str = "127.0.0.1:0"
    """Where the re-request server listens (UDP); port 0 takes a free one."""
    interface: str = ""
    """Address (IPv6: name) of the network interface multicast leaves by; empty = the system's choice."""
    ttl: int = 1
    """Routers that multicast packets may pass, plus one."""
    lag_b_ms: float = 0.0
    """The B line, and further ones, are so much later than the A line."""
    packet_bytes_max: int = 1400
    """Bytes of a packet at most; messages are not split."""
    rate: float | None = None
    """Messages a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 5.0
    """The flow is made in slices of this length."""
    timezone: str = "America/New_York"
    """Midnight of this zone is where the ITCH timestamps count from."""
    history_bytes_max: int = 64 * 1024 * 1024
    """Bytes of packets kept for requests."""
    roll_when_full: bool = True
    """A new session begins before the history is full, so that every message of the present one can be had; else the
    oldest are forgotten."""
    rare_every_s: float = 7.0
    """One message of a rare type (imbalance, broken trade, LULD collar, ...) this often; 0 = never."""


class PitchConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="pitch"
):
    """A market that speaks Multicast PITCH: A and B lines of several units, gap request and spin servers."""

    units: int = 4
    """The symbols are dealt over so many units; each has sequence numbers of its own."""
    lines_a: tuple[str, ...] = ("127.0.0.1:26421",)
    """Where the A line goes, a host or a multicast group, and a port; the units are dealt over several."""
    lines_b: tuple[str, ...] = ("127.0.0.1:26422",)
    """Where the B line goes."""
    gap_lines: tuple[str, ...] = ("127.0.0.1:26423", "127.0.0.1:26424")
    """Where the gap request server sends what was asked for: its A line, its B line."""
    gap_address: str = "127.0.0.1:0"
    """Where the gap request server listens (TCP); port 0 takes a free one."""
    spin_address: str = "127.0.0.1:0"
    """Where the spin server of all units listens (TCP); port 0 takes a free one."""
    interface: str = ""
    """Address (IPv6: name) of the network interface multicast leaves by; empty = the system's choice."""
    ttl: int = 1
    """Routers that multicast packets may pass, plus one."""
    lag_b_ms: float = 0.0
    """The B line is so much later than the A line."""
    packet_bytes_max: int = 1400
    """Bytes of a packet at most; messages are not split."""
    rate: float | None = None
    """Messages a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 5.0
    """The flow is made in slices of this length."""
    timezone: str = "America/New_York"
    """Midnight of this zone is where the PITCH seconds count from."""
    history_bytes_max: int = 64 * 1024 * 1024
    """Bytes of packets kept for gap requests, over all units."""
    session: str = ""
    """SessionSubId expected at a login; empty admits every one."""
    username: str = ""
    """Expected at a login; empty admits everybody."""
    password: str = ""
    """Expected at a login when ``username`` is set."""
    gap_count_max: int = 1000
    """Messages that one gap request may ask for."""
    gap_requests_per_s: int = 320
    """Gap requests of one connection in a second."""
    gap_requests_per_minute: int = 1500
    """Gap requests of one connection in a minute."""
    gap_requests_per_day: int = 100_000
    """Gap requests of one connection in 24 hours."""
    spins_per_minute: int = 120
    """Spins of one connection in a minute."""
    silence_max_s: float = 5.0
    """A client of the TCP servers that sends nothing for so long, not even a heartbeat, is closed; 0 = never."""
    unsent_bytes_max: int = 1024 * 1024
    """Bytes handed to one client's transport before it must drain."""
    clients_max: int = 64
    """Connections of each TCP server at a time; further ones are closed at once."""
    rare_every_s: float = 7.0
    """One message of a rare type (auction update, broken trade, ...) this often; 0 = never."""


class BinanceConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="binance"
):
    """A market that speaks Binance's spot dialect: WebSocket streams and REST."""

    address: str = "127.0.0.1:0"
    """Where the WebSocket server listens; port 0 takes a free one."""
    rest_address: str = "127.0.0.1:0"
    """Where the REST server listens; port 0 takes a free one."""
    rate: float | None = None
    """Order events a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 5.0
    """The flow is made in slices of this length; one is encoded in one go, and other venues wait for it."""
    ping_s: float = 20.0
    """The server pings this often; a client that has not answered when the next is due is closed."""
    weight_per_minute: int = 6000
    """Request weight that one address may use in a minute before 429."""
    streams_max: int = 1024
    """Streams a connection may subscribe."""
    requests_per_s: int = 5
    """Requests a second over a WebSocket before it is closed (the documented limit of the real venue)."""
    unsent_bytes_max: int = 8 * 1024 * 1024
    """Bytes that may wait for one client before it is closed as slow."""
    clients_max: int = 256
    """Connections at a time."""
    depth_max: int = 5000
    """Most levels a side in a REST snapshot."""


class FixConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="fix"):
    """A market that speaks FIX 4.4: price levels and trades over a session with sequence numbers."""

    address: str = "127.0.0.1:0"
    """Where to listen; port 0 takes a free one."""
    rate: float | None = None
    """Order events a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 10.0
    """The flow is made in slices of this length; a price level that changes twice in one is told once."""
    comp_id: str = ""
    """The exchange's own CompID (49 of what it sends); empty = the venue's name."""
    username: str = ""
    """Expected at logon (553); empty admits everybody."""
    password: str = ""
    """Expected at logon (554) when ``username`` is set."""
    resend: Literal["messages", "gap_fill"] = "messages"
    """Answer to a resend request: what is still stored again with PossDupFlag, or a gap fill over everything."""
    time_digits: Literal[3, 6, 9] = 9
    """Digits of the fraction of a second in every time."""
    entry_time: Literal["entry", "transact"] = "entry"
    """Times of market data entries: MDEntryDate and MDEntryTime (272, 273), or TransactTime (60)."""
    entries_max: int = 60
    """Entries of one incremental refresh; more are split over several messages (LastFragment, 893)."""
    store_messages_max: int = 20_000
    """Messages stored for each peer to be sent again."""
    store_bytes_max: int = 4 * 1024 * 1024
    """Bytes stored for each peer to be sent again."""
    unsent_bytes_max: int = 16 * 1024 * 1024
    """Bytes that may wait for one client before it is closed as slow."""
    clients_max: int = 64
    """Connections at a time; further ones are closed at once."""
    subscriptions_max: int = 1024
    """Market data subscriptions that one client may have open."""
    clock_error_max_s: float = 120.0
    """A message whose SendingTime (52) is further off than this ends the session; 0 = not checked."""
    break_every_s: float = 7.0
    """One recent trade is broken (279=2 with its TradeID) this often; 0 = never."""


class XsimConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect", tag="xsim"
):
    """A market that has a polled REST endpoint and nothing else."""

    address: str = "127.0.0.1:0"
    """Where the REST server listens; port 0 takes a free one."""
    rate: float | None = None
    """Order events a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 50.0
    """The flow is made in slices of this length."""
    requests_per_s: float = 20.0
    """Requests a second that one address may send before 429."""
    burst: int = 40
    """Requests that may come at once."""
    trades_max: int = 100_000
    """Trades kept for cursors; an older cursor gets 410."""
    stocks: int = 100
    """How many of the first stocks are listed here too."""
    pairs: int = 20
    """How many of the first crypto pairs are listed here too."""


class CryptoConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="dialect"):
    """A market that speaks the dialect of a real crypto venue: WebSocket streams and REST."""

    address: str = "127.0.0.1:0"
    """Where the WebSocket server listens; port 0 takes a free one."""
    rest_address: str = "127.0.0.1:0"
    """Where the REST server listens; port 0 takes a free one."""
    rate: float | None = None
    """Order events a second; by default the venue's share of the market's rate."""
    quantum_ms: float = 10.0
    """The flow is made in slices of this length; one is encoded in one go, and other venues wait for it."""
    pairs: int = 20
    """Of so many pairs of the market at most it lists spot, perpetuals, futures or options; 0 = all."""
    ping_s: float = 20.0
    """Where the venue sends pings of the WebSocket protocol: this often; a client that has not answered when the next
    is due is closed."""
    weight: int | None = None
    """REST weight that one address may use in the venue's window before 429; absent = as the real venue, 0 = any."""
    unsent_bytes_max: int = 8 * 1024 * 1024
    """Bytes that may wait for one client before it is closed as slow."""
    clients_max: int = 256
    """Connections at a time."""


class BinanceFuturesConfig(CryptoConfig, frozen=True, kw_only=True, tag="binance_futures"):
    """BINANCE_FUTURES: USD-margined perpetuals and quarterly futures."""


class OkxConfig(CryptoConfig, frozen=True, kw_only=True, tag="okx"):
    """OKX: spot, swaps, futures, options."""


class BybitConfig(CryptoConfig, frozen=True, kw_only=True, tag="bybit"):
    """BYBIT: spot and linear contracts."""


class CoinbaseConfig(CryptoConfig, frozen=True, kw_only=True, tag="coinbase"):
    """COINBASE: spot."""


class KrakenConfig(CryptoConfig, frozen=True, kw_only=True, tag="kraken"):
    """KRAKEN: spot, with checksums."""


class BitstampConfig(CryptoConfig, frozen=True, kw_only=True, tag="bitstamp"):
    """BITSTAMP: spot and perpetuals, whole books and differences without numbers."""


class KrakenFuturesConfig(CryptoConfig, frozen=True, kw_only=True, tag="kraken_futures"):
    """KRAKEN_FUTURES: inverse and linear perpetuals, dated futures."""


class DeribitConfig(CryptoConfig, frozen=True, kw_only=True, tag="deribit"):
    """DERIBIT: perpetuals, futures, options."""


class BitfinexConfig(CryptoConfig, frozen=True, kw_only=True, tag="bitfinex"):
    """BITFINEX: spot and perpetuals, by channel numbers, with checksums."""


class GeminiConfig(CryptoConfig, frozen=True, kw_only=True, tag="gemini"):
    """GEMINI: spot and perpetuals; mark prices over a second address."""


class BitgetConfig(CryptoConfig, frozen=True, kw_only=True, tag="bitget"):
    """BITGET: spot and perpetuals, with checksums."""


class HtxConfig(CryptoConfig, frozen=True, kw_only=True, tag="htx"):
    """HTX: spot, linear and inverse swaps; every frame gzip."""


class KucoinConfig(CryptoConfig, frozen=True, kw_only=True, tag="kucoin"):
    """KUCOIN: spot, perpetuals and a future, behind tokens."""


class GateioConfig(CryptoConfig, frozen=True, kw_only=True, tag="gateio"):
    """GATEIO: spot and perpetuals."""


class BitmexConfig(CryptoConfig, frozen=True, kw_only=True, tag="bitmex"):
    """BITMEX: inverse, linear and quanto contracts, books by id."""


class CryptoComConfig(CryptoConfig, frozen=True, kw_only=True, tag="crypto_com"):
    """CRYPTO_COM: spot, perpetuals and a future, heartbeats that want an answer."""


class PoloniexConfig(CryptoConfig, frozen=True, kw_only=True, tag="poloniex"):
    """POLONIEX: spot, books of twenty levels that name their predecessor."""


VenueConfig = (
    SoupItchConfig
    | FixConfig
    | MoldItchConfig
    | PitchConfig
    | BinanceConfig
    | XsimConfig
    | BinanceFuturesConfig
    | OkxConfig
    | BybitConfig
    | CoinbaseConfig
    | KrakenConfig
    | KrakenFuturesConfig
    | BitstampConfig
    | DeribitConfig
    | BitfinexConfig
    | GeminiConfig
    | HtxConfig
    | BitgetConfig
    | KucoinConfig
    | GateioConfig
    | BitmexConfig
    | CryptoComConfig
    | PoloniexConfig
)


class MarketConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one market behind all venues."""

    stock_share: float = 0.8
    """This part of ``symbols`` are stocks, the rest crypto pairs."""
    orders_per_side: int = 12
    """Orders a side that a book may hold."""
    moves_per_symbol_per_s: float = 0.3
    """How often the fair price of a symbol moves by a step (bounded to a fiftieth of the rate over all symbols)."""
    halt_every_s: float = 45.0
    """A random stock is halted this often, on all venues; 0 = never."""
    halt_min_s: float = 10.0
    """Shortest halt."""
    halt_max_s: float = 20.0
    """Longest halt."""
    open_after_ms: float = 300.0
    """From start to the opening cross."""
    close_after_s: float = 0.0
    """From start to the closing cross, after which nothing trades; 0 = never."""
    tokenised: int = 5
    """How many of the first stocks are also listed on crypto venues, quoted in USD."""


class RecordedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recorded real bytes in place of the market; off while ``path`` is empty."""

    path: str = ""
    """A folder (or one file) of captures."""
    speed: float = 1.0
    """Times the recorded speed; 0 = as fast as the clients take it."""
    loop: bool = True
    """Begin again at the end."""
    max_gap_ms: float = 1000.0
    """A longer quiet time in the recording is shortened to this (before ``speed`` applies)."""
    addresses: dict[str, dict[str, str]] = {}
    """Of captured feeds: feed to recorded address to the ``host:port`` where it is played; absent = a free port,
    of UDP lines where they went."""


def default_venues() -> dict[str, VenueConfig]:
    """Return three venues that a client can be told of by one address each, on free ports."""
    return {"XNAS": SoupItchConfig(), "BINANCE": BinanceConfig(), "XSIM": XsimConfig()}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything ``tickcast sim`` can be told."""

    seed: int = 1
    """Same seed, same market, same bytes."""
    rate: float = 20_000.0
    """Order events a second over all venues; an event is one ITCH message, one book change or one trade."""
    symbols: int = 500
    """Stocks and crypto pairs together, up to 50,000."""
    admin: str = "127.0.0.1:0"
    """Where the control endpoint listens; port 0 takes a free one."""
    previous_close: str = ""
    """Write a CSV ``symbol,prev_close`` of all symbols to this path at start."""
    market: MarketConfig = MarketConfig()
    """The market behind the venues."""
    recorded: RecordedConfig = RecordedConfig()
    """Playback in place of the market."""
    venues: dict[str, VenueConfig] = msgspec.field(default_factory=default_venues)
    """Venues by name; ``dialect`` is ``soup_itch``, ``mold_itch``, ``pitch``, ``fix``, ``xsim``, ``binance``,
    ``binance_futures``, ``okx``, ``bybit``, ``coinbase``, ``kraken``, ``kraken_futures``, ``bitstamp``, ``bitfinex``,
    ``gemini``, ``deribit``, ``htx``, ``bitget``, ``kucoin``, ``gateio``,
    ``bitmex``, ``crypto_com`` or ``poloniex``."""


SYMBOLS_MAX = 50_000
RATE_SHARES = {"soup_itch": 0.85, "fix": 0.05, "mold_itch": 0.3, "pitch": 0.3, "binance": 0.12, "xsim": 0.03}


def venue_rates(config: Config) -> dict[str, float]:
    """Return events a second of each venue: its own ``rate``, or its dialect's share of the whole."""
    tags = {name: str(venue.__struct_config__.tag) for name, venue in config.venues.items()}
    whole = sum(RATE_SHARES.get(tag, 0.1) for tag in tags.values()) or 1.0
    return {
        name: venue.rate if venue.rate is not None else config.rate * RATE_SHARES.get(tags[name], 0.1) / whole
        for name, venue in config.venues.items()
    }


def load(path: Path) -> Config:
    """Read a TOML file.

    Raises:
        UsageError: no such file, not TOML, an unknown key, a wrong type or a value out of range; names it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"expected a readable config file, found {path}: {error.strerror}; nothing started") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected TOML, found {error}; nothing started") from error
    return from_mapping(raw, source=str(path))


def from_mapping(raw: dict[str, Any], *, source: str = "config") -> Config:
    """Check a parsed config.

    Raises:
        UsageError: names the key and what is allowed.
    """
    plain = {name: value for name, value in raw.items() if name not in {"market", "recorded", "venues"}}
    config: Config = _convert(plain, Config, source=source, place="")
    sections: dict[str, Any] = {}
    for name, struct in (("market", MarketConfig), ("recorded", RecordedConfig)):
        if name in raw:
            sections[name] = _convert(raw[name], struct, source=source, place=f"{name}.")
    if "venues" in raw:
        venues = _convert(raw["venues"], dict[str, dict[str, Any]], source=source, place="venues.")
        sections["venues"] = {
            name: _convert(venue, VenueConfig, source=source, place=f"venues.{name}.") for name, venue in venues.items()
        }
    config = msgspec.structs.replace(config, **sections)
    check(config, source=source)
    return config


def check(config: Config, *, source: str = "config") -> None:
    """Check ranges.

    Raises:
        UsageError: names the key, what is allowed and what was found.
    """
    numbers = (
        ("symbols", config.symbols, 1, SYMBOLS_MAX),
        ("rate", config.rate, 0, 10_000_000),
        ("market.orders_per_side", config.market.orders_per_side, 2, 200),
        ("market.stock_share", config.market.stock_share, 0, 1),
        ("recorded.speed", config.recorded.speed, 0, 1_000_000),
        ("recorded.max_gap_ms", config.recorded.max_gap_ms, 0, 86_400_000),
    )
    for name, value, low, high in numbers:
        if not low <= value <= high:
            raise UsageError(f"{source}: {name} must be between {low} and {high}, found {value}; nothing started")
    for name, venue in config.venues.items():
        if not 0.1 <= venue.quantum_ms <= 10_000:
            raise UsageError(
                f"{source}: venues.{name}.quantum_ms must be between 0.1 and 10000, found {venue.quantum_ms};"
                " nothing started"
            )
        for address in _addresses(venue):
            split_address(address, source=f"{source}: venues.{name}")
        if isinstance(venue, MoldItchConfig | PitchConfig):
            _check_lines(name, venue, source=source)
    split_address(config.admin, source=f"{source}: admin")


def _addresses(venue: VenueConfig) -> tuple[str, ...]:
    if isinstance(venue, MoldItchConfig):
        return (*venue.lines, venue.rerequest)
    if isinstance(venue, PitchConfig):
        return (*venue.lines_a, *venue.lines_b, *venue.gap_lines, venue.gap_address, venue.spin_address)
    return (venue.address, venue.rest_address) if isinstance(venue, BinanceConfig | CryptoConfig) else (venue.address,)


def _check_lines(name: str, venue: MoldItchConfig | PitchConfig, *, source: str) -> None:
    numbers = [
        ("packet_bytes_max", venue.packet_bytes_max, 100, 65_000),
        ("ttl", venue.ttl, 0, 255),
        ("lag_b_ms", venue.lag_b_ms, 0, 10_000),
    ]
    if isinstance(venue, PitchConfig):
        numbers += [("units", venue.units, 1, 255), ("gap_lines", len(venue.gap_lines), 0, 26)]
        numbers += [("gap_count_max", venue.gap_count_max, 1, 65_535)]
    else:
        numbers += [("lines", len(venue.lines), 0, 26)]
    for key, value, low, high in numbers:
        if not low <= value <= high:
            raise UsageError(
                f"{source}: venues.{name}.{key} must be between {low} and {high}, found {value}; nothing started"
            )


def split_address(address: str, *, source: str) -> tuple[str, int]:
    """Split ``host:port``.

    Raises:
        UsageError: not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{source}: expected an address such as 127.0.0.1:26400, found {address!r}; nothing started")
    return host, int(port)


def _convert(raw: Any, struct: Any, *, source: str, place: str) -> Any:
    """Check one table; an unknown key is named with those that are allowed."""
    try:
        return msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        text = f"{place.rstrip('.') or 'top level'}: {error}"
        unknown = str(error).partition("unknown field `")[2].partition("`")[0]
        if unknown:
            known = {one.__struct_config__.tag: one for one in VenueConfig.__args__}
            found = known[raw["dialect"]] if struct is VenueConfig else struct
            text = f"unknown key {place}{unknown}; allowed here: {', '.join(found.__struct_fields__)}"
        raise UsageError(f"{source}: {text}; nothing started") from error
