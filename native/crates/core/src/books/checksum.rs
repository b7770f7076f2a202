//! Checksums that venues send with their books, computed from exact decimals: the digits of a text survive in mantissa and
//! scale, so that no text has to be kept.

use core::cmp::Ordering;

use super::ladder::{Ladder, Packed, order};
use super::{ChecksumKind, Side};
use crate::decimal::{Decimal, MAX_SCALE};

/// Levels a side that Kraken's checksum covers.
const KRAKEN_LEVELS: usize = 10;
/// Levels a side that OKX's and Bitfinex's checksums cover.
const TURNS_LEVELS: usize = 25;

/// Bytes of a number at most: sign, point, and the digits of an `i64` or those behind the point and a zero.
const NUMBER_MAX: usize = 3 + MAX_SCALE as usize + 1;
/// Bytes of a level at most.
const LONG: usize = 2 * NUMBER_MAX + 1;
/// Bytes of a level that are kept.
const SHORT: usize = 39;
/// Bytes of the text of a checksum at most.
const TEXT_MAX: usize = 2 * TURNS_LEVELS * (LONG + 1);

/// What a checksum said of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message has none.
    Absent,
    /// The venue has retired it: it proves nothing.
    Zero,
    Verified,
    Failed {
        computed: u32,
    },
}

/// Verifies the checksum of a message; `scratch` is overwritten.
pub(super) fn verify(
    kind: Option<ChecksumKind>,
    sent: Option<i64>,
    ladders: &[Ladder; 2],
    memory: &mut Memory,
    scratch: &mut Vec<u8>,
) -> Verdict {
    let (Some(kind), Some(sent)) = (kind, sent) else {
        return Verdict::Absent;
    };
    if kind == ChecksumKind::Okx && sent == 0 {
        return Verdict::Zero;
    }
    let computed = compute(kind, ladders, memory, scratch);
    // signed or unsigned, the low 32 bits are the same
    let fits = i64::from(i32::MIN) <= sent && sent <= i64::from(u32::MAX);
    if fits && sent as u32 == computed {
        Verdict::Verified
    } else {
        Verdict::Failed { computed }
    }
}

pub(super) fn compute(
    kind: ChecksumKind,
    ladders: &[Ladder; 2],
    memory: &mut Memory,
    scratch: &mut Vec<u8>,
) -> u32 {
    scratch.resize(TEXT_MAX, 0);
    match kind {
        ChecksumKind::Kraken | ChecksumKind::KrakenV1 => kraken(ladders, scratch),
        ChecksumKind::Okx => memory.turns(ladders, Style::AsSent, scratch),
        ChecksumKind::Bitfinex => memory.turns(ladders, Style::Script, scratch),
    }
}

/// The ten best asks, then bids: price and size without the point and leading zeros, which is the mantissa.
fn kraken(ladders: &[Ladder; 2], scratch: &mut [u8]) -> u32 {
    let mut text = Backward::new(scratch);
    for side in [Side::Bid, Side::Ask] {
        for level in ladders[side as usize].top(KRAKEN_LEVELS) {
            text.number(Decimal::new(level.size().mantissa, 0));
            text.number(Decimal::new(level.price().mantissa, 0));
        }
    }
    crc32fast::hash(text.written())
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// With the digits that were sent.
    AsSent,
    /// As JavaScript writes a number: no zeros at the end, below a millionth with an exponent (`5.6e-7`); sizes of asks
    /// are below zero.
    Script,
}

/// The texts of a book's best levels: OKX sends a checksum of fifty of them with every message, which changes one or two.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Of each side, the best last.
    sides: [Vec<Written>; 2],
    spare: Vec<Written>,
    /// Checksum of these texts.
    checksum: Option<u32>,
}

/// A level as `price:size`.
#[derive(Clone, Copy, Debug)]
struct Written {
    level: Packed,
    /// 0: it does not fit in here.
    length: u8,
    text: [u8; SHORT],
}

const _: () = assert!(size_of::<Written>() == 64);

impl Memory {
    pub fn bytes(&self) -> usize {
        let [bids, asks] = &self.sides;
        (bids.capacity() + asks.capacity() + self.spare.capacity()) * size_of::<Written>()
    }

    /// The 25 best levels, bid and ask by turns, as `price:size`, joined by colons; a side with fewer is passed over.
    fn turns(&mut self, ladders: &[Ladder; 2], style: Style, scratch: &mut [u8]) -> u32 {
        for side in [Side::Bid, Side::Ask] {
            self.renew(side, ladders[side as usize].top(TURNS_LEVELS), style);
        }
        if let Some(checksum) = self.checksum {
            return checksum;
        }
        let [bids, asks] = &self.sides;
        let mut end = 0;
        for place in 1..=bids.len().max(asks.len()) {
            for side in [bids, asks] {
                let Some(at) = side.len().checked_sub(place) else {
                    continue;
                };
                if end > 0 {
                    scratch[end] = b':';
                    end += 1;
                }
                end += side[at].copy_to(style, &mut scratch[end..]);
            }
        }
        let checksum = crc32fast::hash(&scratch[..end]);
        self.checksum = Some(checksum);
        checksum
    }

