"""What a session of a Nasdaq market says: the order flow and everything around it, as framed ITCH messages."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tickcast.sim.itch.encode import LAYOUTS, Framing, ItchEncoder, framed, packets
from tickcast.sim.market import Notice, NoticeKind, OrderFlow, Slice

_RARE: Final = "IJNBYLKhOVW"
_CROSSES: Final = {NoticeKind.CROSS_OPEN: b"O", NoticeKind.CROSS_CLOSE: b"C", NoticeKind.CROSS_HALT: b"H"}
_STATES: Final = {NoticeKind.HALT: (b"H", b"LUDP"), NoticeKind.RESUME: (b"T", b"C11 ")}
_MPIDS: Final = (b"SIMA", b"SIMB", b"SIMC")


def session_name(start_ns: int, number: int) -> str:
    """Name the n-th session of a start: seconds in base 36 and the number, ten characters at most, none comes twice."""
    digits, value = "", start_ns // 1_000_000_000
    while value:
        value, digit = divmod(value, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
    return f"{digits}{number % 10_000:04d}"[-10:]


class ItchVenue:
    """Turns slices of a flow into packets; counts messages. Synchronous, no clock."""

    def __init__(self, flow: OrderFlow, *, rare_every_s: float, framing: Framing = "soup") -> None:
        self.flow = flow
        self.encoder = ItchEncoder(flow.universe, framing=framing)
        self._framing: Framing = framing
        self.midnight_ns = 0
        self._stocks = flow.indices
        self._rare_every_ns = int(rare_every_s * 1e9)
        self._rare_next_ns = 0
        self._rare_number = 0

    def prologue(self, ts: int) -> bytes:
        """What stands before the orders: system events, directory, trading states, market-wide levels."""
        at, index, stock = ts - self.midnight_ns, self._stocks, self.encoder.stock[self._stocks]
        count = len(index)
        price = self.flow.universe.start[index] * self.encoder.price_unit[index]
        tier = np.where(index % 2 == 0, b"1", b"2")
        directory = packets(
            "R", count, ts=at, locate=index + 1, stock=stock, category=b"Q", financial=b"N", round_lot=100,
            round_lots_only=b"N", issue_class=b"C", issue_subtype=b"Z ", authenticity=b"P",
            short_sale_threshold=b"N", ipo=b"N", luld_tier=tier, etp=b"N", inverse=b"N",
        )  # fmt: skip
        started = self.flow.phase == "open"
        halted = np.isin(index, sorted(self.flow.halted))
        state = np.where(halted, b"H", b"T")
        reason = np.where(halted, b"LUDP", b"    ")
        action = packets("H", count, ts=at, locate=index + 1, stock=stock, state=state, reason=reason)
        short = packets("Y", count, ts=at, locate=index + 1, stock=stock, action=b"0")
        makers = packets(
            "L", count, ts=at, locate=index + 1, stock=stock, primary=b"Y", mode=b"N", state=b"A",
            mpid=np.array(_MPIDS, "S4")[index % len(_MPIDS)],
        )  # fmt: skip
        level = int(price.sum()) * 10_000 if count else 0
        levels = packets("V", 1, ts=at, level1=level // 100 * 93, level2=level // 100 * 87, level3=level // 100 * 80)
        events = [b"O", b"S", *([b"Q"] if started else []), *([b"M", b"E", b"C"] if self.flow.closed else [])]
        system = [self._bytes(packets("S", 1, ts=at, event=event)) for event in events]
        tables = b"".join(self._bytes(table) for table in (directory, action, short, makers, levels))
        return system[0] + tables + b"".join(system[1:])

    def snapshot(self, ts: int) -> bytes:
        """Prologue and every resting order: the beginning of a session that starts in the middle of the day."""
        orders = self.flow.live_orders(ts)
        return self.prologue(ts) + self.encoder.events(orders, midnight_ns=self.midnight_ns)

    def slice(self, part: Slice, ts: int) -> tuple[bytes, int]:
        """Encode what happened in a slice of time; also says how many packets it is."""
        head, events, tail = self.parts(part, ts)
        return head + events + tail, count_packets(head) + len(part.events) + count_packets(tail)

    def parts(self, part: Slice, ts: int) -> tuple[bytes, bytes, bytes]:
        """Encode what happened in a slice of time: before the order events, the events themselves, and after them."""
        head = b"".join(self._notice(notice) for notice in part.notices)
        tail = b""
        if self._rare_every_ns and self.flow.phase == "open" and not self.flow.closed:
            self._rare_next_ns = self._rare_next_ns or ts + min(self._rare_every_ns, 1_000_000_000)
            if ts >= self._rare_next_ns:
                self._rare_next_ns += self._rare_every_ns
                tail = self._rare(ts)
        events = self.encoder.events(part.events, midnight_ns=self.midnight_ns)
        return head, events, tail

    def _bytes(self, rows: npt.NDArray[Any]) -> bytes:
        return framed(rows, self._framing)

    def _notice(self, notice: Notice) -> bytes:
        at, index = notice.ts - self.midnight_ns, notice.index
        if notice.kind == NoticeKind.OPEN:
            return self._imbalances(at, b"O") + self._bytes(packets("S", 1, ts=at, event=b"Q"))
        if notice.kind == NoticeKind.CLOSE:
            return b"".join(self._bytes(packets("S", 1, ts=at, event=event)) for event in (b"M", b"E", b"C"))
        if notice.kind == NoticeKind.BROKEN:
            return self._bytes(packets("B", 1, ts=at, locate=index + 1, match=notice.match))
        stock = self.encoder.stock[index]
        if notice.kind in _STATES:
            state, reason = _STATES[notice.kind]
            row = packets("H", 1, ts=at, locate=index + 1, stock=stock, state=state, reason=reason)
            return self._bytes(row)
        price = self.encoder.price(index, notice.price)
        cross = packets(
            "Q", 1, ts=at, locate=index + 1, stock=stock, price=price, shares=notice.size, match=notice.match,
            cross=_CROSSES[notice.kind],
        )  # fmt: skip
        return self._bytes(cross)

    def _imbalances(self, at: int, cross: bytes) -> bytes:
        index = self._stocks
        price = self.encoder.price(index, self.flow.anchor)
        rows = packets(
            "I", len(index), ts=at, locate=index + 1, stock=self.encoder.stock[index], paired=10_000 + index,
            imbalance=100, direction=b"B", far=price, near=price, reference=price, cross=cross, variation=b" ",
        )  # fmt: skip
        return self._bytes(rows)

    def _rare(self, ts: int) -> bytes:
        """One message of the next rare type, each consistent with what stands in the books."""
        name = _RARE[self._rare_number % len(_RARE)]
        row = self._rare_number % max(len(self._stocks), 1)
        self._rare_number += 1
        at, index = ts - self.midnight_ns, int(self._stocks[row])
        price = int(self.encoder.price(index, self.flow.anchor[row]))
        stock = self.encoder.stock[index]
        if name == "B":
            notice = self.flow.break_trade(ts)
            return b"" if notice is None else self._notice(notice)
        columns: dict[str, dict[str, object]] = {
            "I": {"paired": 5000, "imbalance": 300, "direction": b"S", "far": price, "near": price, "reference": price,
                  "cross": b"C", "variation": b" "},
            "J": {"reference": price, "upper": price + price // 20, "lower": price - price // 20, "extension": 0},
            "N": {"interest": b"A"},
            "Y": {"action": b"1"},
            "L": {"mpid": b"SIMD", "primary": b"N", "mode": b"N", "state": b"A"},
            "K": {"release": 34_200, "qualifier": b"A", "price": price},
            "h": {"market": b"Q", "action": b"T"},
            "O": {"eligible": b"Y", "lowest": price // 2, "highest": price * 2, "near": price, "near_time": at,
                  "lower": price - price // 10, "upper": price + price // 10},
            "V": {"level1": 93 * 10**8, "level2": 87 * 10**8, "level3": 80 * 10**8},
            "W": {"level": b"1"},
        }  # fmt: skip
        named = {} if name in "VW" else {"locate": index + 1, "stock": stock}
        return self._bytes(packets(name, 1, ts=at, **named, **columns[name]))


def count_packets(block: bytes) -> int:
    """Number of packets in a block of whole packets."""
    count = position = 0
    while position < len(block):
        position += 2 + int.from_bytes(block[position : position + 2], "big")
        count += 1
    return count


MESSAGE_LENGTHS: Final = {name: layout.itemsize - 3 for name, layout in LAYOUTS.items()}
"""Length of every ITCH 5.0 message, by type."""
