//! Declared JSON venues: `JsonFeed`, which runs a `Dialect` (`tickcast.venues.declared.dialect`) over lists of frames.
//!
//! A frame is read once into a flat [`tape`] of tokens, everything validated and no text copied. The [`plan`] is the
//! declaration compiled: the first message whose conditions hold says where the rows are, and its emits say what each
//! row tells. Paths remember where on the tape their keys stood in the frame before ([`path`]), so that the usual frame
//! is read without a search. Values are read from the very text of the frame: decimals are exact, ids keep their
//! digits. What a row says of a book goes to [`crate::books`], which knows what proves that it is whole.
//!
//! Damage is local: a row that cannot be read is a dead letter with its reason; if it is one of a book, that book is
//! broken. Nothing is ever told of half a row.

mod binding;
mod decoded;
pub mod dialect;
mod drift;
mod engine;
mod feed;
mod keys;
mod levels;
mod names;
pub mod path;
pub mod plan;
mod read;
mod string;
pub mod tape;
#[cfg(test)]
mod tests;
mod time;
mod trades;
mod twins;

pub use decoded::{Decoded, Hole, Loss, NamedBreak, Print};
pub use drift::Foreign;
pub use feed::{Counts, JsonFeed, Wanted};
pub use twins::LineCounts;
