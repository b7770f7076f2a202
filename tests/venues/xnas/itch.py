"""ITCH 5.0 messages and SoupBinTCP packets, built by hand; and an independent count of a file's trades."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

SECOND = 1_000_000_000


def head(kind: str, locate: int, when: int) -> bytes:
    return kind.encode() + locate.to_bytes(2, "big") + b"\x00\x00" + when.to_bytes(6, "big")


def directory(stock: str, locate: int, when: int = 0, lot: int = 100) -> bytes:
    rest = b"QN" + lot.to_bytes(4, "big") + b"NCZ PNN1N" + (0).to_bytes(4, "big") + b"N"
    return head("R", locate, when) + stock.encode().ljust(8) + rest


def add(ref: int, side: str, shares: int, price: int, *, stock: str = "AAPL", locate: int = 1, when: int = 0) -> bytes:
    body = ref.to_bytes(8, "big") + side.encode() + shares.to_bytes(4, "big") + stock.encode().ljust(8)
    return head("A", locate, when) + body + price.to_bytes(4, "big")


def execute(ref: int, shares: int, match: int, *, locate: int = 1, when: int = 0) -> bytes:
    body = ref.to_bytes(8, "big") + shares.to_bytes(4, "big") + match.to_bytes(8, "big")
    return head("E", locate, when) + body


def cross(shares: int, price: int, match: int, kind: str = "O", *, when: int = 0, stock: str = "AAPL") -> bytes:
    body = shares.to_bytes(8, "big") + stock.encode().ljust(8) + price.to_bytes(4, "big") + match.to_bytes(8, "big")
    return head("Q", 1, when) + body + kind.encode()


def bust(match: int, *, locate: int = 1, when: int = 0) -> bytes:
    return head("B", locate, when) + match.to_bytes(8, "big")


def packet(kind: str, payload: bytes = b"") -> bytes:
    return (len(payload) + 1).to_bytes(2, "big") + kind.encode() + payload


def accepted(session: str, sequence: int) -> bytes:
    return packet("A", f"{session:>10}{sequence:>20}".encode())


def stream(messages: Iterable[bytes]) -> bytes:
    return b"".join(packet("S", message) for message in messages)


def split(data: bytes) -> Iterator[bytes]:
    """Messages of a file: each preceded by its length."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 2], "big")
        yield data[position + 2 : position + 2 + length]
        position += 2 + length


@dataclass
class Count:
    """Trades and books of one stock, in plain Python."""

    trades: list[tuple[int, Decimal | None, Decimal | None]] = field(default_factory=list)
    orders: dict[int, tuple[str, int, int]] = field(default_factory=dict)

    def take(self, message: bytes) -> None:
        kind = chr(message[0])
        ref = int.from_bytes(message[11:19], "big")
        if kind in "AF":
            price = int.from_bytes(message[32:36], "big")
            self.orders[ref] = (chr(message[19]), int.from_bytes(message[20:24], "big"), price)
        elif kind in "EC" and ref in self.orders:
            shares = int.from_bytes(message[19:23], "big")
            match = int.from_bytes(message[23:31], "big")
            price = self.orders[ref][2] if kind == "E" else int.from_bytes(message[32:36], "big")
            if kind == "E" or message[31:32] == b"Y":
                self.trades.append((match, Decimal(price).scaleb(-4), Decimal(shares)))
            self.reduce(ref, shares)
        elif kind == "X" and ref in self.orders:
            self.reduce(ref, int.from_bytes(message[19:23], "big"))
        elif kind == "D":
            self.orders.pop(ref, None)
        elif kind == "U" and ref in self.orders:
            side = self.orders.pop(ref)[0]
            new = int.from_bytes(message[19:27], "big")
            self.orders[new] = (side, int.from_bytes(message[27:31], "big"), int.from_bytes(message[31:35], "big"))
        elif kind == "P":
            price, match = int.from_bytes(message[32:36], "big"), int.from_bytes(message[36:44], "big")
            self.trades.append((match, Decimal(price).scaleb(-4), Decimal(int.from_bytes(message[20:24], "big"))))
        elif kind == "Q" and int.from_bytes(message[11:19], "big"):
            price, match = int.from_bytes(message[27:31], "big"), int.from_bytes(message[31:39], "big")
            self.trades.append((match, Decimal(price).scaleb(-4), Decimal(int.from_bytes(message[11:19], "big"))))

    def reduce(self, ref: int, shares: int) -> None:
        side, left, price = self.orders[ref]
        if left > shares:
            self.orders[ref] = (side, left - shares, price)
        else:
            del self.orders[ref]

    def best(self, side: str) -> tuple[Decimal | None, Decimal | None]:
        """Best price and shares of a side, ``B`` or ``S``."""
        prices = [price for one, _, price in self.orders.values() if one == side]
        if not prices:
            return None, None
        price = max(prices) if side == "B" else min(prices)
        shares = sum(left for one, left, at in self.orders.values() if (one, at) == (side, price))
        return Decimal(price).scaleb(-4), Decimal(shares)
