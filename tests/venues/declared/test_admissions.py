"""Links that the venue must admit before they open: asked for each time anew, with the venue's own ping."""

import json
from collections.abc import Sequence
from typing import Any

from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.declared.admissions import ADMISSION
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.kucoin.venue import KucoinVenue

NOW = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
ENTRY = {"symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "priceIncrement": "0.1"}
LIST = json.dumps({"code": "200000", "data": [ENTRY]}).encode()


def session() -> tuple[DeclaredSession, Step]:
    """A session that has its list and waits for a token."""
    config = VenueConfig(venue="KUCOIN", markets=("spot",), poll_interval_s=0, instruments_refresh_s=0)
    made = DeclaredSession(KucoinVenue(config), feed="f", config=config, securities={}, previous_close={})
    (request,) = made.start(NOW).requests
    return made, made.answered(request, Answer(status=200, body=LIST, received_ns=NOW))


def answer(number: int, *, ping_ms: int = 5000, status: int = 200, body: bytes | None = None) -> Answer:
    server = {"endpoint": "wss://venue/", "pingInterval": ping_ms}
    data = {"token": f"t{number}", "instanceServers": [server]}
    written = json.dumps({"code": "200000", "data": data}).encode()
    return Answer(status=status, body=written if body is None else body, received_ns=NOW)


def admissions(requests: Sequence[Request]) -> list[Request]:
    return [one for one in requests if one.purpose.startswith(ADMISSION)]


def test_a_link_waits_for_its_admission() -> None:
    made, step = session()
    assert step.links == []
    (request,) = admissions(step.requests)
    assert (request.method, request.purpose) == ("POST", "admission spot-1")
    (link,) = made.answered(request, answer(1)).links
    assert (link.name, link.target, link.is_once) == ("spot-1", "wss://venue/?token=t1", True)
    assert json.loads(made.opened("spot-1", NOW).send[0][1])["type"] == "subscribe"


def test_the_admission_says_how_often_to_ping() -> None:
    made, step = session()
    made.answered(admissions(step.requests)[0], answer(1, ping_ms=5000))
    made.opened("spot-1", NOW)
    sent: list[Any] = []
    for second in range(1, 12):
        now_ns = NOW + second * SECOND
        steps = made.received("spot-1", [b'{"id":"x","type":"welcome"}'], [now_ns]), made.wake(now_ns)
        sent += [(second, frame) for step in steps for _, frame in step.send if b'"ping"' in frame]
    assert [second for second, _ in sent] == [5, 10]


def test_every_connection_has_an_admission_of_its_own() -> None:
    made, step = session()
    made.answered(admissions(step.requests)[0], answer(1))
    made.opened("spot-1", NOW)
    (again,) = admissions(made.closed("spot-1", NOW + SECOND).requests)
    (link,) = made.answered(again, answer(2)).links
    assert link.target == "wss://venue/?token=t2"
    # it could not be opened: the shell says that it is closed
    step = made.closed("spot-1", NOW + 2 * SECOND)
    assert len(admissions(step.requests)) == 1
    assert not step.incidents, "it never was open"
    assert made.closed("spot-1", NOW + 3 * SECOND).requests == [], "asked for once at a time"


def test_what_is_no_admission_is_asked_for_again() -> None:
    made, step = session()
    (request,) = admissions(step.requests)
    for wrong in (answer(1, body=b"<html>502</html>"), answer(1, status=403), answer(1, body=b'{"code":"429000"}')):
        step = made.answered(request, wrong)
        assert (step.links, step.repeat, step.dead_count) == ([], [request], 1)
    assert made.answered(request, answer(1)).links
    assert made.answered(request, answer(2)).links == [], "one answer opens one connection"
