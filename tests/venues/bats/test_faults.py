"""Any order of losses, repeats, delays, refusals and silences: in the end the books are those of the exchange."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.bats.peer import World

from tickcast.model.record import Kind, State

STATUSES = ["A", "A", "A", "O", "D", "M", "S", "C", "I", "U", None]


class Chaos:
    """Drives a world through seeded trouble, then lets it settle."""

    def __init__(self, seed: int, *, has_gap: bool, has_spin: bool, starts_late: bool) -> None:
        self.random = random.Random(seed)
        self.world = World(units=3, seed=seed, has_gap=has_gap, has_spin=has_spin, gap_range_max=40)
        self.delayed: dict[str, list[bytes]] = {"line0": [], "line1": [], "gap0": []}
        if starts_late:
            for number in self.world.venue.units:
                for _ in range(self.random.randint(1, 9)):
                    self.world.venue.act(number)

    def run(self, steps: int, trouble: float) -> None:
        for _ in range(steps):
            self._step(trouble)
        self.settle()

    def _step(self, trouble: float) -> None:
        world, chance = self.world, self.random.random
        choice = chance()
        if choice < 0.6:
            self._publish(self.random.choice(list(world.venue.units)), trouble)
        elif choice < 0.7:
            world.pass_ms(self.random.choice([1, 10, 25, 200, 1000]))
        elif choice < 0.8:
            world.gap.status = self.random.choice(STATUSES)
            world.spin.status = self.random.choice(["A", "A", "O", "S", None])
        elif choice < 0.9:
            sent, world.gap.retransmissions = world.gap.retransmissions, []
            for one in sent:
                self._send("gap0", one, trouble)
        elif choice < 0.97 and "spin" in world.links:
            world.offer(*[number for number in world.venue.units if chance() < 0.7])
        elif choice > 0.99:
            link = self.random.choice([name for name in ("gap", "spin") if name in world.links] or ["line0"])
            world.carry(world.session.closed(link, world.now))
            world.carry(world.session.opened(link, world.now))

    def _publish(self, number: int, trouble: float) -> None:
        one = self.world.venue.act(number)
        for line in ("line0", "line1"):
            self._send(line, one, trouble)

    def _send(self, line: str, one: bytes, trouble: float) -> None:
        chance = self.random.random()
        if chance < trouble:
            return
        if chance < 1.5 * trouble:
            self.delayed[line].append(one)
            return
        if chance < 1.8 * trouble:
            one = one[: self.random.randint(0, len(one))]
        elif chance < 2.0 * trouble and len(one) > 9:
            places = {9, *(self.random.randrange(8, len(one)) for _ in range(3))}
            one = bytes(byte ^ (0x80 if place in places else 0) for place, byte in enumerate(one))
        self.world.receive(line, one, *([one] if chance < 2.2 * trouble else []))
        if self.delayed[line] and self.random.random() < 0.3:
            self.world.receive(line, self.delayed[line].pop(0))

    def settle(self) -> None:
        """All is well again: heartbeats tell what is missing, the servers answer."""
        world = self.world
        world.gap.status, world.spin.status = "A", "A"
        for _ in range(12):
            world.both(*(unit.heartbeat() for unit in world.venue.units.values()))
            world.pass_ms(600)
            world.retransmit()
            if "spin" in world.links:
                world.offer()
            world.pass_ms(1)

    def check_trades(self) -> None:
        """No trade is told twice or made up; without a loss none is missing."""
        if any(step.new_session for step in self.world.steps):
            return  # packets so late that they look like a restart: a new session, which repeats itself
        told = self.world.trade_ids()
        true = {one for unit in self.world.venue.units.values() for one in unit.trades}
        assert len(told) == len(set(told))
        assert set(told) <= true


seeds = st.integers(0, 2**32)
troubles = st.sampled_from([0.0, 0.05, 0.2, 0.4])


@given(seeds, troubles, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_with_a_spin_server_everything_is_whole_in_the_end(
    seed: int, trouble: float, has_gap: bool, starts_late: bool
) -> None:
    chaos = Chaos(seed, has_gap=has_gap, has_spin=True, starts_late=starts_late)
    chaos.run(120, trouble)
    chaos.world.check_whole()
    chaos.check_trades()
    kinds = set(chaos.world.records()["kind"].tolist())
    if not kinds & {Kind.GAP, Kind.VOLUME}:  # nothing was lost, nothing was missed at the beginning
        true = {one for unit in chaos.world.venue.units.values() for one in unit.trades}
        assert set(chaos.world.trade_ids()) == true


@given(seeds, troubles, st.booleans())
@settings(max_examples=30, deadline=None)
def test_without_one_nothing_doubtful_is_called_live(seed: int, trouble: float, has_gap: bool) -> None:
    chaos = Chaos(seed, has_gap=has_gap, has_spin=False, starts_late=False)
    chaos.run(80, trouble)
    chaos.check_trades()
    states = chaos.world.states()
    for unit in chaos.world.venue.units.values():
        is_whole = chaos.world.session.phase(unit.number) in {None, "live"}
        for symbol in unit.symbols:
            if is_whole and unit.sent:
                assert chaos.world.session.decoder.book(symbol, 100) == unit.book(symbol)
            elif symbol in states:
                assert states[symbol] in {State.GAP, State.UNVERIFIED}


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_trouble_in_one_unit_leaves_the_others_alone(seed: int) -> None:
    chaos = Chaos(seed, has_gap=True, has_spin=True, starts_late=False)
    world = chaos.world
    for number in world.venue.units:
        world.both(world.venue.act(number))
    quiet = len(world.records())
    for _ in range(60):
        chaos._publish(1, 0.5)
        world.both(world.venue.act(2))
        world.pass_ms(30)
    rows = world.records()[quiet:]
    states = rows[rows["kind"] == Kind.STATUS]
    doubted = {world.symbols[int(row["instrument"])] for row in states if row["detail"] == State.GAP}
    assert doubted <= {"U1A", "U1B"}
    assert world.session.phase(2) == "live"
    assert world.session.phase(3) == "live"
