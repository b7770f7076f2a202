"""Deribit's recorded messages: every single one of other projects' collections is understood."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.venues.captures import ROOT, capture, session

from tickcast import _native
from tickcast.model.record import Kind, State, records_from
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Unknown
from tickcast.venues.deribit.naming import named
from tickcast.venues.deribit.venue import DeribitVenue

pytestmark = pytest.mark.captures


def venue() -> DeribitVenue:
    return DeribitVenue(VenueConfig(venue="DERIBIT"))


def singles() -> Iterator[bytes]:
    """Frames that other projects keep for their tests."""
    for name in ("tardis-node/deribit.jsonl", "crypto-msg-parser/deribit.jsonl"):
        for line in capture(name).read_text().splitlines():
            record = json.loads(line)
            yield (record["raw"] if "raw" in record else json.dumps(record["message"])).encode()
    with gzip.open(capture("nautilus/deribit.jsonl.gz"), "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if str(record["file"]).startswith("ws_"):
                yield record["raw"].encode()


def native_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"instrument_name", "index_name"} and isinstance(inner, str):
                yield inner
            yield from native_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from native_names(inner)


def test_single_messages() -> None:
    feed = _native.JsonFeed(msgspec.json.encode(DeribitVenue.dialect))
    feed.open_link(1, "")
    frames = [frame for frame in singles() if b'"method"' in frame and b"subscription" in frame]
    assert len(frames) > 20
    for number, name in enumerate(sorted({name for frame in frames for name in native_names(json.loads(frame))}), 1):
        feed.define("", name, number, book=True, quotes=False, state=int(State.LIVE))
    for frame in frames:
        decoded = feed.decode(1, [frame], [1])
        assert (decoded.dead, decoded.dead_count) == ([], 0), frame
        for at, _ in decoded.cold:
            assert at == 0
            happenings = venue().cold(frame, "")
            assert happenings
            assert not any(isinstance(each, Unknown) for each in happenings), frame


@pytest.mark.parametrize(
    "name", sorted(ROOT.glob("cryptofeed/DERIBIT/*")) or [Path("none")], ids=lambda path: path.name
)
def test_recorded_lists_and_subscriptions(name: Path) -> None:
    found = venue()
    lines = list(session(str(name.relative_to(ROOT)) if name.name != "none" else "cryptofeed/DERIBIT/none"))
    lists = [line for line in lines if line["t"] == "http"]
    for line in lists:
        body = line["data"]
        entries = json.loads(body)["result"]
        listed = {each.native: each for each in found.listed(found.listing()[0], body.encode())}
        for entry in entries:
            one = listed[entry["instrument_name"]]
            assert one.asset_class == {"option": "option"}.get(
                entry["kind"], "perpetual" if entry["settlement_period"] == "perpetual" else "future"
            )
            assert one.strike is None or Decimal(one.strike) == Decimal(str(entry["strike"]))
            assert one.tick_size is not None
            assert Decimal(one.tick_size) == Decimal(str(entry["tick_size"]))
        assert len({each.symbol for each in listed.values()}) == len(listed)
    sent = [line["data"] for line in lines if line["t"] == "send"]
    asked = found.recorded([], sent, [])
    channels = [channel for text in sent for channel in json.loads(text)["params"]["channels"]]
    assert {each.native for each in asked} == {channel.split(".")[1] for channel in channels}
    granted = next(line["data"] for line in lines if line["t"] == "recv" and '"result"' in line["data"])
    (acknowledged,) = found.cold(granted.encode(), "")
    assert isinstance(acknowledged, Acknowledged)
    assert {each.native for each in acknowledged.channels} == {each.native for each in asked}


def test_names_and_lists_say_the_same_expiry() -> None:
    for line in session("cryptofeed/DERIBIT/DERIBIT_20210722T224203Z.jsonl.xz"):
        if line["t"] == "http":
            for each in venue().listed(venue().listing()[0], line["data"].encode()):
                name = named(each.native)
                assert name is None or name.expiry == each.expiry


def test_option_figures_of_the_recorded_session() -> None:
    """Greeks and volatilities come out digit by digit."""
    feed = _native.JsonFeed(msgspec.json.encode(DeribitVenue.dialect))
    feed.open_link(1, "")
    frames = [
        line["data"].encode()
        for line in session("cryptofeed/DERIBIT/DERIBIT_20210722T224203Z.jsonl.xz")
        if line["t"] == "recv"
    ]
    ids: dict[str, int] = {}
    for frame in frames:
        for name in native_names(json.loads(frame)):
            if name not in ids:
                ids[name] = len(ids) + 1
                feed.define("", name, ids[name], book=True, quotes=False, state=int(State.LIVE))
    newest: dict[tuple[int, int], Decimal] = {}
    for frame in frames:
        for record in records_from(feed.decode(1, [frame], [1]).records):
            value = Decimal(int(record["price"])).scaleb(-int(record["price_scale"]))
            newest[int(record["instrument"]), int(record["kind"])] = value
        params = json.loads(frame, parse_float=Decimal, parse_int=Decimal).get("params", {})
        if params.get("channel", "").startswith("ticker."):
            data = params["data"]
            instrument = ids[data["instrument_name"]]
            assert newest[instrument, Kind.DELTA] == data["greeks"]["delta"]
            assert newest[instrument, Kind.IV] == data["mark_iv"]
            assert newest[instrument, Kind.BID_IV] == data["bid_iv"]
            assert newest[instrument, Kind.UNDERLYING] == data["underlying_price"]
            assert newest[instrument, Kind.OPEN_INTEREST] == data["open_interest"]
