"""Who is in: the connections of each user, what they may still do, and when they must go.

Whoever holds a connection that lasts (a stream, server-sent events, Socket.IO) enters here with what ends it, and
leaves when it is gone. Anonymous clients are not users: they pass through, and the limits of their address count.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tickcast.gateway.auth.access import ANYONE, Access, Denied
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.tally import NOTHING, Elsewhere, Seat, Tally, spend
from tickcast.ports import Clock
from tickcast.runtime import metrics

IDLE_MAX: Final = 65_536
"""Users without a connection whose allowances are remembered; the longest idle is forgotten first."""
OVER: Final = "the token or key is over; come back with another"
WITHDRAWN: Final = "the token or key was withdrawn; come back with another"

_users: Final = metrics.gauge("gateway_users", "Users that hold connections now.")
_ended: Final = metrics.counter("gateway_access_ended", "Connections closed because their access ended, so far.")

End = Callable[[str], None]
"""Closes a connection for a reason."""


class Guest:
    """One connection of a user."""

    __slots__ = ("access", "end")

    def __init__(self, access: Access, end: End | None) -> None:
        self.access = access
        self.end = end
        """None: it left, was sent away, or is anonymous."""


NOBODY: Final = Guest(ANYONE, None)
"""All anonymous connections."""


class _User:
    __slots__ = ("connections", "handshakes_ns", "requests_ns", "seat")

    def __init__(self, seat: Seat | None) -> None:
        self.connections = 0
        self.handshakes_ns = self.requests_ns = 0
        """When the whole allowance is back."""
        self.seat: Final = seat
        """Where other processes tell of it; None: there are none."""


class Guests:
    """The connections that rest on a token, a key or a ticket."""

    def __init__(self, admission: Admission, *, clock: Clock, wall: Clock, tally: Tally | None = None) -> None:
        """Let nobody in yet.

        Args:
            admission: decides who comes in.
            clock: is never set.
            wall: what ends of tokens are compared with.
            tally: what other processes hold of the same users; without it the limits are this one's.
        """
        config = admission.config
        self.admission = admission
        self._clock = clock
        self._wall = wall
        self._tally = tally
        self._connections_max = config.connections_per_user_max
        self._handshake_rate = float(config.handshakes_per_second_per_user)
        self._request_rate = float(config.requests_per_second_per_user)
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._guests: dict[Guest, None] = {}
        self._ends: list[tuple[int, int, Guest]] = []
        """A heap by end; those that left are dropped when their end comes, or when they are many."""
        self._entered = 0
        self._changes = admission.refresh()
        _users.set_function(lambda: len(self._users) - len(self._idle))

    def __len__(self) -> int:
        """Connections of users."""
        return len(self._guests)

    def enter(self, access: Access, end: End, *, is_late: bool = False) -> Guest:
        """Take a connection in; ``end(reason)`` is called once if its access ends before it leaves.

        ``is_late``: what it will be sent is kept back as the access says; who does not say so sends it as it comes.

        Raises:
            Denied: with status 429, the user holds too many, or opens them too fast; with 403, it may see things late
                only, and would not.
        """
        if access.scope.delayed and not is_late:
            raise Denied("you may see prices late, and here nothing is kept back; use /stream", status=403)
        if access.is_anonymous:
            return NOBODY
        guest = Guest(access, end)
        user = self._user(access.subject)
        user.connections += 1
        self._tell(user)  # before others are looked at: both may refuse the last place, never both give it
        try:
            self._check(access, user)
        except Denied:
            user.connections -= 1
            raise
        finally:
            self._tell(user)
        self._idle.pop(access.subject, None)
        self._guests[guest] = None
        self._await_end(guest)
        return guest

    def leave(self, guest: Guest) -> None:
        """Note that a connection is gone; more than once does no harm."""
        guest.end = None
        if self._guests.pop(guest, guest) is guest:
            return
        user = self._users[guest.access.subject]
        user.connections -= 1
        self._tell(user)
        if not user.connections:
            self._rest(guest.access.subject)

    def pay(self, access: Access) -> bool:
        """Spend one request of a user; False: it has none left."""
        if access.is_anonymous or not self._request_rate:
            return True
        user, now_ns = self._user(access.subject), self._clock()
        due_ns = max(user.requests_ns, self._elsewhere(user).requests_ns)
        user.requests_ns, retry_s = spend(due_ns, now_ns, self._request_rate)
        self._tell(user)
        return not retry_s

    def _check(self, access: Access, user: _User) -> None:
        """Refuse a connection that is one too many, or comes too fast; it is counted already."""
        others = self._elsewhere(user)
        if self._handshake_rate:
            due_ns = max(user.handshakes_ns, others.handshakes_ns)
            user.handshakes_ns, retry_s = spend(due_ns, self._clock(), self._handshake_rate)
            if retry_s:
                raise Denied(
                    "this user opens streams faster than one may; come back later", status=429, retry_s=retry_s
                )
        allowed = access.scope.connections or self._connections_max
        if (
            allowed
            and user.connections + others.connections > allowed
            and user.connections + self._elsewhere(user, sure=True).connections > allowed
        ):
            raise Denied(f"this user holds {allowed} streams, as many as one may; close some", status=429, retry_s=5)

    def _tell(self, user: _User) -> None:
        if self._tally is not None and user.seat is not None:
            self._tally.tell(user.seat, user.connections, user.handshakes_ns, user.requests_ns)

    def _elsewhere(self, user: _User, *, sure: bool = False) -> Elsewhere:
        if self._tally is None or user.seat is None:
            return NOTHING
        return self._tally.elsewhere(user.seat, sure=sure)

    def renew(self, guest: Guest, access: Access) -> None:
        """Let a connection stay on a newer token.

        Raises:
            Denied: it is another user's, or for something else.
        """
        if guest.end is None or guest not in self._guests:
            raise Denied("this connection came without a token, and goes on so")
        if (access.subject, access.scope) != (guest.access.subject, guest.access.scope):
            raise Denied("expected a token of the same user with the same scope; connect again for another")
        guest.access = access
        self._await_end(guest)

    def sweep(self) -> None:
        """Send away those whose access ended; called a few times a second."""
        wall_ns = self._wall()
        while self._ends and self._ends[0][0] <= wall_ns:
            guest = heapq.heappop(self._ends)[2]
            if guest.access.is_over(wall_ns):
                self._send_away(guest, OVER)
        changes = self.admission.refresh()
        if changes != self._changes:
            self._changes = changes
            for guest in list(self._guests):
                if not self.admission.stands(guest.access):
                    self._send_away(guest, WITHDRAWN)

    def _send_away(self, guest: Guest, reason: str) -> None:
        end, guest.end = guest.end, None
        if end is not None:
            _ended.inc()
            end(reason)

    def _await_end(self, guest: Guest) -> None:
        if not guest.access.until_ns:
            return
        self._entered += 1
        heapq.heappush(self._ends, (guest.access.until_ns, self._entered, guest))
        if len(self._ends) > 1024 + 2 * len(self._guests):
            self._ends = [entry for entry in self._ends if entry[2].end is not None]
            heapq.heapify(self._ends)

    def _user(self, subject: str) -> _User:
        user = self._users.get(subject)
        if user is None:
            user = self._users[subject] = _User(None if self._tally is None else self._tally.seat(subject))
            self._rest(subject)
        return user

    def _rest(self, subject: str) -> None:
        """A user without connections: its allowances are remembered for a while."""
        self._idle[subject] = None
        if len(self._idle) > IDLE_MAX:
            oldest, _ = self._idle.popitem(last=False)
            del self._users[oldest]
