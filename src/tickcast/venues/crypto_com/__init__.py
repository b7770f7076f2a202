"""Crypto.com Exchange: spot pairs, perpetuals and futures."""
