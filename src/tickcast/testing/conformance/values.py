"""What a venue says of instruments besides books and trades, held against what is true in its market."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tickcast.model.record import Kind
from tickcast.sim.crypto.state import Instrument
from tickcast.sim.crypto.venue import SimVenue
from tickcast.testing.conformance.witness import Seen, Witness

INDEX: Final = "-INDEX"
ROUNDED: Final = {Kind.INDEX: Decimal("0.0051"), Kind.FUNDING: Decimal("0.0000000051")}
"""How venues round what is no multiple of a step: two decimals of an index, eight of a rate."""


class Values:
    """The newest values of a venue's market."""

    def __init__(self, venue: SimVenue) -> None:
        self._venue = venue

    def differences(self, witness: Witness) -> list[str]:
        """Say which last values are not the venue's; of values that it does not tell, nothing."""
        wrong = []
        by_symbol = {one.product.symbol: one for one in self._venue.instruments}
        for symbol, seen in witness.by_symbol.items():
            instrument = by_symbol.get(symbol)
            if instrument is not None:
                wrong += self._compare(symbol, seen, [instrument])
            elif symbol.endswith(INDEX):
                pair = symbol.removesuffix(INDEX)
                derived = [one for one in by_symbol.values() if f"{one.product.base}-{one.product.quote}" == pair]
                wrong += self._compare(symbol, seen, derived)
                if Kind.INDEX not in seen.measures:
                    wrong.append(f"{symbol}: no value was ever told")
        return wrong

    def _compare(self, symbol: str, seen: Seen, instruments: Iterable[Instrument]) -> list[str]:
        truths = [self._true(one) for one in instruments]
        return [
            f"{symbol}: {kind.name} is told as {told}, true is {[truth[kind] for truth in truths]}"
            for kind, told in seen.measures.items()
            if not any(abs(told - truth[kind]) <= ROUNDED.get(kind, 0) for truth in truths)
        ]

    def _true(self, instrument: Instrument) -> dict[Kind, Decimal]:
        self._venue.derive(instrument)
        return {
            Kind.MARK: Decimal(instrument.price(instrument.mark)),
            Kind.INDEX: Decimal(instrument.index_price),
            Kind.FUNDING: Decimal(instrument.funding),
            Kind.OPEN_INTEREST: Decimal(instrument.size(instrument.open_interest)),
        }
