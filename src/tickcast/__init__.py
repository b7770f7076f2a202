"""tickcast: exchange feeds in, every screen and every table out, every hop measured and every loss counted."""

__version__ = "0.1.0"

__all__ = ["__version__"]
