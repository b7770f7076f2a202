"""Binance's spot dialect: WebSocket streams and REST."""
