"""A slow ITCH 5.0 book for tests: checks every message against what stands."""

import struct
from collections import Counter

LENGTHS = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40, "E": 31,
    "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip


class ReferenceBook:
    """Orders by reference, counts and sums by stock; asserts that every message makes sense."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.stocks: dict[int, str] = {}
        self.orders: dict[int, list[int]] = {}
        self.trades: Counter[str] = Counter()
        self.volume: Counter[str] = Counter()
        self.last: dict[str, tuple[int, int, int]] = {}
        self.matches: dict[int, tuple[str, int]] = {}
        self.broken: Counter[str] = Counter()
        self.state: dict[str, str] = {}
        self.ts = 0

    def feed(self, message: bytes) -> None:
        kind = chr(message[0])
        assert len(message) == LENGTHS[kind]
        self.kinds[kind] += 1
        locate = struct.unpack_from(">H", message, 1)[0]
        ts = int.from_bytes(message[5:11], "big")
        assert self.ts <= ts < 86_400 * 10**9, "times never go back within a day"
        self.ts = ts
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(locate, message)

    def _on_R(self, locate: int, message: bytes) -> None:  # noqa: N802
        self.stocks[locate] = message[11:19].decode().strip()

    def _on_H(self, locate: int, message: bytes) -> None:  # noqa: N802
        assert message[11:19].decode().strip() == self.stocks[locate]
        self.state[self.stocks[locate]] = chr(message[19])

    def _on_A(self, locate: int, message: bytes) -> None:  # noqa: N802
        ref, side, shares, stock, price = struct.unpack_from(">QcI8sI", message, 11)
        assert self.stocks[locate] == stock.decode().strip()
        assert ref not in self.orders
        assert shares
        assert price
        self.orders[ref] = [locate, ord(side), price, shares]

    _on_F = _on_A  # noqa: N815

    def _execute(self, locate: int, message: bytes, price: int | None) -> None:
        ref, shares, match = struct.unpack_from(">QIQ", message, 11)
        order = self.orders[ref]
        assert order[0] == locate
        assert 0 < shares <= order[3]
        self._trade(locate, match=match, shares=shares, price=order[2] if price is None else price)
        order[3] -= shares
        if not order[3]:
            del self.orders[ref]

    def _on_E(self, locate: int, message: bytes) -> None:  # noqa: N802
        self._execute(locate, message, None)

    def _on_C(self, locate: int, message: bytes) -> None:  # noqa: N802
        assert message[31:32] == b"Y"
        self._execute(locate, message, struct.unpack_from(">I", message, 32)[0])

    def _on_X(self, locate: int, message: bytes) -> None:  # noqa: N802
        ref, shares = struct.unpack_from(">QI", message, 11)
        assert self.orders[ref][0] == locate
        assert 0 < shares < self.orders[ref][3]
        self.orders[ref][3] -= shares

    def _on_D(self, locate: int, message: bytes) -> None:  # noqa: N802
        assert self.orders.pop(struct.unpack_from(">Q", message, 11)[0])[0] == locate

    def _on_U(self, locate: int, message: bytes) -> None:  # noqa: N802
        old, new, shares, price = struct.unpack_from(">QQII", message, 11)
        before = self.orders.pop(old)
        assert before[0] == locate
        assert new not in self.orders
        self.orders[new] = [locate, before[1], price, shares]

    def _on_P(self, locate: int, message: bytes) -> None:  # noqa: N802
        _, _, shares, _, price, match = struct.unpack_from(">QcI8sIQ", message, 11)
        self._trade(locate, match=match, shares=shares, price=price)

    def _on_Q(self, locate: int, message: bytes) -> None:  # noqa: N802
        shares, _, price, match, cross = struct.unpack_from(">Q8sIQc", message, 11)
        assert cross in b"OCH"
        self._trade(locate, match=match, shares=shares, price=price)

    def _on_B(self, locate: int, message: bytes) -> None:  # noqa: N802
        stock, shares = self.matches.pop(struct.unpack_from(">Q", message, 11)[0])
        assert stock == self.stocks[locate]
        self.volume[stock] -= shares
        self.broken[stock] += 1

    def _trade(self, locate: int, *, match: int, shares: int, price: int) -> None:
        stock = self.stocks[locate]
        assert match not in self.matches
        self.matches[match] = (stock, shares)
        self.trades[stock] += 1
        self.volume[stock] += shares
        self.last[stock] = (price, shares, match)

    def best(self, stock: str) -> tuple[int, int, int, int]:
        """Bid, bid size, ask, ask size; 0 where there is none."""
        mine = [order for order in self.orders.values() if self.stocks[order[0]] == stock]
        bid = max((order[2] for order in mine if order[1] == ord("B")), default=0)
        ask = min((order[2] for order in mine if order[1] == ord("S")), default=0)
        bid_size = sum(order[3] for order in mine if order[1] == ord("B") and order[2] == bid)
        ask_size = sum(order[3] for order in mine if order[1] == ord("S") and order[2] == ask)
        return bid, bid_size, ask, ask_size
