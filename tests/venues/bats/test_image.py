from hypothesis import given
from hypothesis import strategies as st
from tests.venues.bats.peer import START, add, delete, packet, time

from tickcast.venues.base import Step
from tickcast.venues.bats import wire
from tickcast.venues.bats.image import LiveBuffer, Piece, Spin


def piece(first: int, *messages: bytes, clock: int | None = 36_000) -> Piece:
    return Piece(first, len(messages), b"".join(messages), START, clock)


def test_a_piece_is_cut_between_messages_and_keeps_the_clock() -> None:
    one, two, three = time(36_005), delete(1), delete(2)
    whole = piece(10, one, two, three)
    assert whole.after(9) is whole
    assert whole.after(10) == Piece(11, 2, two + three, START, 36_005)
    assert whole.after(11) == Piece(12, 1, three, START, 36_005)
    assert whole.after(12) is None
    assert piece(10, two, one, three).after(10) == Piece(11, 2, one + three, START, 36_000)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 120), st.integers(60, 400))
def test_a_buffer_holds_the_newest_without_a_hole(counts: list[int], sequence: int, bytes_max: int) -> None:
    buffer, first = LiveBuffer(1, bytes_max), 1
    for count in counts:
        buffer.append(piece(first, *[delete(number) for number in range(first, first + count)]))
        first += count
    assert buffer.next == first
    sequence = min(max(sequence, buffer.first - 1), first - 1)
    rest = buffer.after(sequence)
    numbers = [one.first + at for one in rest for at in range(one.count)]
    assert numbers == list(range(sequence + 1, first))
    assert b"".join(one.messages for one in rest) == b"".join(delete(number) for number in numbers)
    assert sum(len(one.messages) for one in buffer.after(buffer.first - 1)) <= max(bytes_max, 4 * 14)


def test_a_hole_in_what_is_appended_begins_the_buffer_anew() -> None:
    buffer = LiveBuffer(1)
    buffer.append(piece(1, delete(1)))
    buffer.append(piece(5, delete(5)))
    assert (buffer.first, buffer.next) == (5, 6)
    assert [one.first for one in buffer.after(4)] == [5]


def open_spin() -> Spin:
    channel = wire.Channel("spin", b"")
    channel.state = "open"
    return Spin(channel)


def message(kind: int, sequence: int) -> bytes:
    return wire.SEQUENCE.pack(wire.SEQUENCE.size, kind, sequence)


def answer(sequence: int, status: bytes = b"A") -> bytes:
    return wire.SPIN_RESPONSE_LAYOUT.pack(wire.SPIN_RESPONSE_LAYOUT.size, wire.SPIN_RESPONSE, sequence, 1, status)


def test_one_image_at_a_time_each_in_its_turn() -> None:
    spin, step = open_spin(), Step()
    spin.want(1, 10)
    spin.want(2, 20)
    offers = [wire.Packet(unit, 0, message(wire.SPIN_AVAILABLE, 10 * unit)) for unit in (1, 2)]
    assert spin.take(step, offers, START) == []
    assert step.send == [("spin", wire.spin_request(1, 10))]
    order = add(1, "B", 100, "AAPL", 1000)
    body = [answer(10), order, message(wire.SPIN_FINISHED, 10)]
    (image,) = spin.take(step, [wire.Packet(1, 0, one) for one in body], START)
    assert (image.unit, image.sequence, image.messages) == (1, 10, order)
    assert step.send[1:] == [("spin", wire.spin_request(2, 20))]


def test_an_image_that_is_another_is_not_used() -> None:
    spin, step = open_spin(), Step()
    spin.want(1, 10)
    spin.take(step, [wire.Packet(1, 0, message(wire.SPIN_AVAILABLE, 10))], START)
    body = [answer(10), message(wire.SPIN_FINISHED, 9)]
    assert spin.take(step, [wire.Packet(1, 0, one) for one in body], START) == []
    assert step.dead_count == 1
    spin.take(step, [wire.Packet(1, 0, message(wire.SPIN_AVAILABLE, 11))], START)
    assert step.send[-1] == ("spin", wire.spin_request(1, 11))


def test_orders_out_of_the_blue_are_dead_letters() -> None:
    spin, step = open_spin(), Step()
    spin.take(step, [wire.Packet(1, 0, delete(1))], START)
    assert step.dead_count == 1


def test_a_link_that_breaks_forgets_what_was_half_sent() -> None:
    spin, step = open_spin(), Step()
    spin.want(1, 10)
    spin.take(step, [wire.Packet(1, 0, message(wire.SPIN_AVAILABLE, 10)), wire.Packet(1, 0, answer(10))], START)
    spin.closed()
    assert spin.wake_ns == 0
    assert spin.take(step, [wire.Packet(1, 0, message(wire.SPIN_FINISHED, 10))], START) == []
    spin.take(step, [wire.Packet(1, 0, message(wire.SPIN_AVAILABLE, 12))], START)
    assert step.send[-1] == ("spin", wire.spin_request(1, 12))
    assert packet([message(0x81, 12)], 1) == step.send[-1][1]
