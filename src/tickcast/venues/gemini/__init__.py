"""Gemini: spot pairs and perpetuals, over the feed of 2026 and, for mark prices, the one before."""
