from tickcast import _native
from tickcast.model.record import RECORD


def test_record_is_one_cache_line() -> None:
    assert RECORD.itemsize == 64


def test_instrument_id_is_stable() -> None:
    assert _native.instrument_id("XNAS:AAPL") == 13263701989236730772
