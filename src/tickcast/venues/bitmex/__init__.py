"""BitMEX: perpetuals, futures and spot pairs."""
