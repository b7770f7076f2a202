//! Nasdaq TotalView-ITCH 5.0: typed views of its messages, and a decoder to records with order-by-order books.

pub mod decoded;
pub mod decoder;
pub mod file;
pub mod message;

pub use decoded::{Dead, Decoded};
pub use decoder::ItchDecoder;
pub use message::{Message, Value};

/// The messages of a block, each preceded by its length (u16, big-endian), with their offsets.
///
/// The last item is an error if a length runs past the end of the block.
pub fn messages(block: &[u8]) -> impl Iterator<Item = Result<(usize, &[u8]), usize>> {
    let mut offset = 0;
    core::iter::from_fn(move || {
        if offset >= block.len() {
            return None;
        }
        let start = offset;
        let message = block[start..]
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
        offset = message.map_or(block.len(), |message| start + 2 + message.len());
        Some(message.map(|message| (start, message)).ok_or(start))
    })
}
