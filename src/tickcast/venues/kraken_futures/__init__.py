"""Kraken Futures (formerly Crypto Facilities): WebSocket v1."""
