//! The arena of encoded frames: each is written once, with its WebSocket header (or as an event), and clients hold references to it.

use super::events::write_event;
use crate::encode::{Codec, Stamp, msgpack};
use crate::ws;

/// A whole frame in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameRef {
    offset: u32,
    length: u32,
}

/// What an event does to where its reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub topic: u32,
    pub channel: u8,
    /// Epoch and seq at which whoever has everything in front of it stands; `None` is nowhere.
    pub before: Option<(u64, u64)>,
}

/// One message of many is at most about this long; common clients refuse a message over 1 MiB.
const BATCH_MAX: usize = 256 << 10;

/// One message of `count` payloads that are `length` bytes together: a JSON array, a MessagePack array, or Protobuf, whose
/// repeated fields are joined by writing one behind the other. Events stay events.
pub(super) fn write_batch<'a>(
    payloads: impl Iterator<Item = &'a [u8]>,
    count: usize,
    length: usize,
    codec: Codec,
    out: &mut Vec<u8>,
) {
    match codec {
        Codec::Events | Codec::EventsStrings => {
            payloads.for_each(|payload| {
                write_event(out, |out| out.extend_from_slice(payload));
            });
        }
        Codec::Json | Codec::JsonStrings => {
            ws::write_header(codec.opcode(), length + count + 1, out);
            for (index, payload) in payloads.enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                out.extend_from_slice(payload);
            }
            out.push(b']');
        }
        Codec::Msgpack | Codec::MsgpackCompact => {
            let mut opening = Vec::with_capacity(5);
            msgpack::open_batch(&mut opening, count);
            ws::write_header(codec.opcode(), opening.len() + length, out);
            out.extend_from_slice(&opening);
            payloads.for_each(|payload| out.extend_from_slice(payload));
        }
        Codec::Proto | Codec::Link => {
            ws::write_header(codec.opcode(), length, out);
            payloads.for_each(|payload| out.extend_from_slice(payload));
        }
    }
}

/// Frames since the arena was last cleared, back to back.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// Steps of events, by the offsets of their frames.
    steps: Vec<(u32, Step)>,
    /// Frames written, ever.
    pub frames: u64,
}

impl Arena {
    /// Writes one frame of a codec.
    pub fn frame(&mut self, codec: Codec, write: impl FnOnce(&mut Vec<u8>)) -> FrameRef {
        let offset = self.bytes.len();
        if codec == Codec::Link {
            crate::link::write_length(&mut self.bytes, write);
        } else if codec.is_events() {
            write_event(&mut self.bytes, write);
        } else {
            ws::write_frame_with(codec.opcode(), &mut self.bytes, write);
        }
        self.frames += 1;
        let length = self.bytes.len() - offset;
        // `Fanout` stops filling the arena far below 4 GiB.
        FrameRef {
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        }
    }

    /// Writes one frame that takes its readers from `before` (`None`: nowhere) to the stamp's seq.
    pub fn step(
        &mut self,
        stamp: Stamp,
        channel: u8,
        before: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> FrameRef {
        let frame = self.frame(stamp.codec, write);
        if stamp.codec.is_events() {
            let step = Step {
                topic: stamp.topic,
                channel,
                before: before.map(|seq| (stamp.epoch, seq)),
            };
            self.steps.push((frame.offset, step));
        }
        frame
    }

    /// What an event does to where its reader stands; `None` = nothing.
    pub fn step_of(&self, frame: FrameRef) -> Option<Step> {
        let found = self
            .steps
            .binary_search_by_key(&frame.offset, |step| step.0);
        found.ok().map(|place| self.steps[place].1)
    }

    /// The frame with its header.
    pub fn framed(&self, frame: FrameRef) -> &[u8] {
        let start = frame.offset as usize;
        &self.bytes[start..start + frame.length as usize]
    }

    /// The frame's payload alone.
    pub fn body(&self, frame: FrameRef) -> &[u8] {
        let framed = self.framed(frame);
        &framed[ws::header_length(framed[1])..]
    }

    /// Appends frames as they go to one client: each as it is, or all in one message (in several where they are many).
    pub fn gather(&self, frames: &[FrameRef], codec: Codec, batch: bool, out: &mut Vec<u8>) {
        if !batch || codec == Codec::Link || codec.is_events() {
            for frame in frames {
                out.extend_from_slice(self.framed(*frame));
            }
            return;
        }
        let mut rest = frames;
        while !rest.is_empty() {
            let (mut length, mut count) = (0, 0);
            for frame in rest {
                let body = self.body(*frame).len() + 1;
                if count > 0 && length + body > BATCH_MAX {
                    break;
                }
                (length, count) = (length + body, count + 1);
            }
            let bodies = rest[..count].iter().map(|frame| self.body(*frame));
            write_batch(bodies, count, length - count, codec, out);
            rest = &rest[count..];
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the frames; memory far beyond what was used this time is given back.
    pub fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        if self.bytes.capacity() > KEEP && self.bytes.len() < self.bytes.capacity() / 8 {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.steps.clear();
        self.steps.shrink_to(KEEP / size_of::<(u32, Step)>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::opcode;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ws::write_header(opcode::TEXT, payload.len(), &mut out);
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn frames_are_shared_as_they_are_or_in_an_array() {
        let mut arena = Arena::default();
        let bodies = [vec![b'1'; 3], vec![b'2'; 200], vec![b'3'; 70_000]];
        let refs: Vec<FrameRef> = bodies
            .iter()
            .map(|body| arena.frame(Codec::Json, |out| out.extend_from_slice(body)))
            .collect();
        let mut each = Vec::new();
        arena.gather(&refs, Codec::Json, false, &mut each);
        assert_eq!(
            each,
            bodies
                .iter()
                .flat_map(|body| framed(body))
                .collect::<Vec<u8>>()
        );
        let mut array = Vec::new();
        arena.gather(&refs[..2], Codec::Json, true, &mut array);
        assert_eq!(
            array,
            framed(&[b"[", &bodies[0][..], b",", &bodies[1], b"]"].concat())
        );
        assert_eq!(arena.body(refs[2]), bodies[2]);
    }

    #[test]
    fn long_arrays_are_cut_between_frames() {
        let mut arena = Arena::default();
        let refs: Vec<FrameRef> = (0..5)
            .map(|_| arena.frame(Codec::Json, |out| out.extend_from_slice(&[b'x'; 100_000])))
            .collect();
        let mut out = Vec::new();
        arena.gather(&refs, Codec::Json, true, &mut out);
        let two = framed(&[b"[", &[b'x'; 100_000][..], b",", &[b'x'; 100_000], b"]"].concat());
        let one = framed(&[b"[", &[b'x'; 100_000][..], b"]"].concat());
        assert!(out == [two.clone(), two, one].concat());
    }
}
