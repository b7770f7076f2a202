"""ITCH 5.0 over MoldUDP64: A and B lines and a re-request server."""
