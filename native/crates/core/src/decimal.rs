//! Exact decimals: text to `(mantissa, scale)` and back. `value = mantissa / 10^scale`.
//!
//! No float is ever involved. The digits of a text survive (`185.40` is `(18540, 2)`, not `(1854, 1)`), since clients see
//! what the venue wrote. Two limits: the mantissa is an `i64`, and the scale is at most [`MAX_SCALE`]. Trailing zeros are given up where a limit would be crossed.

use core::cmp::Ordering;
use core::fmt;

/// Largest scale.
pub const MAX_SCALE: u8 = 38;

/// An exact decimal number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: u8,
}

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `[+-] digits [. digits] [e [+-] digits]`.
    Malformed,
    /// A number, but its mantissa needs more than 64 bits or its scale is above [`MAX_SCALE`].
    DoesNotFit,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "not a decimal number",
            Self::DoesNotFit => "does not fit in 64 bits exactly",
        })
    }
}

impl std::error::Error for DecimalError {}

impl Decimal {
    #[must_use]
    pub const fn new(mantissa: i64, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// Parses a text exactly.
    ///
    /// # Errors
    /// The text is no number or does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        if let Some(decimal) = plain(text) {
            return Ok(decimal);
        }
        let scanned = scan(text)?;
        if scanned.lost_nonzero {
            return Err(DecimalError::DoesNotFit);
        }
        let (decimal, exact) = scanned.fit()?;
        if exact {
            Ok(decimal)
        } else {
            Err(DecimalError::DoesNotFit)
        }
    }

    /// Parses a text; digits behind the point that do not fit are rounded away (half away from zero). The second value is
    /// false if that happened.
    ///
    /// # Errors
    /// The text is no number, or its whole part alone does not fit.
    pub fn parse_rounded(text: &[u8]) -> Result<(Self, bool), DecimalError> {
        if let Some(decimal) = plain(text) {
            return Ok((decimal, true));
        }
        let mut scanned = scan(text)?;
        if scanned.first_lost >= 5 {
            // The magnitude may step over the last representable value only at the very limit: then it stays there.
            scanned.magnitude = (scanned.magnitude + 1).min(scanned.limit());
        }
        let lost = scanned.lost_nonzero;
        let (decimal, exact) = scanned.fit()?;
        Ok((decimal, exact && !lost))
    }

    /// Compares values, whatever the scales: `1.50` equals `1.5` here (but not under `==`).
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        if self.scale > other.scale {
            return other.compare(self).reverse();
        }
        // self.scale < other.scale: self at the finer scale. Where that does not fit, it is beyond every mantissa there is.
        let power = 10_i64.checked_pow(u32::from(other.scale - self.scale));
        match power.and_then(|power| self.mantissa.checked_mul(power)) {
            Some(mantissa) => mantissa.cmp(&other.mantissa),
            None if self.mantissa == 0 => 0.cmp(&other.mantissa),
            None => self.mantissa.cmp(&0),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format_decimal(self.mantissa, self.scale))
    }
}

/// Longest text that [`plain`] reads: so many digits fit whatever they are.
const PLAIN_MAX: usize = 18;

/// A short text of digits and at most one point, as nearly all are; `None` leaves it to the general way.
#[inline]
fn plain(text: &[u8]) -> Option<Decimal> {
    if text.len() > PLAIN_MAX {
        return None;
    }
    let (mut mantissa, mut point) = (0_i64, None);
    for (place, &byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + i64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(place);
        } else {
            return None;
        }
    }
    let scale = point.map_or(0, |place| text.len() - 1 - place);
    // a text without a digit is none
    (text.len() > usize::from(point.is_some())).then(|| Decimal::new(mantissa, scale as u8))
}

/// Digits of a text as far as they fit.
struct Scanned {
    negative: bool,
    magnitude: u64,
    /// The value is `magnitude / 10^scale`, plus what was lost.
    scale: i64,
    first_lost: u8,
    lost_nonzero: bool,
}

impl Scanned {
    const fn limit(&self) -> u64 {
        limit(self.negative)
    }

