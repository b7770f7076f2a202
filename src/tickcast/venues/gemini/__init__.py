"""Gemini: spot pairs and perpetuals over the v2 market data feed."""
