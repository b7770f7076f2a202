//! UTC times as FIX writes them: `20240611-09:44:25.544001`, and without separators as CME does: `20090104185930700`.

const SECOND: i64 = 1_000_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// The digits of a time, separators left out; `None` if there is anything else, or too much.
#[inline]
fn digits(text: &[u8]) -> Option<([u8; 32], usize)> {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let (mut out, mut count) = ([0_u8; 32], 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                *out.get_mut(count)? = byte - b'0';
                count += 1;
            }
            b'-' | b':' | b'.' => {}
            _ => return None,
        }
    }
    Some((out, count))
}

#[inline]
fn join(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value, &digit| value * 10 + i64::from(digit))
}

/// Days since 1970 of a date of the proleptic Gregorian calendar; the formula counts years from March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(digits: &[u8]) -> Option<i64> {
    let (year, month, day) = (join(&digits[..4]), join(&digits[4..6]), join(&digits[6..8]));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    // beyond 2261 a time does not fit in 64 bits of nanoseconds
    ((1970..2262).contains(&year) && (1..=last).contains(&day))
        .then(|| days(year, month, day) * DAY * SECOND)
}

/// Nanoseconds of the day of `HHMMSS` and what follows as a fraction; a leap second counts as the next second.
fn time_of(digits: &[u8]) -> Option<i64> {
    let (hours, minutes, seconds) = (join(&digits[..2]), join(&digits[2..4]), join(&digits[4..6]));
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let fraction = &digits[6..digits.len().min(15)];
    let scale = 10_i64.pow(9 - fraction.len() as u32); // at most 9 digits were kept
    Some((hours * 3600 + minutes * 60 + seconds) * SECOND + join(fraction) * scale)
}

/// A UTCTimestamp, or a UTCDateOnly as its midnight: ns since 1970.
#[must_use]
pub fn timestamp(text: &[u8]) -> Option<i64> {
    let (digits, count) = digits(text)?;
    match count {
        8 => date_of(&digits[..8]),
        14.. => Some(date_of(&digits[..8])? + time_of(&digits[8..count])?),
        _ => None,
    }
}

/// A UTCTimeOnly: ns of the day.
#[must_use]
pub fn utc_time(text: &[u8]) -> Option<i64> {
    let (digits, count) = digits(text)?;
    if count < 6 {
        return None;
    }
    time_of(&digits[..count])
}

/// The moment with this time of the day that is nearest to another: around midnight a time may be the day before's.
pub(super) const fn nearest(ts_ns: i64, of_day: i64) -> i64 {
    let moment = ts_ns - ts_ns.rem_euclid(DAY * SECOND) + of_day;
    if moment - ts_ns > DAY / 2 * SECOND {
        moment - DAY * SECOND
    } else if ts_ns - moment > DAY / 2 * SECOND {
        moment + DAY * SECOND
    } else {
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_precision() {
        let expected = 1_718_099_065_000_000_000;
        for (text, fraction) in [
            ("20240611-09:44:25", 0),
            ("20240611-09:44:25.544", 544_000_000),
            ("20240611-09:44:25.544001", 544_001_000),
            ("20240611-09:44:25.544001002", 544_001_002),
            ("20240611-09:44:25.544001002999", 544_001_002),
            ("20240611094425544", 544_000_000),
            ("20240611-09:44:25Z", 0),
        ] {
            assert_eq!(
                timestamp(text.as_bytes()),
                Some(expected + fraction),
                "{text}"
            );
        }
        assert_eq!(timestamp(b"19700101"), Some(0));
        assert_eq!(timestamp(b"20000229-00:00:00"), Some(951_782_400 * SECOND));
        assert_eq!(
            timestamp(b"20161231-23:59:60"),
            timestamp(b"20170101-00:00:00")
        );
        assert_eq!(utc_time(b"185930000"), utc_time(b"18:59:30.000"));
        assert_eq!(utc_time(b"00:00:01"), Some(SECOND));
        let midnight = timestamp(b"20240611").unwrap();
        assert_eq!(nearest(expected, 5), midnight + 5);
        assert_eq!(nearest(midnight + 7, 86_399 * SECOND), midnight - SECOND);
        assert_eq!(nearest(midnight - 7, 3), midnight + 3);
    }

    #[test]
    fn what_is_no_time() {
        for bad in [
            "",
            "2024",
            "20241301",
            "20240230",
            "20240611-24:00:00",
            "20240611-09:60:00",
            "19690101",
            "22620101",
            "x",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(utc_time(b"18:59"), None);
        assert_eq!(timestamp(&[b'1'; 40]), None);
    }
}
