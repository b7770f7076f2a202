//! SoupBinTCP 3.00: a TCP stream of packets, each a length (u16, big-endian), a type letter and a payload.
//!
//! The length counts the type letter and the payload. Only sequenced packets (`S`) have a sequence number, and it is implied:
//! the login names the first, each packet is one more.

/// The packets of a stretch of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frames<'a> {
    /// Bytes that were whole packets.
    pub consumed: usize,
    /// Payloads of the sequenced packets, each preceded by its u16 length.
    pub messages: Vec<u8>,
    /// Number of those payloads.
    pub sequenced: usize,
    /// Every other packet: type letter, payload.
    pub control: Vec<(u8, &'a [u8])>,
}

/// Why a stream cannot be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoupError {
    /// A packet without even a type.
    Empty,
    /// Not one of the types of either direction.
    UnknownType(u8),
}

impl core::fmt::Display for SoupError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => write!(
                formatter,
                "expected a SoupBinTCP packet, found one of length 0"
            ),
            Self::UnknownType(letter) => write!(
                formatter,
                "expected a SoupBinTCP packet type (one of +AJSHZLURO), found {:?}",
                char::from(*letter)
            ),
        }
    }
}

impl std::error::Error for SoupError {}

/// Splits the whole packets off the front of `data`.
///
/// Packets before damage are returned; the next call, which begins with the damage, fails.
///
/// # Errors
/// The first packet is damaged.
pub fn split(data: &[u8]) -> Result<Frames<'_>, SoupError> {
    let mut frames = Frames::default();
    while let Some((length, rest)) = data[frames.consumed..].split_first_chunk::<2>() {
        let damage = match (u16::from_be_bytes(*length), rest.first()) {
            (0, _) => Some(SoupError::Empty),
            (_, Some(&letter)) if !b"+AJSHZLURO".contains(&letter) => {
                Some(SoupError::UnknownType(letter))
            }
            _ => None,
        };
        if let Some(damage) = damage {
            return if frames.consumed == 0 {
                Err(damage)
            } else {
                Ok(frames)
            };
        }
        let Some((letter, payload)) = rest
            .get(..usize::from(u16::from_be_bytes(*length)))
            .and_then(<[u8]>::split_first)
        else {
            break;
        };
        if *letter == b'S' {
            // The packet's length fitted in a u16 with the type letter, so the payload's does.
            frames
                .messages
                .extend_from_slice(&(payload.len() as u16).to_be_bytes());
            frames.messages.extend_from_slice(payload);
            frames.sequenced += 1;
        } else {
            frames.control.push((*letter, payload));
        }
        frames.consumed += 3 + payload.len();
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(letter: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u16 + 1).to_be_bytes().to_vec();
        bytes.push(letter);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn data_and_control_are_told_apart() {
        let stream = [
            packet(b'A', b"session"),
            packet(b'S', b"one"),
            packet(b'H', b""),
            packet(b'S', b"two!"),
        ]
        .concat();
        let frames = split(&stream).unwrap();
        assert_eq!(frames.consumed, stream.len());
        assert_eq!(frames.messages, b"\0\x03one\0\x04two!");
        assert_eq!(frames.sequenced, 2);
        assert_eq!(frames.control, [(b'A', &b"session"[..]), (b'H', b"")]);
    }

    #[test]
    fn damage_comes_after_what_was_good() {
        let mut stream = packet(b'S', b"good");
        let good = stream.len();
        stream.extend_from_slice(&packet(b'x', b"bad"));
        assert_eq!(split(&stream).unwrap().consumed, good);
        assert_eq!(split(&stream[good..]), Err(SoupError::UnknownType(b'x')));
        assert_eq!(split(&[0, 0, b'S']), Err(SoupError::Empty));
    }

    #[test]
    fn a_type_is_refused_before_its_payload_has_come() {
        assert_eq!(
            split(&[0xff, 0xff, b'G']),
            Err(SoupError::UnknownType(b'G'))
        );
        assert_eq!(split(&[0, 9, b'S']).unwrap(), Frames::default());
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_packets(payloads: Vec<Vec<u8>>, cut: prop::sample::Index) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| packet(b'S', payload)).collect();
            let whole = split(&stream).unwrap();
            prop_assert_eq!(whole.consumed, stream.len());
            prop_assert_eq!(whole.sequenced, payloads.len());
            let at = if stream.is_empty() { 0 } else { cut.index(stream.len()) };
            let head = split(&stream[..at]).unwrap();
            let tail = split(&stream[head.consumed..]).unwrap();
            prop_assert_eq!([head.messages, tail.messages].concat(), whole.messages);
        }

        #[test]
        fn any_bytes_are_safe(data: Vec<u8>) {
            if let Ok(frames) = split(&data) {
                prop_assert!(frames.consumed <= data.len());
            }
        }
    }
}