    /// Writes the levels that are new or have changed.
    fn renew(&mut self, side: Side, levels: &[Packed], style: Style) {
        let before = &mut self.sides[side as usize];
        let mut both = before.iter().zip(levels);
        if before.len() == levels.len() && both.all(|(written, level)| written.level == *level) {
            return;
        }
        self.checksum = None;
        self.spare.clear();
        let mut at = 0;
        for level in levels {
            let is_worse = |written: &Written| {
                order(side, written.level.price(), level.price()) == Ordering::Less
            };
            while before.get(at).is_some_and(is_worse) {
                at += 1;
            }
            let same = before.get(at).filter(|written| written.level == *level);
            self.spare
                .push(same.copied().unwrap_or_else(|| Written::new(*level, style)));
        }
        core::mem::swap(before, &mut self.spare);
    }
}

impl Written {
    fn new(level: Packed, style: Style) -> Self {
        let mut buffer = [0; LONG];
        let whole = write_level(level, style, &mut buffer);
        let mut text = [0; SHORT];
        let fits = whole.len() <= SHORT;
        if fits {
            text[..whole.len()].copy_from_slice(whole);
        }
        Self {
            level,
            length: if fits { whole.len() as u8 } else { 0 },
            text,
        }
    }

    /// Writes the text, and what may be behind it; returns its length.
    #[inline]
    fn copy_to(&self, style: Style, out: &mut [u8]) -> usize {
        if self.length > 0 {
            out[..SHORT].copy_from_slice(&self.text); // of a fixed length: faster than exactly what is needed
            return self.length.into();
        }
        let mut buffer = [0; LONG];
        let whole = write_level(self.level, style, &mut buffer);
        out[..whole.len()].copy_from_slice(whole);
        whole.len()
    }
}

fn write_level(level: Packed, style: Style, buffer: &mut [u8; LONG]) -> &[u8] {
    let mut text = Backward::new(buffer);
    match style {
        Style::AsSent => {
            text.number(level.size());
            text.byte(b':');
            text.number(level.price());
        }
        Style::Script => {
            text.script(level.size());
            if level.side() == Side::Ask {
                text.byte(b'-');
            }
            text.byte(b':');
            text.script(level.price());
        }
    }
    let start = text.start;
    &buffer[start..]
}

/// A text that is written from its end: so a number's digits come in the order in which they are found.
struct Backward<'a> {
    buffer: &'a mut [u8],
    start: usize,
}

impl<'a> Backward<'a> {
    fn new(buffer: &'a mut [u8]) -> Self {
        let start = buffer.len();
        Self { buffer, start }
    }

    fn written(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.start -= 1;
        self.buffer[self.start] = byte;
    }

    /// The last `count` digits of a number, with zeros before it; what is left of it.
    #[inline]
    fn digits(&mut self, mut number: u64, count: u8) -> u64 {
        for _ in 0..count / 2 {
            self.pair(number % 100);
            number /= 100;
        }
        if count % 2 == 1 {
            self.byte(b'0' + (number % 10) as u8);
            number /= 10;
        }
        number
    }

    #[inline]
    fn pair(&mut self, number: u64) {
        self.start -= 2;
        self.buffer[self.start..self.start + 2].copy_from_slice(&PAIRS[number as usize]);
    }

    /// A number as [`write_decimal`](crate::decimal::write_decimal) writes it.
    #[inline]
    fn number(&mut self, number: Decimal) {
        let mut rest = number.mantissa.unsigned_abs();
        if number.scale > 0 {
            rest = self.digits(rest, number.scale);
            self.byte(b'.');
        }
        while rest >= 100 {
            self.pair(rest % 100);
            rest /= 100;
        }
        if rest >= 10 {
            self.pair(rest);
        } else {
            self.byte(b'0' + rest as u8);
        }
        if number.mantissa < 0 {
            self.byte(b'-');
        }
    }
}

/// How far behind the point the first digit of a number stands for JavaScript to write it with an exponent.
const SCRIPT_ZEROS: usize = 6;

impl Backward<'_> {
    /// A number as JavaScript writes it (ECMA-262, Number::toString).
    fn script(&mut self, number: Decimal) {
        let (mut rest, mut scale) = (number.mantissa.unsigned_abs(), number.scale);
        while scale > 0 && rest.is_multiple_of(10) {
            (rest, scale) = (rest / 10, scale - 1);
        }
        let digits = rest.checked_ilog10().unwrap_or_default() as usize + 1;
        let scale = usize::from(scale);
        if rest == 0 || scale < digits + SCRIPT_ZEROS {
            let scale = if rest == 0 { 0 } else { scale as u8 };
            let magnitude = i64::try_from(rest).unwrap_or(i64::MAX);
            self.number(Decimal::new(magnitude, scale));
        } else {
            let mut exponent = scale + 1 - digits;
            while exponent > 0 {
                self.byte(b'0' + (exponent % 10) as u8);
                exponent /= 10;
            }
            self.byte(b'-');
            self.byte(b'e');
            if digits > 1 {
                rest = self.digits(rest, digits as u8 - 1);
                self.byte(b'.');
            }
            self.byte(b'0' + rest as u8);
        }
        if number.mantissa < 0 {
            self.byte(b'-');
        }
    }
}

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};
