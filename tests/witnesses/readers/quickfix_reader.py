"""A FIX client made of QuickFIX: logs on, subscribes to everything, keeps its own books. A process of its own.

    python quickfix_reader.py HOST PORT TARGET FOLDER

QuickFIX validates every message against its FIX 4.4 dictionary, to which only the venue's own fields are added (see
``src/tickcast/sim/fix/NOTES.md``). Commands come as lines on stdin, each is answered with a line of JSON:
``state`` (books and counters), ``skip N`` (leave out N of our own sequence numbers with the next message), ``stop``.
"""

import json
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import quickfix as fix

FIELDS = {"1003": ("TradeID", "STRING"), "2446": ("AggressorSide", "INT"), "969": ("MinPriceIncrement", "FLOAT")}
ADDED = {
    "MDFullGrp/group": ("TradeID", "TransactTime"),
    "MDIncGrp/group": ("RptSeq", "TradeID", "AggressorSide", "TransactTime"),
    "SecListGrp/group": ("MinPriceIncrement",),
}
ADDED_TO_MESSAGES = {"W": ("RptSeq",), "X": ("LastFragment",), "d": ("MinPriceIncrement",)}


def dictionary(folder: Path) -> Path:
    """Write QuickFIX's FIX 4.4 dictionary with the venue's additions."""
    tree = ET.parse(Path(sys.prefix) / "share/quickfix/FIX44.xml")  # noqa: S314  comes with the installed package
    root = tree.getroot()
    known = {one.get("number") for one in root.findall("fields/field")}
    for number, (name, kind) in FIELDS.items():
        if number not in known:
            ET.SubElement(_one(root, "fields"), "field", number=number, name=name, type=kind)
    for place, names in ADDED.items():
        component, _, rest = place.partition("/")
        parent = _one(_one(root, f"components/component[@name='{component}']"), rest)
        for name in names:
            ET.SubElement(parent, "field", name=name, required="N")
    for kind, names in ADDED_TO_MESSAGES.items():
        for name in names:
            ET.SubElement(_one(root, f"messages/message[@msgtype='{kind}']"), "field", name=name, required="N")
    path = folder / "FIX44-venue.xml"
    tree.write(path)
    return path


def _one(parent: ET.Element, path: str) -> ET.Element:
    found = parent.find(path)
    if found is None:
        raise LookupError(path)
    return found


SETTINGS = """
[DEFAULT]
ConnectionType=initiator
ReconnectInterval=1
FileStorePath={folder}/store
FileLogPath={folder}/log
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=Y
DataDictionary={dictionary}
ValidateFieldsOutOfOrder=Y
ValidateFieldsHaveValues=Y
ValidateUserDefinedFields=Y
CheckLatency=Y
CheckCompID=Y
[SESSION]
BeginString=FIX.4.4
SenderCompID=QUICKFIX
TargetCompID={target}
HeartBtInt=5
SocketConnectHost={host}
SocketConnectPort={port}
"""


def text(fields: Any, tag: int) -> str | None:
    """A field's value, None if it is not there."""
    return fields.getField(tag) if fields.isSetField(tag) else None


