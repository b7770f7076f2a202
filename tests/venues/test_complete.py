"""Each declared venue stands wherever one is expected: what is missing for a new one is named here."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest
from tests.docs.venues import RECORDED
from tests.faults.test_crypto_drift import CHANNELS

from tickcast.cli.demo_market import EXCHANGES
from tickcast.sim.config import VenueConfig
from tickcast.sim.crypto.voices import VOICES
from tickcast.venues.registry import VENUES, find_declared

ROOT = Path(__file__).parents[2]
CODES = [code for code in VENUES if find_declared(code) is not None]


def places() -> dict[str, set[str]]:
    """Where a venue must stand, and the codes that stand there."""
    feeds = tomllib.loads((ROOT / "examples" / "crypto.toml").read_text(encoding="utf-8"))["feeds"]
    tags = {str(one.__struct_config__.tag) for one in get_args(VenueConfig)}
    words = {
        "src/tickcast/sim/crypto/voices.py": set(VOICES),
        "src/tickcast/sim/config.py, a config of its own and in VenueConfig": tags,
        "tests/faults/test_crypto_drift.py, CHANNELS": set(CHANNELS),
        "src/tickcast/venues/CODE/NOTES.md": {one.parent.name for one in ROOT.glob("src/tickcast/venues/*/NOTES.md")},
        "tests/venues/CODE": {one.parent.name for one in ROOT.glob("tests/venues/*/test_*.py")},
        "tests/sim/crypto": {
            one.stem.removeprefix("test_").removesuffix("_voice") for one in ROOT.glob("tests/sim/crypto/test_*.py")
        },
    }
    return {place: {word.upper() for word in found} for place, found in words.items()} | {
        "src/tickcast/cli/demo_market.py, EXCHANGES": set(EXCHANGES),
        "examples/crypto.toml": {feed["venue"] for feed in feeds.values()},
        "tests/docs/venues.py, RECORDED": {code for code, _, _ in RECORDED},
        "bench/crypto.py, FILES": standing_in("bench/crypto.py", '    "{}": ('),
        "README.md, the table of venues": standing_in("README.md", " {},") | standing_in("README.md", " {} |"),
    }


def standing_in(page: str, form: str) -> set[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return {code for code in CODES if form.format(code) in text}


@pytest.mark.parametrize("code", CODES)
def test_a_venue_stands_wherever_one_is_expected(code: str) -> None:
    missing = [place for place, found in places().items() if code not in found]
    assert missing == [], f"{code} is missing there"


def test_the_readme_counts_them() -> None:
    numbers = ("seventeen", "eighteen", "nineteen", "twenty", "twenty-one", "twenty-two", "twenty-three", "twenty-four")
    word = numbers[len(CODES) - 17]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"## {word.title()} crypto venues" in text
    assert f"[{word} crypto venues]" in text
