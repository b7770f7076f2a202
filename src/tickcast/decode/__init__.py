"""Captured bytes to records: files in, JSON lines, CSV, Arrow or a summary out; what ``tickcast decode`` does.

The decoders, the arbitration of lines and the sessions are those of the live feeds. What is here finds out what a file
holds, takes the container off, counts, and writes. Nothing is ever held as a whole: memory does not grow with a file.
"""
