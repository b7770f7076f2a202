"""Bitget: spot and futures margined in USDT, USDC and coins over the v2 WebSocket and REST."""
