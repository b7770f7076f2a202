//! Times as venues write them, to nanoseconds since 1970 UTC. No float is involved; digits below the nanosecond are cut off.

use super::dialect::TimeUnit;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Reads a time; `None` if it is none or does not fit in 64 bits.
#[inline]
#[must_use]
pub fn parse(text: &[u8], unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::S => number(text, 9),
        TimeUnit::Ms => number(text, 6),
        TimeUnit::Us => number(text, 3),
        TimeUnit::Ns => number(text, 0),
        TimeUnit::Iso => iso(text),
    }
}

/// A number of units, each of which is `10^digits` nanoseconds.
#[inline]
fn number(text: &[u8], digits: u32) -> Option<i64> {
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[..0]),
    };
    let is_plain = !whole.is_empty() && whole.len() <= 18 && whole.iter().all(u8::is_ascii_digit);
    if !is_plain || !fraction.iter().all(u8::is_ascii_digit) {
        return scaled(text, digits);
    }
    let kept = &fraction[..fraction.len().min(digits as usize)];
    let join = |value: i64, byte: &u8| value * 10 + i64::from(byte - b'0');
    let below = kept.iter().fold(0, join) * 10_i64.pow(digits - kept.len() as u32);
    whole
        .iter()
        .fold(0, join)
        .checked_mul(10_i64.pow(digits))?
        .checked_add(below)
}

/// The same for numbers with a sign or an exponent.
fn scaled(text: &[u8], digits: u32) -> Option<i64> {
    let decimal = crate::decimal::Decimal::parse(text).ok()?;
    let power = i32::try_from(digits).ok()? - i32::from(decimal.scale);
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    let mantissa = i128::from(decimal.mantissa);
    let value = if power < 0 {
        mantissa.div_euclid(factor)
    } else {
        mantissa.checked_mul(factor)?
    };
    i64::try_from(value).ok()
}

/// A number of exactly these digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970 of a date of the Gregorian calendar; the formula counts years from March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// RFC 3339: `2026-08-09T21:05:48.228568804Z`; any number of digits of the fraction, `Z` or an offset.
fn iso(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_at_checked(19)?;
    let separators = [head[4], head[7], head[13], head[16]];
    if separators != *b"--::" || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (
        digits(&head[..4])?,
        digits(&head[5..7])?,
        digits(&head[8..10])?,
    );
    let (hour, minute, second) = (
        digits(&head[11..13])?,
        digits(&head[14..16])?,
        digits(&head[17..])?,
    );
    let is_date = (1..=12).contains(&month) && (1..=month_length(year, month)).contains(&day);
    // a leap second counts as the one that follows it
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let seconds = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    (seconds - offset(zone)?)
        .checked_mul(SECOND)?
        .checked_add(fraction)
}

/// Nanoseconds of `.123456` and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let kept = &text[..count.min(9)];
    let value = digits(kept)? * 10_i64.pow(9 - kept.len() as u32);
    Some((value, &text[count..]))
}

/// Seconds east of UTC of `Z` or `+01:00`.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, clock) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', clock @ ..] => (1, clock),
        [b'-', clock @ ..] => (-1, clock),
        _ => return None,
    };
    if clock.len() != 5 || clock[2] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&clock[..2])?, digits(&clock[3..])?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}
