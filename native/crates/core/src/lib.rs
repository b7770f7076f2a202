//! The synchronous core of tickcast: batch in, batch out; no clock, no threads, no I/O but the hub's one `send`.

pub mod arbiter;
pub mod books;
pub mod dead;
pub mod decimal;
pub mod dedup;
pub mod encode;
pub mod export;
pub mod fix;
pub mod hub;
pub mod inflate;
pub mod intake;
pub mod itch;
pub mod json;
pub mod last;
pub mod latest;
pub mod levels;
pub mod link;
pub mod listing;
pub mod orderbook;
pub mod packets;
pub mod pitch;
pub mod record;
pub mod sequence;
pub mod shown;
pub mod soup;
pub mod ws;
