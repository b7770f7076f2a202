"""Deribit v2: perpetuals, futures, options with Greeks, spot and indices over one JSON-RPC socket."""
