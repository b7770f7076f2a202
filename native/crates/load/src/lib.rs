//! Many simulated clients of `/stream` in one thread: it opens, reads and counts. No Python.
//!
//! A simulated client must cost less than the server spends on it, or one measures the wrong side. So one thread serves
//! all clients of a process through one read buffer; frames are scanned for the few keys that are counted by (`json`),
//! nothing is copied unless a frame is cut; and a client holds its socket, one small place for each symbol it watches, and
//! nothing else.
//!
//! What is counted follows `docs/protocol.md`: a jump of `seq` is what was merged, in mode `all` and channel `trades` what was lost.

mod agenda;
mod client;
mod engine;
mod event;
mod histogram;
mod json;
mod msgpack;
mod names;
mod plan;
mod proto;
mod requests;
mod sockets;
mod tally;
mod time;
mod wire;

pub use engine::Engine;
pub use event::{Event, Kind, Malformed};
pub use histogram::middles;
pub use json::frames as scan_json;
pub use msgpack::frames as scan_msgpack;
pub use plan::{Codec, Plan, Spread};
pub use tally::{Phases, Tally};
