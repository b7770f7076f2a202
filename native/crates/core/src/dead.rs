//! What was not understood.

/// Most dead letters that one call of a decoder hands back; all are counted.
pub const DEAD_MAX: usize = 100;

/// A message, or a piece of the bytes, that no decoder could read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Of its first byte in the block, its length field included.
    pub offset: usize,
    pub reason: &'static str,
    pub raw: Vec<u8>,
}
