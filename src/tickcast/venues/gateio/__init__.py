"""Gate.io v4: spot, perpetuals and delivery futures; its older dialect v3 for recordings."""
