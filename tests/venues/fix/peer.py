"""A model of the other side: numbers its messages, keeps what it sent, answers resend requests. Slow and simple."""

from collections.abc import Sequence

from tickcast import _native

SOH = "\x01"
EPOCH_NS = 1_774_879_200_000_000_000
"""2026-03-30 14:00 UTC."""
TIME = "20260330-14:00:00.000"


def frame(fields: Sequence[tuple[int, object]], *, begin: str = "FIX.4.4") -> bytes:
    """Wrap a body into header and trailer."""
    body = "".join(f"{tag}={value}{SOH}" for tag, value in fields)
    head = f"8={begin}{SOH}9={len(body)}{SOH}{body}"
    return f"{head}10={sum(head.encode()) % 256:03d}{SOH}".encode()


def parse(raw: bytes) -> dict[int, str]:
    """First value of each tag, by a plain split."""
    fields: dict[int, str] = {}
    for field in raw.decode("latin-1").rstrip(SOH).split(SOH):
        tag, _, value = field.partition("=")
        fields.setdefault(int(tag), value)
    return fields


def frames(*raw: bytes) -> "_native.FixFrames":
    """Split what was received."""
    found = _native.fix_split(b"".join(raw))
    assert found.consumed == sum(map(len, raw))
    return found


class Peer:
    """The acceptor."""

    def __init__(self, *, name: str = "XNYS", client: str = "TICKCAST") -> None:
        self.name = name
        self.client = client
        self.next_out = 1
        self.next_in = 1
        self.sent: dict[int, list[tuple[int, object]]] = {}
        """Application messages by number; everything else is gap-filled."""
        self.lost: set[int] = set()
        """Numbers that are not sent again although they could be."""
        self.asked: list[tuple[int, int]] = []

    def admin(self, msg_type: str, *fields: tuple[int, object]) -> bytes:
        """A session message with the next number."""
        self.next_out += 1
        return self.raw(msg_type, self.next_out - 1, fields)

    def app(self, text: object) -> bytes:
        """An application message: News with a headline."""
        fields: list[tuple[int, object]] = [(148, text)]
        self.sent[self.next_out] = fields
        self.next_out += 1
        return self.raw("B", self.next_out - 1, fields)

    def raw(
        self,
        msg_type: str,
        seq: int,
        fields: Sequence[tuple[int, object]] = (),
        *,
        again: bool = False,
        when: str = TIME,
    ) -> bytes:
        """Any message."""
        repeat: list[tuple[int, object]] = [(43, "Y"), (122, TIME)] if again else []
        return frame([(35, msg_type), (49, self.name), (56, self.client), (34, seq), *repeat, (52, when), *fields])

    def logon(self, *, reset: bool = False) -> bytes:
        """The answer to a Logon."""
        if reset:
            self.forget()
        return self.admin("A", (98, 0), (108, 30), *([(141, "Y")] if reset else []))

    def forget(self) -> None:
        """Begin at 1 with nothing kept."""
        self.next_out = self.next_in = 1
        self.sent.clear()
        self.lost.clear()

    def answer(self, raw: bytes) -> list[bytes]:
        """Answer a message of ours: resend requests and test requests."""
        fields = parse(raw)
        if fields.get(43) != "Y":
            assert int(fields[34]) == self.next_in, f"expected {self.next_in}, found {fields}"
            self.next_in += 1
        if fields[35] == "1":
            return [self.admin("0", (112, fields[112]))]
        if fields[35] != "2":
            return []
        first, last = int(fields[7]), int(fields[16])
        self.asked.append((first, last))
        last = self.next_out - 1 if last == 0 else min(last, self.next_out - 1)
        out: list[bytes] = []
        seq = first
        while seq <= last:
            end = seq
            if seq in self.sent and seq not in self.lost:
                out.append(self.raw("B", seq, self.sent[seq], again=True))
            else:
                while end < last and (end + 1 not in self.sent or end + 1 in self.lost):
                    end += 1
                out.append(self.raw("4", seq, [(123, "Y"), (36, end + 1)], again=True))
            seq = end + 1
        return out
