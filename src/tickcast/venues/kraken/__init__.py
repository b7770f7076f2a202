"""Kraken spot: WebSocket v2 live; its older dialect v1 for recordings."""
