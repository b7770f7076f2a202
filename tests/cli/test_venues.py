import json

import pytest
from click.testing import CliRunner

from tickcast.cli.venues import facts, rows, venues
from tickcast.model.errors import UsageError
from tickcast.venues.declared.venue import Venue
from tickcast.venues.registry import codes, find_declared


def run(*arguments: str) -> str:
    done = CliRunner().invoke(venues, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_every_venue_is_listed_with_what_proves_it() -> None:
    listed = json.loads(run("--json"))
    assert [one["code"] for one in listed] == codes()
    assert all(one["proof"] and one["title"] for one in listed)
    shown = run()
    assert all(code in shown for code in codes())


@pytest.mark.parametrize("code", [code for code in codes() if find_declared(code)])
def test_a_declared_venue_says_rule_scope_limits_and_addresses(code: str) -> None:
    found = facts(code)
    assert found.scope in {"instrument", "channel", "connection"}
    assert found.chain
    assert found.snapshot
    assert found.url.startswith("wss://")
    assert found.rest_url.startswith("https://")
    assert "channels a connection" in found.limits[0]
    assert found.gives
    assert found.messages


def test_a_counter_of_the_connection_is_the_scope() -> None:
    found = facts("COINBASE")
    assert (found.scope, found.chain) == ("connection", "counter of all messages (sequence_num)")


def test_it_says_how_missed_trades_are_proved() -> None:
    assert facts("KRAKEN_FUTURES").missed_trades.startswith("over REST, proved by consecutive numbers: the last seven")
    assert facts("BITSTAMP").missed_trades.startswith("over REST, as far as the venue tells: the last minute")
    assert facts("XNAS").missed_trades == ""


def test_one_venue_has_a_page_of_its_own() -> None:
    shown = run("okx")
    assert "prevSeqId" in shown
    assert "wss://ws.okx.com:8443" in shown
    assert "COINBASE" not in shown


def test_an_unknown_venue_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected one of"):
        run("NOWHERE")


def test_rows_without_anything_to_say_are_left_out() -> None:
    assert [name for name, _ in rows(facts("XNAS"))] == ["proof", "a break concerns"]


def test_declared_venues_are_classes_of_one_base() -> None:
    assert all(issubclass(found, Venue) for code in codes() if (found := find_declared(code)))
