"""A market that speaks FIX 4.4: the acceptor of XNYS."""
