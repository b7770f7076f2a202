"""Whatever the wire does: nothing is applied twice, nothing is left out without a word."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.fix.peer import EPOCH_NS, Peer, frames, parse

from tickcast.venues.fix.happenings import Delivered, Filled, Hole, LoggedOn, Lost, Turn
from tickcast.venues.fix.session import FixSession, Settings

SECOND = 1_000_000_000
OPERATIONS = st.sampled_from(
    [
        "app",
        "app",
        "app",
        "lose",
        "garble",
        "swap",
        "twice",
        "beat",
        "forget_one",
        "break",
        "restart",
        "reset",
        "wait",
        "jump",
    ]
)


@dataclass
class World:
    """A session, its peer, and a wire between them that is anything but kind."""

    session: FixSession
    peer: Peer = field(default_factory=Peer)
    now_ns: int = EPOCH_NS
    wire: list[bytes] = field(default_factory=list)
    """On its way to us."""
    headlines: int = 0
    sent: dict[tuple[int, int], str] = field(default_factory=dict)
    """Headline by (generation of the numbers, number)."""
    generation: int = 0
    delivered: list[tuple[int, int, str]] = field(default_factory=list)
    lost: list[tuple[int, int, int]] = field(default_factory=list)
    is_up: bool = False
    is_holed: bool = False

    def connect(self) -> None:
        self.wire.clear()
        turn = self.session.opened(self.now_ns)
        (logon,) = turn.send
        fields = parse(logon)
        number, reset = int(fields[34]), fields.get(141) == "Y"
        if reset:
            self.generation += 1
            self.peer.forget()
        elif number < self.peer.next_in:
            raise AssertionError("our own number must never be too low")
        self.peer.next_in = number + 1
        self.is_up, self.is_holed = True, False
        self.take(self.peer.admin("A", (98, 0), (108, 30), *([(141, "Y")] if reset else [])))

    def take(self, *raw: bytes) -> None:
        self.carry(self.session.received(frames(*raw), self.now_ns))

    def carry(self, turn: Turn) -> None:
        for happening in turn.happenings:
            self.note(happening)
        for raw in turn.send:
            if self.is_up and parse(raw)[35] != "A":
                self.wire += self.peer.answer(raw)
            elif self.is_up:
                self.peer.next_in = 2
        if turn.is_ended():
            self.is_up = False
            self.session.closed(self.now_ns)

    def note(self, happening: object) -> None:
        match happening:
            case Delivered(run=run):
                self.delivered.append((self.generation, run.first_seq, parse(run.raw)[148]))
            case Lost(first=first, last=last):
                assert first <= last
                self.lost.append((self.generation, first, last))
            case Hole():
                assert not self.is_holed
                self.is_holed = True
            case Filled():
                assert self.is_holed
                self.is_holed = False
            case LoggedOn():
                self.is_holed = False

    def app(self) -> bytes:
        self.headlines += 1
        text = f"headline {self.headlines}"
        self.sent[self.generation, self.peer.next_out] = text
        return self.peer.app(text)

    def flush(self) -> None:
        while self.wire and self.is_up:
            self.take(self.wire.pop(0))

    def do(self, operation: str) -> None:  # noqa: C901, PLR0912  one case an operation
        if not self.is_up:
            self.connect()
            return
        match operation:
            case "app":
                self.wire.append(self.app())
            case "beat":
                self.wire.append(self.peer.admin("0"))
            case "lose":
                self.app()
            case "garble":
                spoilt = bytearray(self.app())
                spoilt[-12] ^= 2
                self.wire.append(bytes(spoilt))
            case "swap":
                first, second = self.app(), self.app()
                self.wire += [second, first]
            case "twice":
                one = self.app()
                self.wire += [one, one]
            case "forget_one" if self.peer.sent:
                self.peer.lost.add(max(self.peer.sent))
            case "break":
                self.is_up = False
                self.carry(self.session.closed(self.now_ns))
            case "restart":  # the peer forgets everything; it says so by its numbers only
                self.is_up = False
                self.carry(self.session.closed(self.now_ns))
                self.generation += 1
                self.peer.forget()
            case "reset":
                self.wire.clear()
                self.generation += 1
                self.peer.forget()
                self.take(self.peer.admin("A", (98, 0), (108, 30), (141, "Y")))
            case "wait":
                self.now_ns += 3 * SECOND
                self.carry(self.session.wake(self.now_ns))
            case "jump":
                self.flush()
                if self.is_up:
                    new = self.peer.next_out + 3
                    self.peer.next_out = new
                    self.take(self.peer.raw("4", 1, [(36, new)]))


def covered(world: World, generation: int) -> list[int]:
    """Numbers of application messages that were told of, in order."""
    told = [number for which, number, _ in world.delivered if which == generation]
    for which, first, last in world.lost:
        if which == generation:
            told += [number for number in range(first, last + 1) if (generation, number) in world.sent]
    return sorted(told)


@given(st.lists(st.tuples(OPERATIONS, st.booleans()), max_size=60))
@settings(deadline=None)
def test_every_message_is_told_once_or_said_to_be_lost(operations: list[tuple[str, bool]]) -> None:
    world = World(FixSession(Settings(sender="TICKCAST", target="XNYS", resend_chunk=4)))
    world.connect()
    for operation, flush in operations:
        world.do(operation)
        if flush:
            world.flush()
    for _ in range(8):  # let it come to rest: connected, everything asked for and answered
        if not world.is_up:
            world.connect()
        world.flush()
        if world.is_up:
            world.take(world.peer.admin("0"))
            world.flush()
    assert world.is_up
    assert not world.is_holed
    assert world.session.next_in == world.peer.next_out

    numbers = [(generation, number) for generation, number, _ in world.delivered]
    assert numbers == sorted(set(numbers)), "each once, in order"
    assert all(world.sent[generation, number] == text for generation, number, text in world.delivered)
    last = world.generation
    assert covered(world, last) == sorted(number for generation, number in world.sent if generation == last)
    for generation in range(last):  # what a reset cut off is told by the reset; nothing in between is
        told = covered(world, generation)
        assert told == [number for which, number in world.sent if which == generation][: len(told)]
