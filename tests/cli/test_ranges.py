"""Numbers out of range are refused by their option, before anything is started or written."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tickcast.cli.main import cli
from tickcast.cli.ranges import EVENT_RATE, PORT, SPEED, SYMBOL_COUNT


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("demo", "--rate", "-5"),
        ("demo", "--rate", "0"),
        ("demo", "--rate", "nan"),
        ("demo", "--rate", "10000001"),
        ("demo", "--symbols", "0"),
        ("demo", "--symbols", "50001"),
        ("demo", "--port", "70000"),
        ("demo", "--port", "-1"),
        ("demo", "--speed", "-1"),
        ("demo", "--speed", "inf"),
        ("up", "--port", "70000"),
        ("run core", "--port", "65536"),
        ("sim", "--rate", "-5"),
        ("sim", "--symbols", "1"),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_option(
    command: str, option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [*command.split(), option, value])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PORT, "0", 0),
        (PORT, "65535", 65_535),
        (EVENT_RATE, "0.5", 0.5),
        (EVENT_RATE, "10000000", 10_000_000),
        (SYMBOL_COUNT, "2", 2),
        (SYMBOL_COUNT, "50000", 50_000),
        (SPEED, "0", 0),
    ],
)
def test_the_ends_of_a_range_are_in_it(kind: click.ParamType[float], text: str, value: float) -> None:
    assert kind.convert(text, None, None) == value
