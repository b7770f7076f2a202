"""Recorded real bytes behind the same servers: an ITCH file, a captured Binance session."""
