"""The exception tree.

TickcastError
├── UsageError        the user's: config or command line; exit status 2
├── FeedError         a venue or its link: retried with backoff
├── BusError          the bus refused or broke
└── StateError        an instance is not in the state a command needs (not running, already running)
"""


class TickcastError(Exception):
    """Base of all; the text says what was expected, what was found and what happens next."""


class UsageError(TickcastError):
    """A wrong config, option or environment; nothing was started."""


class FeedError(TickcastError):
    """A venue or its link failed; the feed goes on by itself."""


class BusError(TickcastError):
    """The bus refused or broke."""


class StateError(TickcastError):
    """The instance is not in the state that the command needs."""
