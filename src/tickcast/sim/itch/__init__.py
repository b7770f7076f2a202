"""ITCH 5.0 messages of a market: shared by the transports SoupBinTCP and MoldUDP64."""
