"""Records as an Arrow IPC stream; needs the optional extra ``arrow`` (pyarrow)."""

import io
from collections.abc import Mapping
from typing import IO, Any, Final

from tickcast import _native
from tickcast.decode.report import Report
from tickcast.model.errors import UsageError

BATCH_BYTES: Final = 8 << 20
"""Text of one record batch: the columns are read from the CSV that the core writes."""


class ArrowSink:
    """Writes an Arrow IPC stream: prices, sizes and ids are exact texts, times and numbers integers, flags a list."""

    def __init__(self, venue: str, out: IO[bytes], *, substitute_times: bool, reasons: bool) -> None:
        """See :class:`tickcast._native.RecordWriter` for the last two.

        Raises:
            UsageError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa  # noqa: PLC0415  optional, and slow to import
            import pyarrow.compute as pc  # noqa: PLC0415
            import pyarrow.csv  # noqa: PLC0415
            import pyarrow.ipc  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                "--format arrow: expected the package pyarrow, found none; install tickcast[arrow]; nothing was decoded"
            ) from error
        self._arrow: Any = pa
        self._compute: Any = pc
        self._venue = venue
        self._writer = _native.RecordWriter(venue, substitute_times=substitute_times, reasons=reasons)
        self._held: list[bytes] = []
        self._held_bytes = 0
        text, integer, number = pa.string(), pa.int64(), pa.uint64()
        self._types = {
            "kind": text,
            "venue": text,
            "symbol": text,
            "ts_event": integer,
            "ts_recv": integer,
            "price": text,
            "size": text,
            "side": text,
            "seq": number,
            "id": text,
            "detail": text,
            "flags": text,
        }
        columns = {**self._types, "flags": pa.list_(text)}
        self._schema: Any = pa.schema(list(columns.items()))
        self._stream: Any = pyarrow.ipc.new_stream(out, self._schema)
        self._out = out

    def define(self, instrument: int, symbol: str) -> None:
        """Name an instrument."""
        self._writer.define(instrument, self._venue, symbol)

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """Hold records until they are worth a batch."""
        lines = self._writer.csv(records, texts)
        self._held.append(lines)
        self._held_bytes += len(lines)
        if self._held_bytes >= BATCH_BYTES:
            self._flush()

    def close(self, report: Report) -> None:
        """Write what is left and the end of the stream."""
        del report
        self._flush()
        self._stream.close()
        self._out.flush()

    def _flush(self) -> None:
        if not self._held:
            return
        data, self._held, self._held_bytes = b"".join(self._held), [], 0
        options = self._arrow.csv.ConvertOptions(
            column_types=self._types, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=False
        )
        reading = self._arrow.csv.ReadOptions(column_names=list(self._types), block_size=len(data) + 1)
        table = self._arrow.csv.read_csv(io.BytesIO(data), read_options=reading, convert_options=options)
        flags = table.column("flags")
        words = self._compute.split_pattern(self._compute.fill_null(flags, ""), " ")
        empty = self._compute.is_null(flags)
        none = self._arrow.scalar([], self._arrow.list_(self._arrow.string()))
        words = self._compute.if_else(empty, none, words)
        place = table.schema.get_field_index("flags")
        self._stream.write_table(table.set_column(place, self._schema.field("flags"), words))
