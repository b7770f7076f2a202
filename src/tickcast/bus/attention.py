"""What a producer was told of who watches its instruments, for those of its feed who want to know."""

from collections.abc import Callable, Collection, Mapping

from tickcast.bus.wire import Watched


class Attention:
    """Keeps the newest word of the bus, and passes on what changed of it."""

    def __init__(self) -> None:
        self._told: Watched | None = None
        self._watched: Callable[[Mapping[int, int]], None] | None = None
        self._books: Callable[[Collection[int]], None] | None = None

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Call ``watched`` with the number of watchers of each instrument, now if it is known."""
        self._watched = watched
        if self._told is not None:
            watched(self._told.counts)

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Call ``books`` with the instruments whose book is watched, now if they are known."""
        self._books = books
        if self._told is not None:
            books(self._told.books)

    def take(self, news: Watched) -> None:
        """The bus says what is watched."""
        before, self._told = self._told, news
        if self._watched is not None and (before is None or before.counts != news.counts):
            self._watched(news.counts)
        if self._books is not None and (before is None or before.books != news.books):
            self._books(news.books)
