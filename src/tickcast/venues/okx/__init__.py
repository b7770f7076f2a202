"""OKX: spot, perpetuals, futures, options and indices over the v5 WebSocket and REST."""
