//! RFC 3339 in UTC, as the gateway writes it, to nanoseconds.

/// Nanoseconds since 1970 of `2026-03-29T14:30:01.234Z`; `None` if it is anything else.
pub fn parse(text: &[u8]) -> Option<i64> {
    let (fixed, rest) = text.split_at_checked(19)?;
    for (place, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if fixed[place] != mark {
            return None;
        }
    }
    let part = |from: usize, to: usize| number(&fixed[from..to]);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(fraction(rest)?)
}

/// Days since 1970 of a date in the Gregorian calendar. Years begin in March, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// Nanoseconds of `Z` or `.` with digits and `Z`.
fn fraction(text: &[u8]) -> Option<i64> {
    let digits = match text {
        b"Z" => return Some(0),
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    let scale = 10_i64.pow(9 - u32::try_from(digits.len()).ok()?);
    Some(number(digits)? * scale)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum: i64, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_to_the_precision_they_have() {
        assert_eq!(parse(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            parse(b"2026-03-29T14:30:01.234Z"),
            Some(1_774_794_601_234_000_000)
        );
        assert_eq!(
            parse(b"2024-02-29T23:59:59.000000001Z"),
            Some(1_709_251_199_000_000_001)
        );
        assert_eq!(
            parse(b"2000-03-01T00:00:00.5Z"),
            Some(951_868_800_500_000_000)
        );
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "null",
            "2026-03-29",
            "2026-03-29T14:30:01",
            "2026-03-29T14:30:01+00:00",
            "2026-13-29T14:30:01Z",
            "2026-03-29T14:30:01.Z",
            "2026-03-29 14:30:01Z",
            "2026-03-29T14:3x:01Z",
            "2026-03-29T14:30:01.0000000001Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
