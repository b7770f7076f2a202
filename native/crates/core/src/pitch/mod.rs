//! Cboe PITCH, the order-by-order feed of the Cboe (formerly BATS) markets, in its binary and its text form.
//!
//! Read: *Cboe Titanium US Equities/Options Multicast Depth of Book (PITCH) Specification* 2.41 (field tables of editions
//! 2.39.4 to 2.41.80, 2014 to 2026, which differ only in bytes appended to a message), and *Cboe US Equities TCP PITCH
//! Specification* 1.15.13.

pub mod decoder;
pub mod market;
pub mod message;
mod symbols;
pub mod text;

pub use decoder::PitchDecoder;
pub use market::{Dead, Decoded, Met};
pub use message::Message;
pub use text::PitchTextDecoder;

/// The messages of a block, each beginning with its length (u8, itself included), with their offsets.
///
/// The last item is an error if a length is below 2 or runs past the end of the block: the framing is lost there.
pub fn messages(block: &[u8]) -> impl Iterator<Item = Result<(usize, &[u8]), usize>> {
    let mut offset = 0;
    core::iter::from_fn(move || {
        let length = usize::from(*block.get(offset)?);
        let start = offset;
        let message = block[start..].get(..length).filter(|_| length >= 2);
        offset = message.map_or(block.len(), |_| start + length);
        Some(message.map(|message| (start, message)).ok_or(start))
    })
}
