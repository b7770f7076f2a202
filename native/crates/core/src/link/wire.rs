//! Protobuf as far as the link needs it, and frames: length (u32, little-endian, of what follows), kind (u8), message.

use super::message::{FRAME_MAX, LinkError};
use crate::latest::{Amount, Price};

/// Bytes in front of a message.
const HEAD: usize = 5;

/// Appends one frame.
pub fn write_frame(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Wire<'_>)) {
    write_length(out, |out| {
        out.push(kind);
        write(&mut Wire(out));
    });
}

/// Puts the length in front of what is written.
pub(crate) fn write_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Cuts a byte stream into frames; holds at most one that is not finished.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    start: usize,
}

impl Frames {
    pub fn push(&mut self, data: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    /// The next frame that is whole: kind and message.
    ///
    /// # Errors
    /// A length that no frame has; the stream cannot be trusted any more.
    pub fn next_frame(&mut self) -> Result<Option<(u8, &[u8])>, LinkError> {
        let rest = &self.bytes[self.start..];
        let Some(head) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length == 0 || length > FRAME_MAX {
            return Err(LinkError(format!(
                "expected a frame of 1 to {FRAME_MAX} bytes, found a length of {length}"
            )));
        }
        if rest.len() < 4 + length {
            return Ok(None);
        }
        let start = self.start;
        self.start += 4 + length;
        let frame = &self.bytes[start..start + 4 + length];
        Ok(Some((frame[4], &frame[HEAD..])))
    }

    /// Forgets everything: another stream begins.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Writes the fields of one message; what is zero or empty is left out where Protobuf's default says the same.
pub struct Wire<'a>(&'a mut Vec<u8>);

impl<'a> Wire<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// `uint32`, `uint64`, `bool`, an enumeration.
    pub fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.some_number(field, value);
        }
    }

    /// The same, told also where it is zero.
    pub fn some_number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    /// `sint64`.
    pub fn signed(&mut self, field: u32, value: i64) {
        self.number(field, (value << 1 ^ value >> 63) as u64);
    }

    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// A message inside of this one.
    pub fn nested(&mut self, field: u32, write: impl FnOnce(&mut Wire<'_>)) {
        let mut inner = Vec::new();
        write(&mut Wire(&mut inner));
        self.bytes(field, &inner);
    }

    /// Scale, then the mantissa in two's complement, little-endian, without needless bytes.
    pub fn amount(&mut self, field: u32, value: Option<Amount>) {
        if let Some(value) = value {
            let (bytes, length) = pack(value);
            self.bytes(field, &bytes[..length]);
        }
    }

    pub fn price(&mut self, field: u32, value: Option<Price>) {
        self.amount(field, value.map(Amount::from));
    }
}

/// An exact number and how many bytes of it count.
fn pack(value: Amount) -> ([u8; 17], usize) {
    let mut bytes = [0; 17];
    bytes[0] = value.scale;
    bytes[1..].copy_from_slice(&value.mantissa.to_le_bytes());
    let sign = if value.mantissa < 0 { 0xFF } else { 0 };
    let mut length = 17;
    while length > 2 && bytes[length - 1] == sign && (bytes[length - 2] ^ sign) & 0x80 == 0 {
        length -= 1;
    }
    (bytes, length)
}