    /// Brings the scale into its range; the second value is false if digits other than zero had to go for that.
    fn fit(mut self) -> Result<(Decimal, bool), DecimalError> {
        let mut exact = true;
        if self.magnitude == 0 {
            self.scale = self.scale.clamp(0, i64::from(MAX_SCALE));
        }
        while self.scale < 0 {
            self.magnitude = self
                .magnitude
                .checked_mul(10)
                .filter(|&magnitude| magnitude <= self.limit())
                .ok_or(DecimalError::DoesNotFit)?;
            self.scale += 1;
        }
        while self.scale > i64::from(MAX_SCALE) {
            let last = self.magnitude % 10;
            self.magnitude /= 10;
            if last != 0 {
                exact = false;
                // Only the last step rounds, so that no value is rounded twice.
                if last >= 5 && self.scale == i64::from(MAX_SCALE) + 1 {
                    self.magnitude += 1;
                }
            }
            self.scale -= 1;
            if self.magnitude == 0 {
                self.scale = i64::from(MAX_SCALE);
            }
        }
        let mantissa = if self.negative {
            0_i64.wrapping_sub_unsigned(self.magnitude)
        } else {
            self.magnitude.cast_signed()
        };
        let scale = u8::try_from(self.scale).map_err(|_| DecimalError::DoesNotFit)?;
        Ok((Decimal { mantissa, scale }, exact))
    }
}

/// Largest magnitude of an `i64` with this sign.
const fn limit(negative: bool) -> u64 {
    if negative {
        i64::MIN.unsigned_abs()
    } else {
        i64::MAX.unsigned_abs()
    }
}

fn scan(text: &[u8]) -> Result<Scanned, DecimalError> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut scanned = Scanned {
        negative,
        magnitude: 0,
        scale: 0,
        first_lost: 0,
        lost_nonzero: false,
    };
    let limit = limit(negative);
    let (mut seen, mut point, mut full) = (false, false, false);
    let mut rest = digits;
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                let digit = byte - b'0';
                let next = if full {
                    None
                } else {
                    scanned
                        .magnitude
                        .checked_mul(10)
                        .and_then(|value| value.checked_add(u64::from(digit)))
                };
                match next.filter(|&value| value <= limit) {
                    Some(value) => {
                        scanned.magnitude = value;
                        scanned.scale += i64::from(point);
                    }
                    None => {
                        if !full {
                            scanned.first_lost = digit;
                        }
                        full = true;
                        scanned.lost_nonzero |= digit != 0;
                        scanned.scale -= i64::from(!point);
                    }
                }
                seen = true;
            }
            b'.' if !point => point = true,
            b'e' | b'E' if seen => {
                scanned.scale -= exponent(tail)?;
                return Ok(scanned);
            }
            _ => return Err(DecimalError::Malformed),
        }
        rest = tail;
    }
    if seen {
        Ok(scanned)
    } else {
        Err(DecimalError::Malformed)
    }
}

/// An exponent, held within a range that is far beyond what can fit.
fn exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (sign, digits) = match text.first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::Malformed);
    }
    let value = digits.iter().fold(0_i64, |value, byte| {
        (value * 10 + i64::from(byte - b'0')).min(100_000)
    });
    Ok(sign * value)
}

