"""OKX's cold messages and lists, as far as we read them."""

import msgspec


class Instrument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v5/public/instruments`` and of the ``instruments`` channel."""

    inst_type: str
    inst_id: str
    state: str = ""
    uly: str = ""
    inst_family: str = ""
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_type: str = ""
    stk: str = ""
    opt_type: str = ""
    exp_time: str = ""
    tick_sz: str = ""
    lot_sz: str = ""
    rule_type: str = ""
    open_type: str = ""


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``/api/v5/public/instruments``; every answer has the code ``0`` or says in ``msg`` what is wrong."""

    code: str
    data: list[Instrument]
    msg: str = ""


class Families(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``/api/v5/public/underlying``: one list of names."""

    code: str
    data: list[list[str]]
    msg: str = ""


class Argument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a subscription names."""

    channel: str
    inst_id: str = ""
    inst_type: str = ""
    inst_family: str = ""


class Maintenance(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A row of the ``status`` channel."""

    state: str = ""
    title: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """An answer to what we sent, a notice, or a push of a channel that is no market data."""

    event: str = ""
    arg: Argument | None = None
    code: str = ""
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


instruments = msgspec.json.Decoder(Instruments)
families = msgspec.json.Decoder(Families)
event = msgspec.json.Decoder(Event)
changed = msgspec.json.Decoder(list[Instrument])
maintenance = msgspec.json.Decoder(list[Maintenance])
