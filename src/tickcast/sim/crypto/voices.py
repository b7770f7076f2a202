"""Which voices there are."""

from importlib import import_module
from typing import Final

from tickcast.model.errors import UsageError
from tickcast.sim.crypto.voice import Voice

VOICES: Final[dict[str, str]] = {
    "binance": "tickcast.sim.crypto.binance:BinanceVoice",
    "okx": "tickcast.sim.crypto.okx:OkxVoice",
    "bybit": "tickcast.sim.crypto.bybit:BybitVoice",
    "deribit": "tickcast.sim.crypto.deribit:DeribitVoice",
    "coinbase": "tickcast.sim.crypto.coinbase:CoinbaseVoice",
    "kraken": "tickcast.sim.crypto.kraken:KrakenVoice",
    "bitstamp": "tickcast.sim.crypto.bitstamp:BitstampVoice",
    "kraken_futures": "tickcast.sim.crypto.kraken_futures:KrakenFuturesVoice",
    "bitget": "tickcast.sim.crypto.bitget:BitgetVoice",
    "htx": "tickcast.sim.crypto.htx:HtxVoice",
    "binance_futures": "tickcast.sim.crypto.binance_futures:BinanceFuturesVoice",
    "bitfinex": "tickcast.sim.crypto.bitfinex:BitfinexVoice",
    "gemini": "tickcast.sim.crypto.gemini:GeminiVoice",
    "kucoin": "tickcast.sim.crypto.kucoin:KucoinVoice",
    "gateio": "tickcast.sim.crypto.gateio:GateioVoice",
    "bitmex": "tickcast.sim.crypto.bitmex:BitmexVoice",
    "crypto_com": "tickcast.sim.crypto.crypto_com:CryptoComVoice",
    "poloniex": "tickcast.sim.crypto.poloniex:PoloniexVoice",
}
"""Word of the config's ``dialect`` to the voice's class; imported when used. Its house code is the word in capitals."""


def voice(word: str) -> type[Voice]:
    """Return a voice's class.

    Raises:
        UsageError: there is none of that name.
    """
    if word not in VOICES:
        raise UsageError(f"expected a voice of {', '.join(sorted(VOICES))}, found {word}; nothing started")
    module, _, name = VOICES[word].partition(":")
    found: type[Voice] = getattr(import_module(module), name)
    return found
