//! The synchronous core of tickcast: batch in, batch out; no clock, no threads, no I/O but the hub's one `send`.

pub mod decimal;
pub mod encode;
pub mod hub;
pub mod latest;
pub mod record;
pub mod ws;
