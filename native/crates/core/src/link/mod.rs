//! The link between the process that owns the state and a gateway worker: `proto/link.proto`.
//!
//! A worker is a client of the owner's hub. It names what its own clients watch, by topic, channel and rate class; the
//! owner's groups send it what they send to anybody, in the codec [`Link`](crate::encode::Codec::Link). The worker
//! keeps what it was told ([`Mirror`]) and has a hub of its own over it ([`WorkerHub`]). The owner numbers, keeps the
//! history and conflates; the worker passes on what was numbered. See `docs/concepts/workers.md`.
//!
//! - `wire`: Protobuf, and frames with their length in front;
//! - `message`: what the two tell each other; `encode`: the owner's state as such messages;
//! - `mirror`: what a worker knows; `worker`: its hub; `owner`: how the owner's hub serves a link.

pub mod encode;
pub mod keyed;
mod message;
mod mirror;
mod owner;
mod wire;
mod worker;

pub use message::{
    FRAME_MAX, LinkError, Outcome, OwnerFrame, Place, Standing, VERSION, Want, WorkerFrame,
};
pub use mirror::Mirror;
pub use owner::Request;
pub(crate) use wire::write_length;
pub use wire::{Frames, Wire};
pub use worker::{Event, WorkerHub};
