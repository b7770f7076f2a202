import tomllib
from pathlib import Path

import pytest

from tickcast import config
from tickcast.cli.simulated import write
from tickcast.model.errors import UsageError
from tickcast.sim import config as sim

EXAMPLE = Path(__file__).parents[2] / "examples" / "crypto.toml"


def test_the_example_is_read_as_it_is_with_other_addresses(tmp_path: Path) -> None:
    files = write(EXAMPLE, tmp_path)
    wanted, made = config.load(EXAMPLE), config.load(files.instance)
    assert made.feeds.keys() == wanted.feeds.keys()
    assert made.securities == wanted.securities
    venues = sim.load(files.sim).venues
    assert set(venues) == {feed.venue for feed in wanted.feeds.values()}
    for name, feed in made.feeds.items():
        assert feed.symbols == wanted.feeds[name].symbols
        assert (feed.url or "").startswith("ws://127.0.0.1:")
        assert (feed.rest_url or "").startswith("http://127.0.0.1:")
        assert str(getattr(venues[feed.venue], "address", "")) in str(feed.url)


def test_addresses_of_the_real_venue_give_way_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[gateway]\nport = 0\n[feeds.a]\nvenue = "OKX"\nurl = "wss://real"\ndepth = 7\ncapture = true\n')
    made = tomllib.loads(write(path, tmp_path / "demo").instance.read_text())
    assert made["gateway"] == {"port": 0}
    feed = made["feeds"]["a"]
    assert (feed["depth"], feed["capture"]) == (7, True)
    assert feed["url"].startswith("ws://127.0.0.1:")


def test_two_feeds_of_one_venue_read_one_simulated_venue(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[feeds.a]\nvenue = "OKX"\nsymbols = ["BTC-USDT"]\n[feeds.b]\nvenue = "OKX"\n')
    feeds = tomllib.loads(write(path, tmp_path / "demo").instance.read_text())["feeds"]
    assert feeds["a"]["url"] == feeds["b"]["url"]


@pytest.mark.parametrize("text", ["", '[feeds.a]\nvenue = "ELSEWHERE"\n'])
def test_what_cannot_be_simulated_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="--simulated: expected feeds of some of"):
        write(path, tmp_path / "demo")


def test_files_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot write the files of --simulated"):
        write(EXAMPLE, tmp_path / "taken")
