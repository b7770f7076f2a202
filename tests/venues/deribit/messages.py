"""Deribit's messages as the venue writes them."""

import json
from typing import Any

INSTRUMENTS: list[dict[str, Any]] = [
    {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "settlement_currency": "BTC",
        "price_index": "btc_usd",
        "settlement_period": "perpetual",
        "is_active": True,
        "state": "open",
        "tick_size": 0.5,
        "min_trade_amount": 10.0,
        "contract_size": 10.0,
        "expiration_timestamp": 32503708800000,
    },
    {
        "instrument_name": "BTC-3JAN26-50000-C",
        "kind": "option",
        "base_currency": "BTC",
        "quote_currency": "BTC",
        "settlement_currency": "BTC",
        "price_index": "btc_usd",
        "settlement_period": "week",
        "is_active": True,
        "tick_size": 0.0005,
        "min_trade_amount": 0.1,
        "contract_size": 1.0,
        "strike": 50000.0,
        "option_type": "call",
        "expiration_timestamp": 1767427200000,
    },
    {
        "instrument_name": "XRP_USDC-27MAR26-0d625-P",
        "kind": "option",
        "base_currency": "XRP",
        "quote_currency": "USDC",
        "settlement_currency": "USDC",
        "price_index": "xrp_usdc",
        "settlement_period": "month",
        "is_active": True,
        "state": "locked",
        "tick_size": 0.0001,
        "min_trade_amount": 1000,
        "contract_size": 1000,
        "strike": 0.625,
        "option_type": "put",
        "expiration_timestamp": 1774598400000,
    },
    {
        "instrument_name": "BTC_USDC",
        "kind": "spot",
        "base_currency": "BTC",
        "quote_currency": "USDC",
        "price_index": "btc_usdc",
        "is_active": False,
        "tick_size": 1.0,
        "min_trade_amount": 0.0001,
        "contract_size": 0.0001,
    },
    {
        "instrument_name": "BTC-FS-19MAY26_PERP",
        "kind": "future_combo",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "price_index": "btc_usd",
        "is_active": True,
        "tick_size": 0.5,
    },
]


def encoded(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def listing(entries: list[dict[str, Any]] = INSTRUMENTS) -> bytes:
    return encoded({"jsonrpc": "2.0", "result": entries, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False})


def notification(channel: str, data: Any) -> bytes:
    params = {"channel": channel, "data": data}
    return encoded({"jsonrpc": "2.0", "method": "subscription", "params": params})
