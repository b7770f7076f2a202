//! UTF-8 checked as it arrives: at most three bytes of an unfinished character are kept between calls.

/// The state between two pieces of one text.
#[derive(Debug, Default, Clone)]
pub struct Utf8 {
    carry: [u8; 4],
    length: u8,
}

impl Utf8 {
    /// False as soon as the text cannot be UTF-8 whatever follows.
    pub fn feed(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((&next, rest)) = piece.split_first() else {
                return true;
            };
            self.carry[usize::from(self.length)] = next;
            self.length += 1;
            piece = rest;
            match core::str::from_utf8(&self.carry[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match core::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let tail = &piece[error.valid_up_to()..];
                self.carry[..tail.len()].copy_from_slice(tail);
                self.length = u8::try_from(tail.len()).unwrap_or(0);
                true
            }
        }
    }

    /// Whether the text may end here; ready for the next one.
    pub fn finish(&mut self) -> bool {
        core::mem::take(&mut self.length) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_whole_text(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80u8..0xC0, 0xE0u8..0xF5], 0..24), cuts in prop::collection::vec(0usize..24, 0..4)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let (mut utf8, mut from, mut good) = (Utf8::default(), 0, true);
            for cut in cuts {
                good = good && utf8.feed(&bytes[from..cut]);
                from = cut;
            }
            good = good && utf8.finish();
            prop_assert_eq!(good, core::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn text_cut_anywhere_is_text(text in ".{0,20}", cut in 0usize..80) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let mut utf8 = Utf8::default();
            prop_assert!(utf8.feed(&bytes[..cut]) && utf8.feed(&bytes[cut..]) && utf8.finish());
        }
    }
}
