//! Whether a datagram is one of the protocol's: what tells the feed's packets from others in the same capture.

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MoldUDP64 1.00: session (10), sequence (u64), count (u16), then messages with a u16 length; big-endian.
    MoldUdp64,
    /// Cboe's sequenced unit header: length (u16), count, unit, sequence (u32), then messages with a u8 length; little-endian.
    Pitch,
}

/// Count of a MoldUDP64 packet that ends the session.
const END_OF_SESSION: u16 = 0xffff;

impl Protocol {
    /// By the name that the arbiter uses too.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "moldudp64" => Some(Self::MoldUdp64),
            "pitch" => Some(Self::Pitch),
            _ => None,
        }
    }

    /// Header and lengths are consistent, to the last byte.
    #[must_use]
    pub fn fits(self, payload: &[u8]) -> bool {
        match self {
            Self::MoldUdp64 => {
                let Some((head, mut rest)) = payload.split_first_chunk::<20>() else {
                    return false;
                };
                let count = u16::from_be_bytes([head[18], head[19]]);
                if count == END_OF_SESSION {
                    return rest.is_empty();
                }
                for _ in 0..count {
                    let Some((length, behind)) = rest.split_first_chunk::<2>() else {
                        return false;
                    };
                    let Some(next) = behind.get(usize::from(u16::from_be_bytes(*length))..) else {
                        return false;
                    };
                    rest = next;
                }
                rest.is_empty()
            }
            Self::Pitch => {
                let Some((head, mut rest)) = payload.split_first_chunk::<8>() else {
                    return false;
                };
                if usize::from(u16::from_le_bytes([head[0], head[1]])) != payload.len() {
                    return false;
                }
                for _ in 0..head[2] {
                    let length = usize::from(rest.first().copied().unwrap_or(0));
                    // length and type at least
                    let Some(next) = rest.get(length..).filter(|_| length >= 2) else {
                        return false;
                    };
                    rest = next;
                }
                rest.is_empty()
            }
        }
    }

    /// What to say of a datagram that does not fit.
    #[must_use]
    pub fn misfit(self) -> &'static str {
        match self {
            Self::MoldUdp64 => "a datagram that is no MoldUDP64 packet",
            Self::Pitch => "a datagram that is no PITCH packet",
        }
    }
}
