"""Crypto.com's cold messages and lists, as far as we read them."""

import msgspec


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``public/get-instruments``."""

    symbol: str
    inst_type: str = ""
    base_ccy: str = ""
    quote_ccy: str = ""
    price_tick_size: str = ""
    qty_tick_size: str = ""
    contract_size: str = ""
    tradable: bool = True
    expiry_timestamp_ms: int = 0
    underlying_symbol: str = ""


class OlderInstrument(msgspec.Struct, frozen=True, gc=False):
    """The same of v2: pairs."""

    instrument_name: str
    base_currency: str
    quote_currency: str
    price_decimals: int = 0
    quantity_decimals: int = 0


class InstrumentList(msgspec.Struct, frozen=True, gc=False):
    """Both lists: v2 has ``instruments``."""

    data: list[Instrument] = []
    instruments: list[OlderInstrument] = []


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``public/get-instruments``; a code that is not 0 is an error."""

    code: int = 0
    message: str = ""
    result: InstrumentList = msgspec.field(default_factory=InstrumentList)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer to what we sent, or a heartbeat, which wants one."""

    id: int = -1
    method: str = ""
    code: int = 0
    message: str = ""
    result: msgspec.Raw = msgspec.Raw()


class Pushed(msgspec.Struct, frozen=True, gc=False):
    """What is in a push, as far as it names itself."""

    channel: str = ""


class Parameters(msgspec.Struct, frozen=True, gc=False):
    """Of a subscription."""

    channels: list[str] = []


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    method: str = ""
    params: Parameters = msgspec.field(default_factory=Parameters)


instruments = msgspec.json.Decoder(Instruments, strict=False)
pushed = msgspec.json.Decoder(Pushed, strict=False)
answer = msgspec.json.Decoder(Answer, strict=False)
operation = msgspec.json.Decoder(Operation)
