"""Poloniex: spot."""
