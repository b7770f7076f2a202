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
/// Bytes of a word that are kept.
const WORD_MAX: usize = 60;
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
    /// Words where others are declared, as `path=word`.
    values: Vec<HashMap<Vec<u8>, Seen>>,
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
        let seen = of_message(&mut self.seen, message);
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
                note(seen, &key, frame);
            }
        }
    }

    /// Counts a word that is not one of those that are declared for a path.
    #[cold]
    pub fn value(&mut self, message: usize, path: &str, word: &[u8], frame: Frame<'_>) {
        let mut name = format!("{path}=").into_bytes();
        name.extend_from_slice(&word[..word.len().min(WORD_MAX)]);
        note(of_message(&mut self.values, message), &name, frame);
    }

    /// Words that were seen, in the order of messages and words.
    #[must_use]
    pub fn foreign_values(&self, messages: &[MessagePlan]) -> Vec<Foreign> {
        listed(&self.values, messages)
    }

    /// What was seen, in the order of messages and keys.
    #[must_use]
    pub fn found(&self, messages: &[MessagePlan]) -> Vec<Foreign> {
        listed(&self.seen, messages)
    }
}

fn of_message(
    seen: &mut Vec<HashMap<Vec<u8>, Seen>>,
    message: usize,
) -> &mut HashMap<Vec<u8>, Seen> {
    if seen.len() <= message {
        seen.resize_with(message + 1, HashMap::new);
    }
    &mut seen[message]
}

fn note(seen: &mut HashMap<Vec<u8>, Seen>, name: &[u8], frame: Frame<'_>) {
    if let Some((count, _)) = seen.get_mut(name) {
        *count += 1;
    } else if seen.len() < KEYS_MAX {
        let kept = &frame.bytes[..frame.bytes.len().min(FRAME_MAX)];
        seen.insert(name.to_vec(), (1, kept.to_vec()));
    }
}

fn listed(seen: &[HashMap<Vec<u8>, Seen>], messages: &[MessagePlan]) -> Vec<Foreign> {
    let mut found = Vec::new();
    for (seen, message) in seen.iter().zip(messages) {
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
