//! Files of length-prefixed messages (Nasdaq's BinaryFILE): where messages begin and end, and what is damaged.
//!
//! A length is believed if it is that of the message's type, or, for a message of unknown type, if another message follows
//! behind it. Where neither holds the framing is lost: the bytes up to the next two messages in a row are damage.

use super::message::TYPES;

/// Length of each type's messages by letter; 0 for a letter that is none.
const LENGTHS: [usize; 256] = {
    let mut lengths = [0; 256];
    let mut index = 0;
    while index < TYPES.len() {
        lengths[TYPES[index].0 as usize] = TYPES[index].1;
        index += 1;
    }
    lengths
};

/// What [`split`] found; all offsets are in the data given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Bytes that are done with: keep the rest and put the next read behind it.
    pub consumed: usize,
    /// Runs of whole messages: offset, end, number.
    pub blocks: Vec<(usize, usize, usize)>,
    /// What is no message: offset, end, reason.
    pub damaged: Vec<(usize, usize, &'static str)>,
    /// Lengths of zero at the end of the data: marks of the session's end.
    pub ended: usize,
}

/// How the bytes at a position look.
enum Look {
    /// A message of this many bytes, length included.
    Message(usize),
    /// Framed like a message, of unknown type or of the wrong length for its type.
    Framed(usize),
    /// A length of 0.
    Zero,
    /// Cut off: more bytes would tell.
    Cut,
}

