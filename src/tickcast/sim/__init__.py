"""Simulated exchanges: real servers on loopback in front of one seeded market, or in front of recorded bytes.

Imported by the ``sim`` command and by tests only; see ``docs/reference/sim.md``.
"""
