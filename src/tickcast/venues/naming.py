"""Definitions: from a venue's spelling to the house symbology, and to the security an instrument belongs to."""

from collections.abc import Mapping, Sequence
from typing import Literal

from tickcast import _native
from tickcast.model.instrument import AssetClass, Definition
from tickcast.model.symbols import SymbolError, split_name


class Naming:
    """Makes the definitions of one feed."""

    def __init__(self, *, feed: str, venue: str, calendar: str, securities: Mapping[str, Sequence[str]]) -> None:
        """``securities`` is the config's table: security to ``VENUE:SYMBOL`` names, the first is the primary."""
        self._feed = feed
        self._venue = venue
        self._calendar = calendar
        self._security = {name: security for security, names in securities.items() for name in names}
        self._primary = {names[0] for names in securities.values() if names}

    def define(
        self,
        symbol: str,
        *,
        asset_class: AssetClass,
        currency: str,
        native_symbol: str = "",
        tick_size: str | None = None,
        lot_size: str | None = None,
        contract_size: str | None = None,
        time_precision: int = 9,
        settle_currency: str | None = None,
        underlying: str | None = None,
        strike: str | None = None,
        expiry: str | None = None,
        option_type: Literal["call", "put"] | None = None,
    ) -> Definition:
        """Define an instrument.

        Raises:
            SymbolError: the symbol does not follow the symbology.
        """
        name = f"{self._venue}:{symbol}"
        split_name(name)
        return Definition(
            instrument=_native.instrument_id(name),
            venue=self._venue,
            symbol=symbol,
            feed=self._feed,
            security=self._security.get(name, symbol),
            asset_class=asset_class,
            currency=currency,
            native_symbol="" if native_symbol == symbol else native_symbol,
            tick_size=tick_size,
            lot_size=lot_size,
            contract_size=contract_size,
            calendar=self._calendar,
            time_precision=time_precision,
            primary=name in self._primary,
            settle_currency=settle_currency,
            underlying=underlying,
            strike=strike,
            expiry=expiry,
            option_type=option_type,
        )


__all__ = ["Naming", "SymbolError"]
