//! Frames that a venue sends compressed: gzip (RFC 1952), each frame a file of its own.
//!
//! How large a frame becomes stands in its last four bytes. That is believed only as far as it may be: up to the bound, and
//! up to what deflate can do with so many bytes (1,032 for one, RFC 1951: a match of 258 bytes takes two bits at least). So
//! memory is taken once, in the right size, and never for a frame that lies: one that turns out larger or smaller than it
//! said, or whose checksum is not that of what it says, is damaged.

use std::sync::Mutex;

use libdeflater::{DecompressionError, Decompressor};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Header and trailer of the smallest gzip file.
const SMALLEST: usize = 18;
/// No byte of deflate becomes more than so many.
const RATIO_MAX: usize = 1_032;
/// A buffer that one large frame needed is not kept beyond this.
const KEPT_MAX: usize = 1 << 20;

/// Inflates one frame after the other into one buffer.
pub struct Inflater {
    /// Never locked: it is only reached through `&mut`, which makes the whole usable from any thread.
    decompressor: Mutex<Decompressor>,
    buffer: Vec<u8>,
    max: usize,
}

impl Inflater {
    /// `max`: bytes that a frame may become.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            decompressor: Mutex::new(Decompressor::new()),
            buffer: Vec::new(),
            max,
        }
    }

    /// Whether a frame begins as gzip does; others are what they are.
    #[must_use]
    pub fn is_packed(frame: &[u8]) -> bool {
        frame.starts_with(&MAGIC)
    }

    /// Inflates a frame.
    ///
    /// # Errors
    /// It is damaged, or would become larger than it may: says what was expected and what was found.
    pub fn inflate(&mut self, frame: &[u8]) -> Result<&[u8], String> {
        let Some(last) = frame.last_chunk::<4>().filter(|_| frame.len() >= SMALLEST) else {
            return Err(format!(
                "expected a gzip frame, found {} bytes of one",
                frame.len()
            ));
        };
        let said = u32::from_le_bytes(*last) as usize;
        if said > frame.len().saturating_mul(RATIO_MAX) {
            return Err(damaged(frame, said));
        }
        if said > self.max {
            return Err(format!(
                "expected a gzip frame of at most {} bytes, found one of {said}",
                self.max
            ));
        }
        if self.buffer.len() < said || (self.buffer.len() > KEPT_MAX && said <= KEPT_MAX) {
            self.buffer = vec![0; said.next_power_of_two().max(4_096)];
        }
        let decompressor = self
            .decompressor
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match decompressor.gzip_decompress(frame, &mut self.buffer[..said]) {
            Ok(found) if found == said => Ok(&self.buffer[..said]),
            Ok(_) | Err(DecompressionError::BadData | DecompressionError::InsufficientSpace) => {
                Err(damaged(frame, said))
            }
        }
    }
}

fn damaged(frame: &[u8], said: usize) -> String {
    format!(
        "expected a gzip frame, found a damaged one: {} bytes that say they are {said}",
        frame.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use libdeflater::{CompressionLvl, Compressor};
    use proptest::prelude::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.gzip_compress_bound(text.len())];
        let size = compressor.gzip_compress(text, &mut out).unwrap();
        out.truncate(size);
        out
    }

    #[test]
    fn what_is_no_gzip_is_told_apart() {
        assert!(Inflater::is_packed(&packed(b"x")));
        assert!(!Inflater::is_packed(b"{\"ping\":1}"));
        assert!(!Inflater::is_packed(b""));
    }

    #[test]
    fn a_frame_beyond_the_bound_is_refused_without_its_memory() {
        let bomb = packed(&vec![b'0'; 1 << 20]);
        let mut inflater = Inflater::new(1 << 16);
        let reason = inflater.inflate(&bomb).unwrap_err();
        assert!(reason.contains("at most 65536 bytes"), "{reason}");
        assert!(inflater.buffer.is_empty());
        assert_eq!(
            Inflater::new(1 << 20).inflate(&bomb).unwrap().len(),
            1 << 20
        );
    }

    #[test]
    fn a_frame_that_lies_of_its_size_is_refused() {
        let mut frame = packed(&[b'a'; 5_000]);
        for said in [0_u32, 4_999, 5_001, 1 << 14, u32::MAX] {
            let at = frame.len() - 4;
            frame[at..].copy_from_slice(&said.to_le_bytes());
            let mut inflater = Inflater::new(1 << 25);
            let reason = inflater.inflate(&frame).unwrap_err();
            assert!(reason.contains("damaged"), "{said}: {reason}");
            assert!(inflater.buffer.len() <= 1 << 15);
        }
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let mut inflater = Inflater::new(1 << 25);
        inflater.inflate(&packed(&vec![b' '; 3 << 20])).unwrap();
        assert_eq!(inflater.inflate(&packed(b"small")), Ok(&b"small"[..]));
        assert!(inflater.buffer.len() <= KEPT_MAX);
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 1..8)) {
            let mut inflater = Inflater::new(1 << 16);
            for text in texts {
                let frame = packed(&text);
                prop_assert_eq!(inflater.inflate(&frame).map(<[u8]>::to_vec), Ok(text));
            }
        }

        #[test]
        fn damage_is_found(text in prop::collection::vec(any::<u8>(), 1..500), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut frame = packed(&text);
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            // some bits of the header and those that fill the last byte of the stream say nothing of the text
            if let Ok(found) = Inflater::new(1 << 16).inflate(&frame) {
                prop_assert_eq!(found, &text[..]);
            }
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frame = MAGIC.to_vec();
            frame.extend(bytes);
            let _ = Inflater::new(1 << 16).inflate(&frame);
        }
    }
}
