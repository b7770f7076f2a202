"""Bybit: spot, linear and inverse contracts, and options over the v5 WebSocket and REST."""