/// A number of a message, or the bytes of a field.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub fn number(self) -> Result<u64, LinkError> {
        match self {
            Self::Number(value) => Ok(value),
            Self::Bytes(_) => Err(LinkError("expected a number, found bytes".into())),
        }
    }

    /// A number of fewer bits.
    pub fn small<T: TryFrom<u64>>(self) -> Result<T, LinkError> {
        let value = self.number()?;
        T::try_from(value)
            .map_err(|_| LinkError(format!("expected a smaller number, found {value}")))
    }

    pub fn signed(self) -> Result<i64, LinkError> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn bytes(self) -> Result<&'a [u8], LinkError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(value) => Err(LinkError(format!("expected bytes, found {value}"))),
        }
    }

    pub fn text(self) -> Result<&'a str, LinkError> {
        core::str::from_utf8(self.bytes()?)
            .map_err(|_| LinkError("expected text in UTF-8, found other bytes".into()))
    }

    pub fn amount(self) -> Result<Amount, LinkError> {
        match self.bytes()? {
            [scale, mantissa @ ..]
                if (1..=16).contains(&mantissa.len()) && *scale <= crate::decimal::MAX_SCALE =>
            {
                let sign = if mantissa[mantissa.len() - 1] & 0x80 == 0 {
                    0
                } else {
                    0xFF
                };
                let mut bytes = [sign; 16];
                bytes[..mantissa.len()].copy_from_slice(mantissa);
                Ok(Amount::new(i128::from_le_bytes(bytes), *scale))
            }
            other => Err(LinkError(format!(
                "expected an exact number of 2 to 17 bytes, found {}",
                other.len()
            ))),
        }
    }

    pub fn price(self) -> Result<Price, LinkError> {
        let amount = self.amount()?;
        let mantissa = i64::try_from(amount.mantissa)
            .map_err(|_| LinkError("expected a price of 64 bits, found more".into()))?;
        Ok(Price::new(mantissa, amount.scale))
    }
}

/// Reads the fields of one message, in the order in which they stand.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, LinkError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(cut)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(LinkError(
            "expected a varint, found more than 64 bits".into(),
        ))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], LinkError> {
        let count = usize::try_from(count).map_err(|_| cut())?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Number and value of the next field; `None` at the end.
    pub fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, LinkError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            1 => Value::Bytes(self.take(8)?),
            5 => Value::Bytes(self.take(4)?),
            other => {
                return Err(LinkError(format!(
                    "expected a wire type of Protobuf, found {other}"
                )));
            }
        };
        Ok(Some((tag >> 3, value)))
    }
}

fn cut() -> LinkError {
    LinkError("expected a whole message, found one that is cut off".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_survive_in_as_few_bytes_as_they_need() {
        for mantissa in [
            0,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            18_540,
            i128::from(i64::MAX),
            i128::MIN,
            i128::MAX,
        ] {
            let value = Amount::new(mantissa, 4);
            let (bytes, length) = pack(value);
            assert_eq!(
                Value::Bytes(&bytes[..length]).amount(),
                Ok(value),
                "{mantissa}"
            );
        }
        assert_eq!(pack(Amount::new(127, 0)).1, 2);
        assert_eq!(pack(Amount::new(128, 0)).1, 3);
        assert!(Value::Bytes(&[39, 1]).amount().is_err(), "no such scale");
        assert!(Value::Bytes(&[1; 18]).amount().is_err());
        assert!(Value::Bytes(&[0]).amount().is_err());
    }

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_cuts() {
        let mut stream = Vec::new();
        for kind in 1..4 {
            write_frame(&mut stream, kind, |wire| {
                wire.number(1, u64::from(kind));
                wire.signed(2, -5);
                wire.text(3, "x");
            });
        }
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in stream {
            frames.push(&[byte]);
            while let Some((kind, message)) = frames.next_frame().expect("frames") {
                let mut fields = Fields::new(message);
                let mut read = Vec::new();
                while let Some((field, value)) = fields.next_field().expect("fields") {
                    read.push(match field {
                        1 => value.number().expect("a number") as i64,
                        2 => value.signed().expect("a number"),
                        _ => value.text().expect("text").len() as i64,
                    });
                }
                found.push((kind, read));
            }
        }
        assert_eq!(
            found,
            (1..4)
                .map(|kind| (kind, vec![i64::from(kind), -5, 1]))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_length_that_no_frame_has_ends_the_stream() {
        for length in [0u32, FRAME_MAX as u32 + 1, u32::MAX] {
            let mut frames = Frames::default();
            frames.push(&length.to_le_bytes());
            assert!(frames.next_frame().is_err(), "{length}");
        }
    }
}
