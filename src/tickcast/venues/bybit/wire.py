"""Bybit's cold messages and lists, as far as we read them."""

import msgspec


class PriceFilter(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Price steps."""

    tick_size: str = ""


class LotFilter(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Size steps: ``basePrecision`` of spot, ``qtyStep`` of contracts."""

    qty_step: str = ""
    base_precision: str = ""


class PreListing(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Before its listing a contract is auctioned."""

    cur_auction_phase: str = ""


class Instrument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/v5/market/instruments-info``."""

    symbol: str
    base_coin: str
    quote_coin: str
    status: str = ""
    contract_type: str = ""
    settle_coin: str = ""
    options_type: str = ""
    delivery_time: str = ""
    price_filter: PriceFilter = PriceFilter()
    lot_size_filter: LotFilter = LotFilter()
    pre_listing_info: PreListing | None = None


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page of a list; spot has only one."""

    entries: list[Instrument] = msgspec.field(default_factory=list, name="list")
    next_page_cursor: str | None = msgspec.field(default=None, name="nextPageCursor")


class Listing(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Answer of ``/v5/market/instruments-info``; ``retCode`` 0, or ``retMsg`` says what is wrong."""

    ret_code: int
    ret_msg: str = ""
    result: Page = Page()


class Topics(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What became of the topics of an option subscription."""

    fail_topics: list[str] = []
    success_topics: list[str] = []


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer to what we sent: of options with ``type``, of all others with ``op``."""

    op: str = ""
    type: str = ""
    topic: str = ""
    success: bool = True
    ret_msg: str = ""
    req_id: str = ""
    data: msgspec.Raw = msgspec.Raw()


listing = msgspec.json.Decoder(Listing)
answer = msgspec.json.Decoder(Answer)
topics = msgspec.json.Decoder(Topics)
