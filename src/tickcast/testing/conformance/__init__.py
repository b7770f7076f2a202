"""Conformance of venues: a session of the registry against a simulated venue, rule by rule, on a virtual clock.

Usable for a venue of your own: register it, write a voice, and call :func:`tickcast.testing.conformance.suite.check`.
"""
