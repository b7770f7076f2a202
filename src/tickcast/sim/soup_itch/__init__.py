"""ITCH 5.0 over SoupBinTCP 3.00."""
