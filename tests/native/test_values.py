from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 38))
def test_text_round_trip(mantissa: int, scale: int) -> None:
    text = _native.format_decimal(mantissa, scale)
    assert Decimal(text) == Decimal(mantissa).scaleb(-scale) or abs(mantissa) >= 10**28
    assert _native.parse_decimal(text) == (mantissa, scale)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_parsing_is_exact_or_refused(value: Decimal) -> None:
    try:
        mantissa, scale = _native.parse_decimal(str(value))
    except ValueError:
        exponent = int(value.as_tuple().exponent)
        assert exponent < -38 or abs(value) >= 2**63 or len(value.as_tuple().digits) > 18
    else:
        assert int(value * 0 + mantissa) == mantissa or abs(mantissa) >= 10**28
        assert Decimal((0 if mantissa >= 0 else 1, [int(d) for d in str(abs(mantissa))], -scale)) == value


@pytest.mark.parametrize("text", ["", "NaN", "inf", "1,5", "0x10", "1e", " 1", "9223372036854775808"])
def test_what_is_no_exact_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal number"):
        _native.parse_decimal(text)
