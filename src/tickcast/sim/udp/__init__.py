"""What simulated exchanges with datagram lines share: sending on redundant lines, and a history of packets."""