/// Appends the text of `mantissa / 10^scale`: exactly `scale` digits behind the point, never an exponent.
pub fn write_decimal(out: &mut Vec<u8>, mantissa: i64, scale: u8) {
    let mut buffer = [0_u8; 20]; // u64::MAX has 20 digits
    let mut start = buffer.len();
    let mut magnitude = mantissa.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
        if magnitude == 0 {
            break;
        }
    }
    let digits = &buffer[start..];
    if mantissa < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if let Some(whole) = digits.len().checked_sub(scale).filter(|&whole| whole > 0) {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// The text that [`write_decimal`] appends.
#[must_use]
pub fn format_decimal(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::with_capacity(24);
    write_decimal(&mut out, mantissa, scale);
    out.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(i64, u8), DecimalError> {
        Decimal::parse(text.as_bytes()).map(|decimal| (decimal.mantissa, decimal.scale))
    }

    #[test]
    fn digits_survive() {
        assert_eq!(parse("185.40"), Ok((18540, 2)));
        assert_eq!(parse("-1e-7"), Ok((-1, 7)));
        assert_eq!(parse("1E3"), Ok((1000, 0)));
        assert_eq!(parse("1.50e1"), Ok((150, 1)));
        assert_eq!(parse("+.5"), Ok((5, 1)));
        assert_eq!(parse("5."), Ok((5, 0)));
        assert_eq!(parse("0.00000000"), Ok((0, 8)));
        assert_eq!(parse("-0.0"), Ok((0, 1)));
        assert_eq!(parse("0e400"), Ok((0, 0)));
        assert_eq!(parse("0e-400"), Ok((0, MAX_SCALE)));
    }

    #[test]
    fn limits_are_exact() {
        assert_eq!(parse("9223372036854775807"), Ok((i64::MAX, 0)));
        assert_eq!(parse("-9223372036854775808"), Ok((i64::MIN, 0)));
        assert_eq!(parse("9223372036854775808"), Err(DecimalError::DoesNotFit));
        assert_eq!(parse("92233720368547758070"), Err(DecimalError::DoesNotFit));
        assert_eq!(parse("9223372036854775807.000"), Ok((i64::MAX, 0)));
        assert_eq!(
            parse("1.0000000000000000000000000"),
            Ok((1_000_000_000_000_000_000, 18))
        );
        assert_eq!(
            parse("0.12345678901234567891"),
            Err(DecimalError::DoesNotFit)
        );
        assert_eq!(parse("10e-39"), Ok((1, 38)));
        assert_eq!(parse("1e-39"), Err(DecimalError::DoesNotFit));
        assert_eq!(
            parse("1e99999999999999999999"),
            Err(DecimalError::DoesNotFit)
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "NaN", "inf", "0x1",
            "1_000", "--1",
        ] {
            assert_eq!(parse(text), Err(DecimalError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_rounded() {
        let rounded = |text: &str| {
            Decimal::parse_rounded(text.as_bytes()).map(|(d, exact)| (d.mantissa, d.scale, exact))
        };
        assert_eq!(
            rounded("0.12345678901234567890123456789012345678"),
            Ok((1_234_567_890_123_456_789, 19, false))
        );
        assert_eq!(
            rounded("0.12345678901234567895"),
            Ok((1_234_567_890_123_456_790, 19, false))
        );
        assert_eq!(rounded("1e-39"), Ok((0, 38, false)));
        assert_eq!(rounded("9e-39"), Ok((1, 38, false)));
        assert_eq!(rounded("1.5"), Ok((15, 1, true)));
        assert_eq!(
            rounded("9.9999999999999999999999"),
            Ok((1_000_000_000_000_000_000, 17, false))
        );
        assert_eq!(
            rounded("92233720368547758080"),
            Err(DecimalError::DoesNotFit)
        );
    }

    #[test]
    fn text_has_scale_digits() {
        for (mantissa, scale, text) in [
            (0, 0, "0"),
            (0, 3, "0.000"),
            (5, 3, "0.005"),
            (-5, 1, "-0.5"),
            (18540, 2, "185.40"),
            (i64::MIN, 0, "-9223372036854775808"),
            (i64::MIN, 19, "-0.9223372036854775808"),
            (1, 40, "0.0000000000000000000000000000000000000001"),
        ] {
            assert_eq!(format_decimal(mantissa, scale), text);
        }
    }

    proptest! {
        #[test]
        fn round_trip(mantissa: i64, scale in 0..=MAX_SCALE) {
            prop_assert_eq!(parse(&format_decimal(mantissa, scale)), Ok((mantissa, scale)));
        }

        #[test]
        fn any_bytes_are_safe(text: Vec<u8>) {
            let exact = Decimal::parse(&text);
            if let Ok(decimal) = exact {
                prop_assert_eq!(Decimal::parse_rounded(&text), Ok((decimal, true)));
            }
        }

        #[test]
        fn number_like_bytes_are_safe(text in "[-+]?[0-9]{0,30}[.]?[0-9]{0,50}(e[-+]?[0-9]{1,4})?") {
            if let Ok(decimal) = Decimal::parse(text.as_bytes()) {
                prop_assert_eq!(Decimal::parse_rounded(text.as_bytes()), Ok((decimal, true)));
            }
        }

        #[test]
        fn compare_is_by_value(a: i32, b: i32, scale_a in 0..10_u8, scale_b in 0..10_u8) {
            let value = |mantissa: i32, scale: u8| i128::from(mantissa) * 10_i128.pow(u32::from(10 - scale));
            let found = Decimal::new(a.into(), scale_a).compare(Decimal::new(b.into(), scale_b));
            prop_assert_eq!(found, value(a, scale_a).cmp(&value(b, scale_b)));
        }
    }
}