fn look(data: &[u8], at: usize) -> Look {
    let Some(&[high, low]) = data.get(at..at + 2) else {
        return Look::Cut;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let Some(&letter) = data.get(at + 2) else {
        return if length == 0 { Look::Zero } else { Look::Cut };
    };
    if length == 0 {
        return Look::Zero;
    }
    let fits = LENGTHS[usize::from(letter)] == length;
    if at + 2 + length > data.len() {
        // a plausible message that is cut, or a length that may be damage: the caller decides by what is there
        return if fits {
            Look::Cut
        } else {
            Look::Framed(2 + length)
        };
    }
    if fits {
        Look::Message(2 + length)
    } else {
        Look::Framed(2 + length)
    }
}

/// Longest message and its length: what has to be in hand to judge a position.
const WINDOW: usize = 2 * (2 + 64);

/// Finds the messages; `is_end`: no more bytes will come.
#[must_use]
pub fn split(data: &[u8], is_end: bool) -> Split {
    let mut found = Split::default();
    let mut at = 0;
    while at < data.len() {
        match look(data, at) {
            Look::Message(length) => {
                found.extend(at, at + length);
                at += length;
            }
            Look::Zero if data[at..].iter().all(|&byte| byte == 0) && data.len() - at == 2 => {
                if !is_end {
                    break; // it is a mark only if nothing follows
                }
                found.ended += 1;
                at += 2;
            }
            Look::Cut if is_end => {
                found
                    .damaged
                    .push((at, data.len(), "a message that is cut in the middle"));
                at = data.len();
            }
            Look::Cut => break,
            Look::Framed(length) if follows(data, at + length, is_end) => {
                found.extend(at, at + length);
                at += length;
            }
            Look::Framed(_) | Look::Zero => match resume(data, at + 1, is_end) {
                Some(next) => {
                    found.bury(at, next);
                    at = next;
                }
                None if is_end => {
                    found.bury(at, data.len());
                    at = data.len();
                }
                None => {
                    // all that cannot be a beginning any more is damage, the rest waits for more bytes
                    let keep = data.len().saturating_sub(WINDOW);
                    if keep > at {
                        found.bury(at, keep);
                        at = keep;
                    }
                    break;
                }
            },
        }
    }
    found.consumed = at;
    found
}

/// A message, or the end of the data, is at this position.
fn follows(data: &[u8], at: usize, is_end: bool) -> bool {
    match look(data, at) {
        Look::Message(_) => true,
        Look::Cut => at == data.len() && is_end || at < data.len(),
        Look::Zero => at + 2 == data.len() && is_end,
        Look::Framed(_) => false,
    }
}

/// The next position from which two messages follow each other, or one ends the data.
fn resume(data: &[u8], from: usize, is_end: bool) -> Option<usize> {
    (from..data.len().saturating_sub(2)).find(|&at| match look(data, at) {
        Look::Message(length) => {
            matches!(look(data, at + length), Look::Message(_))
                || is_end && at + length == data.len()
        }
        _ => false,
    })
}

impl Split {
    fn extend(&mut self, start: usize, end: usize) {
        match self.blocks.last_mut() {
            Some((_, last, count)) if *last == start => {
                *last = end;
                *count += 1;
            }
            _ => self.blocks.push((start, end, 1)),
        }
    }

    fn bury(&mut self, start: usize, end: usize) {
        match self.damaged.last_mut() {
            Some((_, last, _)) if *last == start => *last = end,
            _ => self.damaged.push((start, end, "bytes that are no message")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message of type `D` (19 bytes) with its length.
    fn delete(reference: u64) -> Vec<u8> {
        let mut message = vec![0, 19, b'D', 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        message.extend_from_slice(&reference.to_be_bytes());
        message
    }

    fn stream(count: u64) -> Vec<u8> {
        (1..=count).flat_map(delete).collect()
    }

    #[test]
    fn whole_messages_and_a_tail() {
        let data = stream(3);
        let found = split(&data[..data.len() - 5], false);
        assert_eq!(
            (found.consumed, found.blocks, found.damaged),
            (42, vec![(0, 42, 2)], vec![])
        );
        let found = split(&data[..data.len() - 5], true);
        assert_eq!(
            found.damaged,
            [(42, 58, "a message that is cut in the middle")]
        );
    }

    #[test]
    fn a_message_of_unknown_type_keeps_its_frame() {
        let mut data = stream(1);
        data.extend_from_slice(&[0, 3, b'?', 1, 2]);
        data.extend(stream(1));
        let found = split(&data, true);
        assert_eq!(
            (found.blocks, found.damaged),
            (vec![(0, data.len(), 3)], vec![])
        );
    }

    #[test]
    fn a_damaged_length_costs_its_own_message() {
        let mut data = stream(5);
        data[21] = 0x7f; // the length of the second message
        let found = split(&data, true);
        assert_eq!(found.blocks, [(0, 21, 1), (42, 105, 3)]);
        assert_eq!(found.damaged, [(21, 42, "bytes that are no message")]);
    }

    #[test]
    fn the_mark_of_the_end() {
        let mut data = stream(1);
        data.extend_from_slice(&[0, 0]);
        assert_eq!(
            (split(&data, true).ended, split(&data, true).damaged.len()),
            (1, 0)
        );
        data.extend_from_slice(&[0; 20]);
        assert_eq!(
            split(&data, true).damaged,
            [(21, data.len(), "bytes that are no message")]
        );
    }

    proptest! {
        #[test]
        fn pieces_find_what_the_whole_finds(cuts in proptest::collection::vec(1_usize..60, 1..30), noise in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut data = stream(4);
            data.extend(&noise);
            data.extend(stream(4));
            let mut messages = 0;
            let mut bytes = 0;
            let mut held: Vec<u8> = Vec::new();
            let mut rest = data.as_slice();
            let mut cuts = cuts.iter().cycle();
            loop {
                let take = cuts.next().copied().unwrap_or(1).min(rest.len());
                held.extend_from_slice(&rest[..take]);
                rest = &rest[take..];
                let found = split(&held, rest.is_empty());
                messages += found.blocks.iter().map(|block| block.2).sum::<usize>();
                bytes += found.consumed;
                held.drain(..found.consumed);
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(bytes, data.len());
            prop_assert!(messages >= 4, "{}", messages);
        }

        #[test]
        fn anything_is_accounted_for(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let found = split(&data, true);
            let blocks: usize = found.blocks.iter().map(|(start, end, _)| end - start).sum();
            let damaged: usize = found.damaged.iter().map(|(start, end, _)| end - start).sum();
            prop_assert_eq!(blocks + damaged + 2 * found.ended, data.len());
        }
    }
}
