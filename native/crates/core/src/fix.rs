//! FIX tag=value: a tokenizer for streams and logs, and a decoder of market data to records with level books.
//!
//! FIX 4.4 with errata 20030618 (volume 1: syntax; volume 2: session; volume 3: market data), with the fields of FIX 5.0
//! SP2 that market data feeds use beside it (1023, 1022, 83, 893, 1003, 2446).

mod book;
mod conditions;
mod decoder;
mod definition;
mod entry;
mod fields;
mod instrument;
mod market;
mod securities;
mod split;
#[cfg(test)]
mod tests;
mod time;

pub use decoder::{DEAD_MAX, Dead, Decoded, Event, FixDecoder, Options, Subject};
pub use definition::Definition;
pub use fields::{Field, Fields};
pub use split::{Damage, Frames, Mode, Run, is_bare, split};
pub use time::{timestamp, utc_time};
