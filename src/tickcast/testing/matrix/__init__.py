"""The fault matrix: every protocol with every fault, every process killed and stopped, on a whole running instance.

``python -m tickcast.testing.matrix`` (``make faults``, ``make faults-quick``).
"""
