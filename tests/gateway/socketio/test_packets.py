import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native
from tickcast.gateway import messages
from tickcast.gateway.codecs import JSON
from tickcast.gateway.socketio.packets import EventCodec, event_of, head_of, payloads

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.text(max_size=70_000), max_size=4))
def test_what_the_hub_frames_is_found_again(texts: list[str]) -> None:
    hub = _native.Hub(epoch=1)
    client = hub.open(-1)
    for text in texts:
        hub.reply(client, text.encode())
        hub.control(client, 9, b"ping")
    data = b"".join(sent for _, sent in hub.flush(1, only=client).unsent)
    assert list(payloads(data)) == texts


def test_an_event_is_the_frame_unchanged_behind_its_type() -> None:
    frame = '{"type":"update","symbol":"AAPL","price":185.40,"seq":5}'
    assert event_of(frame) == f'2["update",{frame}]'
    assert event_of('{"type":"error","code":4000}').startswith('2["error_message",')
    head = head_of(frame)
    assert (head.type, head.symbol, head.channel, head.seq) == ("update", "AAPL", "price", 5)


@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4), st.text(max_size=20))
def test_the_reply_finds_its_acknowledgement_and_the_clients_own_id(body: dict[str, Any], event: str) -> None:
    codec = EventCodec()
    answers: list[Any] = []
    request = JSON.decode(codec.ask(event, body, answers.append))
    assert {key: value for key, value in request.items() if key not in {"id", "action"}} == {
        key: value for key, value in body.items() if key not in {"id", "action", "batch"}
    }
    sent = json.loads(codec.encode(messages.Pong(id=request["id"], server_timestamp="now")))
    own = body.get("id")
    expected = {"type": "pong", "server_timestamp": "now"}
    if isinstance(own, str | int) and not isinstance(own, bool):
        expected["id"] = own  # type: ignore[assignment]  # texts and integers
    assert sent == expected
    assert answers == [expected]


def test_a_second_reply_keeps_the_id_and_is_no_acknowledgement() -> None:
    codec = EventCodec()
    answers: list[Any] = []
    number = JSON.decode(codec.ask("subscribe", {"id": "mine"}, answers.append))["id"]
    codec.encode(messages.Unsubscribed(id=number, channel="price", symbols=[]))
    second = msgspec.json.decode(codec.encode(messages.Pong(id=number, server_timestamp="now")))
    assert second["id"] == "mine"
    assert [answer["type"] for answer in answers] == ["unsubscribed"]


def test_reconnect_stream_is_a_reconnect_and_batches_are_not_known() -> None:
    request = JSON.decode(EventCodec().ask("reconnect_stream", {"batch": True, "rate": 5}, lambda _reply: None))
    assert request == {"action": "reconnect", "id": 1, "rate": 5}


def test_what_no_request_can_hold_raises_and_leaves_nothing_behind() -> None:
    codec, body = EventCodec(), {"x": "\ud800"}
    with pytest.raises(ValueError, match="surrogates"):
        codec.ask("set", body, lambda _reply: None)
    assert codec._asked == {}
    answers: list[Any] = []
    assert codec.refuse(body, answers.append) == b"null"
    codec.encode(messages.Error(code=4001, reason="none"))
    assert [answer["code"] for answer in answers] == [4001]
