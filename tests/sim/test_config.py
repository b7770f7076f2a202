"""What a config may say, and what is said about one that may not."""

from pathlib import Path

import pytest

from tickcast.model.errors import UsageError
from tickcast.sim.config import BinanceConfig, Config, SoupItchConfig, from_mapping, load, venue_rates


def test_defaults_are_three_venues_on_free_ports() -> None:
    config = from_mapping({})
    assert list(config.venues) == ["XNAS", "BINANCE", "XSIM"]
    assert {getattr(venue, "address", "") for venue in config.venues.values()} == {"127.0.0.1:0"}


def test_venues_are_told_apart_by_dialect(tmp_path: Path) -> None:
    path = tmp_path / "sim.toml"
    path.write_text(
        'seed = 7\nrate = 1000\n[venues.XNAS]\ndialect = "soup_itch"\naddress = "127.0.0.1:26400"\nrate = 10.5\n'
        '[venues.OTHER]\ndialect = "binance"\nping_s = 5\n'
    )
    config = load(path)
    assert config.seed == 7
    assert config.venues == {
        "XNAS": SoupItchConfig(address="127.0.0.1:26400", rate=10.5),
        "OTHER": BinanceConfig(ping_s=5),
    }


def test_rates_add_up_and_a_venues_own_wins() -> None:
    rates = venue_rates(Config(rate=1000.0))
    assert sum(rates.values()) == pytest.approx(1000.0)
    assert rates["XNAS"] > rates["BINANCE"] > rates["XSIM"] > 0
    assert venue_rates(Config(rate=1000.0, venues={"A": SoupItchConfig(rate=3.0)})) == {"A": 3.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sede = 1", "unknown key sede; allowed here: seed, rate, symbols"),
        ("[market]\nhalts = 1", "unknown key market.halts; allowed here: stock_share"),
        (
            '[venues.XNAS]\ndialect = "soup_itch"\nadress = "x"',
            "unknown key venues.XNAS.adress; allowed here: address, rate",
        ),
        (
            '[venues.B]\ndialect = "binance"\npings = 1',
            "unknown key venues.B.pings; allowed here: address, rest_address",
        ),
        ('[venues.XNAS]\ndialect = "telex"', "dialect"),
        ("[venues.XNAS]", "dialect"),
        ('seed = "one"', "seed"),
        ("symbols = 0", "symbols must be between 1 and 50000, found 0"),
        ("rate = -1", "rate must be between"),
        ('admin = "nowhere"', "expected an address such as 127.0.0.1:26400, found 'nowhere'"),
        ('[venues.B]\ndialect = "binance"\nrest_address = "127.0.0.1:99999"', "venues.B"),
        ('[venues.X]\ndialect = "xsim"\nquantum_ms = 0', "venues.X.quantum_ms must be between"),
        ('[venues.M]\ndialect = "mold_itch"\nlines = ["nowhere"]', "venues.M: expected an address"),
        ('[venues.M]\ndialect = "mold_itch"\npacket_bytes_max = 50', "venues.M.packet_bytes_max must be between 100"),
        ('[venues.M]\ndialect = "mold_itch"\nlag_b_ms = -1', "venues.M.lag_b_ms must be between"),
        ('[venues.P]\ndialect = "pitch"\nunits = 0', "venues.P.units must be between 1 and 255, found 0"),
        ('[venues.P]\ndialect = "pitch"\ngap_lines = ["127.0.0.1"]', "venues.P: expected an address"),
        ('[venues.P]\ndialect = "pitch"\ngap_count_max = 70000', "venues.P.gap_count_max must be between"),
        ('[venues.P]\ndialect = "pitch"\nlines = []', "unknown key venues.P.lines; allowed here: units, lines_a"),
        ("seed = ", "expected TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "sim.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as wrong:
        load(path)
    assert says in str(wrong.value)
    assert str(path) in str(wrong.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "none.toml")
