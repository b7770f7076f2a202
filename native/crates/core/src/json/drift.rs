//! Keys of rows that nobody declared: the venue has changed its messages.

use std::collections::HashMap;

use super::path::Frame;
use super::plan::MessagePlan;
use super::tape::{Kind, text_of};

/// Frames of a kind that are looked at in the beginning, and every how many of the later ones.
const FIRST: u64 = 16;
const EVERY: u64 = 256;
/// Rows of a frame that are looked at.
const ROWS_MAX: usize = 16;
/// Different keys of a kind that are counted.
const KEYS_MAX: usize = 64;
/// Bytes of a frame that are kept.
const FRAME_MAX: usize = 16_384;

/// A key that is not declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub message: String,
    pub key: String,
    /// How often it was seen in the frames that were looked at.
    pub count: u64,
    /// Beginning of the first frame that had it.
    pub frame: Vec<u8>,
}

/// How often a key was seen, and the beginning of the first frame that had it.
type Seen = (u64, Vec<u8>);

/// Keys that are not declared, by message.
#[derive(Default)]
pub struct Drift {
    seen: Vec<HashMap<Vec<u8>, Seen>>,
}

/// Whether the frame of this number, counted from 0, is looked at.
#[inline]
#[must_use]
pub const fn is_sampled(number: u64) -> bool {
    number < FIRST || number.is_multiple_of(EVERY)
}

impl Drift {
    pub fn look(
        &mut self,
        message: usize,
        plan: &MessagePlan,
        frame: Frame<'_>,
        rows: &[(u32, u32)],
    ) {
        let Some(known) = &plan.known else { return };
        if self.seen.len() <= message {
            self.seen.resize_with(message + 1, HashMap::new);
        }
        let seen = &mut self.seen[message];
        for &(row, _) in rows.iter().take(ROWS_MAX) {
            let object = frame.token(row);
            if object.kind != Kind::Object {
                continue;
            }
            let mut place = row + 1;
            while place < object.next {
                let key = text_of(frame.bytes, frame.token(place));
                place = frame.token(place + 1).next;
                if known.iter().any(|each| **each == *key) {
                    continue;
                }
                if let Some((count, _)) = seen.get_mut(&*key) {
                    *count += 1;
                } else if seen.len() < KEYS_MAX {
                    let kept = &frame.bytes[..frame.bytes.len().min(FRAME_MAX)];
                    seen.insert(key.into_owned(), (1, kept.to_vec()));
                }
            }
        }
    }

    /// What was seen, in the order of messages and keys.
    #[must_use]
    pub fn found(&self, messages: &[MessagePlan]) -> Vec<Foreign> {
        let mut found = Vec::new();
        for (seen, message) in self.seen.iter().zip(messages) {
            let mut keys: Vec<_> = seen.iter().collect();
            keys.sort_unstable();
            found.extend(keys.into_iter().map(|(key, (count, frame))| Foreign {
                message: message.name.clone(),
                key: String::from_utf8_lossy(key).into_owned(),
                count: *count,
                frame: frame.clone(),
            }));
        }
        found
    }
}
