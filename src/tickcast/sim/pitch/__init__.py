"""Multicast PITCH for US equities: A and B lines of several units, gap request server and spin server."""
