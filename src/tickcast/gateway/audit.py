"""Who changed what over REST: one line in the log and one count for each request, and never what it showed to come in.

Those who are nobody and are refused are counted only: whoever likes may ask, and fills no log.
"""

from typing import Any, Final

from fastapi.responses import Response

from tickcast.gateway.auth.access import Access
from tickcast.gateway.auth.door import OPERATOR
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("audit")

MACHINE: Final = "this machine"
TEXT_MAX: Final = 200

_changes: Final = metrics.counter(
    "gateway_changes", "Requests over REST to change the running instance, so far.", ("what", "answer")
)


def who(access: Access) -> str:
    """Name of somebody, for logs."""
    return MACHINE if access is OPERATOR else access.subject


def note(what: str, access: Access, answer: Response, **facts: Any) -> Response:
    """Note what somebody asked to change and how it was answered; returns the answer."""
    _changes.labels(what, "done" if answer.status_code < 300 else "refused").inc()
    by = who(access)
    if by:
        shown = {name: fact[:TEXT_MAX] if isinstance(fact, str) else fact for name, fact in facts.items()}
        # of a token its key's name, without the mark by which a change of the key is noticed
        credential = ":".join(access.credential.split(":")[:2])
        log.info("change", what=what, by=by, credential=credential, status=answer.status_code, **shown)
    return answer
