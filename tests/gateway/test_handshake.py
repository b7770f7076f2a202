import pytest

from tickcast.gateway.config import Config
from tickcast.gateway.handshake import Accepted, Rejected, host_allowed, negotiate

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    b"host": b"127.0.0.1:8000",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": KEY,
}


def ask(
    target: bytes = b"/stream", method: bytes = b"GET", config: Config | None = None, **changed: str | None
) -> Accepted | Rejected:
    headers = dict(GOOD)
    for name, value in changed.items():
        key = name.replace("_", "-").encode()
        headers.pop(key, None)
        if value is not None:
            headers[key] = value.encode()
    return negotiate(method, target, list(headers.items()), config or Config())


def status(outcome: Accepted | Rejected) -> int:
    return outcome.status if isinstance(outcome, Rejected) else 101


def test_the_answer_is_that_of_the_specification() -> None:
    outcome = ask()
    assert isinstance(outcome, Accepted)
    # The key and its answer are the example of RFC 6455 section 1.3.
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in outcome.answer
    assert b"sec-websocket-protocol" not in outcome.answer
    assert b"sec-websocket-extensions" not in outcome.answer
    assert outcome.answer.endswith(b"\r\n\r\n")
    assert (outcome.strings, outcome.batch) == (False, False)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"target": b"/other"}, 404),
        ({"method": b"POST"}, 405),
        ({"host": None}, 421),
        ({"host": "evil.example:8000"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZQ=="}, 400),
        ({"sec_websocket_key": "no base64!"}, 400),
        ({"sec_websocket_protocol": "tickcast.cbor"}, 400),
        ({"target": b"/stream?compact=2"}, 400),
        ({"sec_websocket_protocol": "tickcast.v2.json, tickcast.v2.proto"}, 400),
        ({"target": b"/stream?numbers=roman"}, 400),
        ({"target": b"/stream?numbers="}, 400),
        ({"target": b"/stream?batch=2"}, 400),
        ({"target": b"/stream?batch=true"}, 400),
        ({"target": b"/stream?batch="}, 400),
        ({"target": b"/stream?batch=0&numbers=number"}, 101),
        ({"origin": "http://127.0.0.1:8000"}, 101),
        ({"origin": "http://localhost:5173"}, 101),
        ({"origin": "https://[::1]:3000"}, 101),
        ({"host": "192.0.2.7:8000", "origin": "http://192.0.2.7:8000"}, 101),
        ({"sec_websocket_protocol": "graphql-ws"}, 101),
        ({"target": b"/stream?later=1"}, 101),
    ],
)
def test_who_is_let_in(changed: dict[str, object], expected: int) -> None:
    outcome = ask(**changed)  # type: ignore[arg-type]
    assert status(outcome) == expected
    if isinstance(outcome, Rejected):
        assert outcome.detail


@pytest.mark.parametrize(
    ("offered", "target", "confirmed", "number"),
    [
        ("tickcast.msgpack, tickcast.json", b"/stream", b"tickcast.msgpack", 2),
        ("tickcast.v9, tickcast.json, tickcast.proto", b"/stream", b"tickcast.json", 0),
        ("chat, tickcast.proto", b"/stream?compact=1", b"tickcast.proto", 4),
        ("tickcast.msgpack", b"/stream?compact=1", b"tickcast.msgpack", 3),
        ("tickcast.json", b"/stream?compact=1", b"tickcast.json", 0),
    ],
)
def test_the_first_subprotocol_that_is_spoken_is_confirmed(
    offered: str, target: bytes, confirmed: bytes, number: int
) -> None:
    outcome = ask(target, sec_websocket_protocol=offered)
    assert isinstance(outcome, Accepted)
    assert b"sec-websocket-protocol: " + confirmed + b"\r\n" in outcome.answer
    assert outcome.codec.number(strings=False) == number


def test_the_address_sets_numbers_and_batch() -> None:
    outcome = ask(b"/stream?numbers=string&batch=1")
    assert isinstance(outcome, Accepted)
    assert (outcome.strings, outcome.batch) == (True, True)


def test_origins_and_hosts_of_the_config() -> None:
    config = Config(origins=("https://app.example",), hosts=("prices.example",))
    assert status(ask(host="prices.example", origin="https://app.example", config=config)) == 101
    assert status(ask(host="prices.example", origin="https://other.example", config=config)) == 403
    assert status(ask(host="other.example", config=config)) == 421
    assert status(ask(origin="https://anyone.example", config=Config(origins=("*",)))) == 101


def test_elsewhere_than_loopback_all_names_are_ours() -> None:
    assert host_allowed([(b"host", b"prices.example")], Config(host="192.0.2.7"))
    assert not host_allowed([(b"host", b"prices.example")], Config())


@pytest.mark.parametrize("host", [b"", b"a@b", b"[::1", b"a/b", b"localhost:x@y"])
def test_hosts_that_are_none(host: bytes) -> None:
    assert not host_allowed([(b"host", host)], Config())


def test_two_hosts_are_none() -> None:
    assert not host_allowed([(b"host", b"localhost"), (b"host", b"localhost")], Config())
