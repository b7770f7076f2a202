"""Where ``watch`` and ``get`` take the token from."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tickcast.cli.instance import TOKEN_VARIABLE, token_option
from tickcast.model.errors import UsageError


@click.command()
@token_option
def show(token: str | None) -> None:
    """Print it."""
    click.echo(repr(token))


def test_the_file_counts_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert CliRunner().invoke(show, []).output == "None\n"
    monkeypatch.setenv(TOKEN_VARIABLE, "from-the-environment")
    assert CliRunner().invoke(show, []).output == "'from-the-environment'\n"
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    assert CliRunner().invoke(show, ["--token-file", str(file)]).output == "'from-the-file'\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read"),
        (b"", "one line of ASCII"),
        (b"two\nlines", "one line of ASCII"),
        (b"\xff", "it is no text"),
    ],
)
def test_a_file_without_a_token_is_refused_and_not_shown(tmp_path: Path, content: bytes | None, text: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    wrong = CliRunner().invoke(show, ["--token-file", str(file)]).exception
    assert isinstance(wrong, UsageError)
    assert text in str(wrong)
    assert "lines" not in str(wrong)