class Reader(fix.Application):  # type: ignore[misc]
    """Keeps books; QuickFIX calls it from its own thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.session: Any = None
        self.symbols: list[str] = []
        self.books: dict[str, dict[str, dict[str, int]]] = {}
        self.numbers: dict[str, int] = {}
        self.last: dict[str, str] = {}
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        self.logons = self.possible_duplicates = self.fragments = 0

    def onCreate(self, session: Any) -> None:  # noqa: N802  QuickFIX names it
        self.session = session

    def onLogon(self, session: Any) -> None:  # noqa: N802
        self.logons += 1
        request = self._message("x")
        request.setField(320, "LIST")
        request.setField(559, "4")
        fix.Session.sendToTarget(request, session)

    def onLogout(self, session: Any) -> None:  # noqa: N802
        pass

    def toAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        self._count("sent", message)
        if message.getHeader().getField(35) == "3":
            self.problems.append(f"we rejected: {message.toString()}")

    def toApp(self, message: Any, session: Any) -> None:  # noqa: N802
        self._count("sent", message)
        if message.getHeader().getField(35) == "j":
            self.problems.append(f"we refused: {message.toString()}")

    def fromAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        self._count("received", message)
        if message.getHeader().getField(35) in {"3", "5"}:
            self.problems.append(f"they said: {message.toString()}")

    def fromApp(self, message: Any, session: Any) -> None:  # noqa: N802
        kind = message.getHeader().getField(35)
        with self.lock:
            self._count("received", message)
            self.possible_duplicates += text(message.getHeader(), 43) == "Y"
            try:
                {"W": self._snapshot, "X": self._increment, "y": self._listed}.get(kind, self._other)(message)
            except Exception as error:  # noqa: BLE001  told to the test, which fails on it
                self.problems.append(f"{kind}: {error!r}")

    def _count(self, way: str, message: Any) -> None:
        name = f"{way} {message.getHeader().getField(35)}"
        self.counts[name] = self.counts.get(name, 0) + 1

    def _message(self, kind: str) -> Any:
        message = fix.Message()
        message.getHeader().setField(35, kind)
        return message

    def _other(self, message: Any) -> None:
        if message.getHeader().getField(35) != "f":
            self.problems.append(f"they said: {message.toString()}")

    def _listed(self, message: Any) -> None:
        for number in range(1, int(message.getField(146)) + 1):
            group = fix.Group(146, 55)
            message.getGroup(number, group)
            self.symbols.append(group.getField(55))
        if text(message, 893) != "N":
            self._subscribe()

    def _subscribe(self) -> None:
        request = self._message("V")
        for tag, value in ((262, "ALL"), (263, "1"), (264, "0"), (265, "1"), (266, "Y")):
            request.setField(tag, value)
        for kind in "012":
            group = fix.Group(267, 269)
            group.setField(269, kind)
            request.addGroup(group)
        for symbol in self.symbols:
            group = fix.Group(146, 55)
            group.setField(55, symbol)
            request.addGroup(group)
        fix.Session.sendToTarget(request, self.session)

    def _snapshot(self, message: Any) -> None:
        symbol = message.getField(55)
        book = self.books[symbol] = {"0": {}, "1": {}}
        self.numbers[symbol] = int(message.getField(83))
        for number in range(1, int(message.getField(268)) + 1):
            group = fix.Group(268, 269)
            message.getGroup(number, group)
            kind = group.getField(269)
            if kind == "2":
                self.last[symbol] = group.getField(1003)
            else:
                book[kind][group.getField(270)] = int(group.getField(271))

    def _increment(self, message: Any) -> None:
        self.fragments += message.isSetField(893)
        symbol = None
        for number in range(1, int(message.getField(268)) + 1):
            group = fix.Group(268, 279)
            message.getGroup(number, group)
            symbol = text(group, 55) or symbol
            if symbol is None:
                raise ValueError("the first entry names no symbol")
            if int(group.getField(83)) != self.numbers[symbol] + 1:
                raise ValueError(f"{symbol}: RptSeq {group.getField(83)} after {self.numbers[symbol]}")
            self.numbers[symbol] += 1
            self._entry(self.books[symbol], symbol, group)

    def _entry(self, book: dict[str, dict[str, int]], symbol: str, group: Any) -> None:
        action, kind = group.getField(279), group.getField(269)
        if kind == "2":
            if action == "0":
                self.last[symbol] = group.getField(1003)
        elif action == "2":
            del book[kind][group.getField(270)]
        else:
            price = group.getField(270)
            if (price in book[kind]) != (action == "1"):
                raise ValueError(f"{symbol}: action {action} for a level at {price}")
            book[kind][price] = int(group.getField(271))

    def state(self) -> dict[str, Any]:
        """Everything, for the test."""
        with self.lock:
            session = fix.Session.lookupSession(self.session)
            best = {
                symbol: {
                    "bid": max(book["0"], key=float, default=None),
                    "ask": min(book["1"], key=float, default=None),
                    "bid_size": str(book["0"].get(max(book["0"], key=float, default=""), 0)),
                    "ask_size": str(book["1"].get(min(book["1"], key=float, default=""), 0)),
                    "last_id": self.last.get(symbol),
                }
                for symbol, book in self.books.items()
            }
            return {
                "best": best, "problems": self.problems[:20], "counts": self.counts, "logons": self.logons,
                "possible_duplicates": self.possible_duplicates, "fragments": self.fragments,
                "next_in": session.getExpectedTargetNum(), "next_out": session.getExpectedSenderNum(),
            }  # fmt: skip


def main() -> None:
    """Run until ``stop``."""
    host, port, target, place = sys.argv[1:]
    folder = Path(place)
    settings = folder / "quickfix.cfg"
    settings.write_text(
        SETTINGS.format(host=host, port=port, target=target, folder=folder, dictionary=dictionary(folder))
    )
    reader = Reader()
    loaded = fix.SessionSettings(str(settings))
    store, log = fix.FileStoreFactory(loaded), fix.FileLogFactory(loaded)
    initiator = fix.SocketInitiator(reader, store, loaded, log)
    initiator.start()
    answer: dict[str, Any]
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "stop":
            break
        if command == "skip":
            session = fix.Session.lookupSession(reader.session)
            session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + int(rest[0]))
            answer = {"next_out": session.getExpectedSenderNum()}
        else:
            answer = reader.state()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    initiator.stop()
    sys.stdout.write(json.dumps({"problems": reader.problems[:20]}) + "\n")


if __name__ == "__main__":
    main()
