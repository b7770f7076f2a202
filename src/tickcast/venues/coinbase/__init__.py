"""Coinbase Advanced Trade: spot, public WebSocket and REST."""
