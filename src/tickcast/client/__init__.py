"""The Python client: :func:`tickcast.connect`, :func:`tickcast.connect_sync`, what they give, and what they raise."""

from tickcast.client.bars import Bar
from tickcast.client.books import Book
from tickcast.client.client import Client, connect
from tickcast.client.counters import Counters, Proofs
from tickcast.client.errors import (
    ClientError,
    ClosedError,
    NotAllowedError,
    ProtocolError,
    RequestError,
    TokenError,
    UnreachableError,
)
from tickcast.client.frames import to_pandas, to_polars
from tickcast.client.rest import Feed, Symbol
from tickcast.client.status import DeliveryStatus, FeedStatus, GapStatus, Status
from tickcast.client.stream import Stream
from tickcast.client.sync import SyncClient, SyncStream, connect_sync
from tickcast.client.ticks import Tick
from tickcast.client.trades import Lost, Trade

__all__ = [
    "Bar",
    "Book",
    "Client",
    "ClientError",
    "ClosedError",
    "Counters",
    "DeliveryStatus",
    "Feed",
    "FeedStatus",
    "GapStatus",
    "Lost",
    "NotAllowedError",
    "Proofs",
    "ProtocolError",
    "RequestError",
    "Status",
    "Stream",
    "Symbol",
    "SyncClient",
    "SyncStream",
    "Tick",
    "TokenError",
    "Trade",
    "UnreachableError",
    "connect",
    "connect_sync",
    "to_pandas",
    "to_polars",
]
