"""Bitfinex: spot pairs and perpetuals over the v2 WebSocket."""
