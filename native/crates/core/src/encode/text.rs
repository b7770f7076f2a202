//! Texts of single values: exact numbers, RFC 3339 times, JSON strings.

use crate::decimal::write_decimal;
use crate::latest::{Amount, Price};

/// A price with its own digits, in quotes if `strings`.
pub fn write_price(out: &mut Vec<u8>, price: Option<Price>, strings: bool) {
    match price {
        None => out.extend_from_slice(b"null"),
        Some(price) if strings => {
            out.push(b'"');
            write_decimal(out, price.mantissa, price.scale);
            out.push(b'"');
        }
        Some(price) => write_decimal(out, price.mantissa, price.scale),
    }
}

/// A sum or a difference, likewise.
pub fn write_amount(out: &mut Vec<u8>, amount: Option<Amount>, strings: bool) {
    let Some(amount) = amount else {
        out.extend_from_slice(b"null");
        return;
    };
    if strings {
        out.push(b'"');
    }
    match i64::try_from(amount.mantissa) {
        Ok(mantissa) => write_decimal(out, mantissa, amount.scale),
        Err(_) => write_wide(out, amount),
    }
    if strings {
        out.push(b'"');
    }
}

/// More than 64 bits: sums of sums, seldom.
fn write_wide(out: &mut Vec<u8>, amount: Amount) {
    if amount.mantissa < 0 {
        out.push(b'-');
    }
    let scale = usize::from(amount.scale);
    let digits = format!("{:0>1$}", amount.mantissa.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    match i64::try_from(value) {
        Ok(value) => write_decimal(out, value, 0),
        Err(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

/// `"2026-03-29T14:30:01.234Z"`, quotes included: `digits` of a second (0 to 9), the rest cut off.
pub fn write_time(out: &mut Vec<u8>, ns: i64, digits: u8) {
    let seconds = ns.div_euclid(1_000_000_000);
    let nanos = ns.rem_euclid(1_000_000_000);
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let mut text = *b"\"0000-00-00T00:00:00.000000000";
    put(&mut text[1..5], year);
    put(&mut text[6..8], month);
    put(&mut text[9..11], day);
    put(&mut text[12..14], second / 3600);
    put(&mut text[15..17], second / 60 % 60);
    put(&mut text[18..20], second % 60);
    put(&mut text[21..30], nanos);
    let end = if digits == 0 {
        20
    } else {
        21 + usize::from(digits.min(9))
    };
    out.extend_from_slice(&text[..end]);
    out.extend_from_slice(b"Z\"");
}

/// Decimal digits, right to left, zeros in front.
fn put(place: &mut [u8], mut value: i64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year, in eras of 400 years (146,097 days).
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

/// A JSON string, quotes included (RFC 8259 section 7).
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                let low = HEX[usize::from(byte & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], low]);
            }
            other => out.push(other),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_at_every_precision() {
        let ns = 1_774_794_601_234_567_891;
        assert_eq!(
            text(|out| write_time(out, ns, 3)),
            "\"2026-03-29T14:30:01.234Z\""
        );
        assert_eq!(
            text(|out| write_time(out, ns, 6)),
            "\"2026-03-29T14:30:01.234567Z\""
        );
        assert_eq!(
            text(|out| write_time(out, ns, 9)),
            "\"2026-03-29T14:30:01.234567891Z\""
        );
        assert_eq!(
            text(|out| write_time(out, ns, 0)),
            "\"2026-03-29T14:30:01Z\""
        );
        assert_eq!(
            text(|out| write_time(out, -1, 3)),
            "\"1969-12-31T23:59:59.999Z\""
        );
        assert_eq!(
            text(|out| write_time(out, 951_782_400_000_000_000, 3)),
            "\"2000-02-29T00:00:00.000Z\""
        );
        assert_eq!(
            text(|out| write_time(out, i64::MAX, 9)),
            "\"2262-04-11T23:47:16.854775807Z\""
        );
    }

    #[test]
    fn amounts_beyond_64_bits() {
        let amount = |mantissa: i128, scale| {
            text(|out| write_amount(out, Some(Amount { mantissa, scale }), false))
        };
        assert_eq!(
            amount(i128::from(i64::MAX) * 100, 2),
            "9223372036854775807.00"
        );
        assert_eq!(
            amount(-i128::from(i64::MAX) * 10, 0),
            "-92233720368547758070"
        );
        assert_eq!(
            amount(100_000_000_000_000_000_000, 30),
            "0.000000000100000000000000000000"
        );
        assert_eq!(text(|out| write_amount(out, None, true)), "null");
        assert_eq!(
            text(|out| write_amount(out, Some(Amount::new(150, 2)), true)),
            "\"1.50\""
        );
        assert_eq!(text(|out| write_u64(out, u64::MAX)), "18446744073709551615");
    }

    /// The slow way: count the days one by one.
    fn date_by_counting(days: i64) -> (i64, i64, i64) {
        let (mut year, mut rest) = (1970, days);
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        while rest >= 365 + i64::from(is_leap(year)) {
            rest -= 365 + i64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + i64::from(is_leap(year));
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if rest < length {
                return (year, month, rest + 1);
            }
            rest -= length;
        }
        unreachable!("a year has 12 months")
    }

    proptest! {
        #[test]
        fn dates_agree_with_counting(days in 0_i64..106_751) {
            prop_assert_eq!(civil_date(days), date_by_counting(days));
        }

        #[test]
        fn strings_survive(name in "\\PC*|[\\x00-\\x7f]*") {
            let parsed: String = serde_json::from_slice(&quote(&name)).unwrap();
            prop_assert_eq!(parsed, name);
        }
    }
}
