"""Bitstamp: spot and perpetuals, WebSocket v2."""
