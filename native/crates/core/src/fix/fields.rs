//! `tag=value` fields, each ended by SOH.
//!
//! A data field may hold SOH itself: the field just before it says how many bytes it has.

/// Ends every field.
pub const SOH: u8 = 1;

/// Where a message's text is not made of fields.
pub type Fault = &'static str;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub tag: u32,
    pub value: &'a [u8],
    /// Of the tag's first digit.
    pub offset: usize,
}

/// The data field whose length a field gives; 0 = the field is no such length.
#[inline]
pub(super) const fn data_tag(tag: u32) -> u32 {
    match tag {
        // the common tags of market data: decided at once
        0..=89 | 102..=211 | 214..=347 => 0,
        93 => 89,
        90 | 95 | 212 | 348 | 350 | 352 | 354 | 356 | 358 | 360 | 362 | 364 | 445 | 618 | 621
        | 1184 | 1277 | 1280 | 1282 | 1397 | 1401 | 1403 | 1468 | 1578 | 1620 | 1664 | 1733
        | 1871 | 1874 | 2072 | 2074 | 2111 | 2179 | 2287 | 2351 | 2481 | 2637 | 2651 | 2665
        | 2715 | 2718 | 2721 | 2797 | 2815 => tag + 1,
        1525 => 1527,
        1678 => 1697,
        2372 => 2371,
        2494 => 2493,
        2522 => 2521,
        2802 => 2801,
        2809 => 2808,
        40004..=43111 => encoded_tag(tag),
        _ => 0,
    }
}

/// The same for the fields of derivatives (FIX 5.0 SP2, tags of five digits).
const fn encoded_tag(tag: u32) -> u32 {
    match tag {
        40004 | 40008 | 40978 | 40980 | 40982 | 40984 | 40986 | 40988 | 41083 | 41101 | 41107
        | 41256 | 41320 | 41324 | 41458 | 41476 | 41482 | 41653 | 41710 | 41806 | 41811 | 41873
        | 41969 | 42025 | 42171 | 42451 | 42652 | 42947 => tag + 1,
        43109 => 42684,
        43110 => 42486,
        43111 => 42982,
        _ => 0,
    }
}

/// Position of the next SOH, eight bytes a step.
#[inline]
pub(super) fn find_soh(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut position = 0;
    while let Some(chunk) = bytes[position..].first_chunk::<8>() {
        let differing = u64::from_le_bytes(*chunk) ^ ONES;
        let zeros = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        if zeros != 0 {
            return Some(position + (zeros.trailing_zeros() / 8) as usize);
        }
        position += 8;
    }
    let rest = &bytes[position..];
    rest.iter()
        .position(|&byte| byte == SOH)
        .map(|at| position + at)
}

/// A whole number of digits, at most 18 of them without leading zeros.
#[inline]
#[must_use]
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 || value >= 1_000_000_000_000_000_000 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Iterates over the fields of one message, SOH after the last one included or not.
pub struct Fields<'a> {
    data: &'a [u8],
    position: usize,
    /// Tag and length of the data field that must come next.
    announced: (u32, usize),
}

impl<'a> Fields<'a> {
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            position: 0,
            announced: (0, 0),
        }
    }

    /// Where the next field begins.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Fault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.position;
        if offset >= self.data.len() {
            return None;
        }
        let rest = &self.data[offset..];
        let mut tag = 0_u32;
        let mut length = 0;
        loop {
            match rest.get(length) {
                Some(&byte @ b'0'..=b'9') if length < 9 => {
                    tag = tag * 10 + u32::from(byte - b'0');
                }
                Some(b'=') if length > 0 => break,
                _ => {
                    self.position = self.data.len();
                    return Some(Err("a field does not begin with a tag and ="));
                }
            }
            length += 1;
        }
        let start = offset + length + 1;
        let value = if self.announced.0 != 0 && self.announced.0 == tag {
            let end = start.saturating_add(self.announced.1);
            if end > self.data.len() || self.data.get(end).is_some_and(|&byte| byte != SOH) {
                self.position = self.data.len();
                return Some(Err("a data field is not as long as its length field says"));
            }
            self.announced = (0, 0);
            &self.data[start..end]
        } else {
            let value = &self.data[start..];
            &value[..find_soh(value).unwrap_or(value.len())]
        };
        self.position = start + value.len() + 1;
        let announces = data_tag(tag);
        if announces != 0 {
            let Some(length) = number(value).and_then(|length| usize::try_from(length).ok()) else {
                self.position = self.data.len();
                return Some(Err("the length of a data field is no number"));
            };
            self.announced = (announces, length);
        }
        Some(Ok(Field { tag, value, offset }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(data: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, Fault> {
        Fields::new(data)
            .map(|field| field.map(|field| (field.tag, field.value.to_vec())))
            .collect()
    }

    #[test]
    fn data_fields_may_hold_soh() {
        let fields = all(b"58=a=b\x0195=4\x0196=\x01=1\x01\x0110=1\x01").unwrap();
        assert_eq!(fields[0], (58, b"a=b".to_vec()));
        assert_eq!(fields[2], (96, b"\x01=1\x01".to_vec()));
        assert_eq!(fields[3], (10, b"1".to_vec()));
        assert_eq!(
            all(b"354=3\x01355=\x01\x01\x01\x0155=X").unwrap()[2],
            (55, b"X".to_vec())
        );
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for bad in [
            &b"=1\x01"[..],
            b"55\x01",
            b"a=1\x01",
            b"1234567890=1\x01",
            b"95=9\x0196=ab\x01",
            b"95=x\x01",
        ] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000303"), Some(303));
        assert_eq!(number(b"999999999999999999"), Some(999_999_999_999_999_999));
        for bad in [&b""[..], b"-1", b"1.0", b"99999999999999999999"] {
            assert_eq!(number(bad), None);
        }
    }

    proptest! {
        #[test]
        fn equals_a_naive_split(values in prop::collection::vec((1_u32..1000, "[ -~]{0,30}"), 0..20)) {
            let values: Vec<_> = values.into_iter().filter(|(tag, _)| data_tag(*tag) == 0).collect();
            let text: String = values.iter().map(|(tag, value)| format!("{tag}={value}\u{1}")).collect();
            let naive: Vec<_> = text.split_terminator('\u{1}').map(|field| {
                let (tag, value) = field.split_once('=').unwrap();
                (tag.parse().unwrap(), value.as_bytes().to_vec())
            }).collect();
            prop_assert_eq!(all(text.as_bytes()).unwrap(), naive);
        }

        #[test]
        fn soh_is_found_where_it_is(bytes in prop::collection::vec(0_u8..4, 0..40)) {
            prop_assert_eq!(find_soh(&bytes), bytes.iter().position(|&byte| byte == SOH));
        }

        #[test]
        fn any_bytes_end(data: Vec<u8>) {
            prop_assert!(Fields::new(&data).count() <= data.len());
        }
    }
}
