//! Strings of JSON: where they end, whether they are text, and what their escapes mean.

use super::tape::Fault;

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// High bits set at least in the lowest byte of the eight that is a quote, a backslash, a control character or beyond
/// ASCII; none if there is no such byte. (Borrows may mark bytes above the lowest one, which nobody looks at.)
#[inline]
const fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let marks = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | word.wrapping_sub(ONES * 0x20)
        | word;
    marks & HIGHS
}

/// Finds the closing quote of a string whose text begins at `at`: its place, and whether there are escapes before it.
///
/// # Errors
/// There is none, or what is before it is no text.
#[inline]
pub fn scan(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let start = at;
    let (mut escaped, mut foreign) = (false, false);
    loop {
        while let Some(chunk) = bytes.get(at..at + 8) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            let found = special(u64::from_le_bytes(word));
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            Some(0..0x20) => return fault(at, "control character in a string"),
            Some(0x80..) => {
                foreign = true;
                at += 1;
            }
            Some(_) => at += 1,
            None => return fault(at, "string without an end"),
        }
    }
    if foreign && let Err(error) = core::str::from_utf8(&bytes[start..at]) {
        return fault(start + error.valid_up_to(), "string is no UTF-8");
    }
    Ok((at, escaped))
}

const fn fault<T>(offset: usize, reason: &'static str) -> Result<T, Fault> {
    Err(Fault { offset, reason })
}

/// Checks the escape at `at`; the place behind it.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match character(&bytes[at..]) {
            Some((_, length)) => Ok(at + length),
            None => fault(at, "escape is no character"),
        },
        _ => fault(at, "unknown escape"),
    }
}

fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |value, &byte| {
        Some(value << 4 | char::from(byte).to_digit(16)?)
    })
}

/// The character of an escape `\uXXXX`, or of two that are a pair of surrogates, and the length of their text.
fn character(text: &[u8]) -> Option<(char, usize)> {
    let first = unit(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(&text[6..]).filter(|second| (0xdc00..0xe000).contains(second))?;
    let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(joined)?, 12))
}

/// What a string means whose escapes [`scan`] has checked.
#[must_use]
pub fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'\\' {
            out.push(byte);
            rest = tail;
            continue;
        }
        let (meant, length) = match tail.first() {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => character(rest).unwrap_or((char::REPLACEMENT_CHARACTER, 6)),
            Some(&same) => (char::from(same), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}
