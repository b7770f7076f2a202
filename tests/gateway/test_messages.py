import json
import re
from pathlib import Path

import msgspec
import pytest

from tickcast import _native
from tickcast.gateway import messages
from tickcast.gateway.config import Config
from tickcast.gateway.requests import CHANNEL_MODES, CHANNEL_NAMES, DEPTHS, INTERVALS, MODES, RATE_CLASSES

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = [
    line.removeprefix("→ ").removeprefix("← ")
    for line in PROTOCOL.splitlines()
    if line.removeprefix("→ ").removeprefix("← ").startswith("{")
]


@pytest.mark.parametrize("action", messages.REQUESTS)
def test_every_request_and_its_keys_are_documented(action: str) -> None:
    assert f"### {action}\n" in PROTOCOL
    for field in messages.REQUESTS[action].__struct_fields__:
        assert f"`{field}`" in PROTOCOL or f'"{field}"' in PROTOCOL


@pytest.mark.parametrize("reply", messages.REPLIES)
def test_every_reply_and_its_keys_are_documented(reply: type[messages.Reply]) -> None:
    assert f'"type":"{reply.__struct_config__.tag}"' in PROTOCOL
    for field in reply.__struct_fields__:
        assert f"`{field}`" in PROTOCOL or f'"{field}"' in PROTOCOL


def test_every_field_and_rate_and_mode_is_documented() -> None:
    for name in (*_native.PRICE_FIELDS, *MODES, *CHANNEL_MODES):
        assert f"`{name}`" in PROTOCOL
    assert ", ".join(str(rate) for rate in RATE_CLASSES[1:]) in PROTOCOL


def test_numbers_of_the_core_are_ours() -> None:
    assert _native.RATE_CLASSES == RATE_CLASSES
    assert [name.partition(":")[0] for name in _native.CHANNELS] == list(CHANNEL_NAMES)
    assert [f"book:{depth}" for depth in DEPTHS] == [_native.CHANNELS[number] for number in DEPTHS.values()]
    assert [f"bars:{name}" for name in INTERVALS] == [_native.CHANNELS[number] for number in INTERVALS.values()]
    assert (MODES["merge"], MODES["all"]) == (_native.MODE_MERGE, _native.MODE_ALL)


def test_limits_are_documented() -> None:
    config = Config()
    for text in (
        f"| {config.symbols_max:,} |", f"| {config.frame_max:,} |", f"| {config.requests_per_second} |",
        f"| {config.handshake_timeout_s:g} s |", f"| {config.request_timeout_s:g} s |",
        f"Every {config.ping_interval_s:g} s", f"no message for {config.heartbeat_s:g} s",
    ):  # fmt: skip
        assert text in PROTOCOL


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_in_the_document_are_messages(text: str) -> None:
    message = json.loads(text)
    if "action" in message and "type" not in message:
        msgspec.convert(message, messages.REQUESTS[message["action"]])
        return
    tags = [kind for kind in messages.REPLIES if kind.__struct_config__.tag == message["type"]]
    reply = next((kind for kind in tags if message["type"] != "snapshot" or message.get("channel") == "status"), None)
    if reply is None:
        assert message["type"] in {"snapshot", "update", "status", "trade", "lost", "bar"}
    else:
        assert set(message) - {"type"} <= set(reply.__struct_fields__)
        msgspec.convert(message, reply)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 12
    assert not re.search(r"\bERRORS\b|\bCLOSES\b", PROTOCOL)
