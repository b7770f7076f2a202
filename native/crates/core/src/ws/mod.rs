//! RFC 6455, the server's side: frames out with their header, and a reader of what clients send.
//!
//! A server's frames are not masked, so a frame is bytes that any number of clients can share. A client's frames are
//! masked, are few and small, and are read by [`FrameReader`], which holds memory only while one is unfinished.

mod reader;
mod utf8;

pub use reader::{FrameReader, Message, WsError};

/// Opcodes of RFC 6455 section 5.2.
pub mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_MAX: usize = 125;
/// The longest header of a server's frame.
pub const HEADER_MAX: usize = 10;

/// Appends the header of a whole, unmasked frame with a payload of `length` bytes.
pub fn write_header(opcode: u8, length: usize, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    if length < 126 {
        out.push(u8::try_from(length).unwrap_or(125));
    } else if let Ok(short) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Length of the header of a server's frame, by its second byte.
#[must_use]
pub fn header_length(second: u8) -> usize {
    match second {
        127 => 10,
        126 => 4,
        _ => 2,
    }
}

/// Appends a whole frame whose payload `write` appends; the header is put in front once the length is known.
///
/// Payloads of 126 to 65,535 bytes, the usual ones, are written in place.
pub fn write_frame_with(opcode: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const ROOM: usize = 4;
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    write(out);
    let length = out.len() - start - ROOM;
    let mut header = Vec::with_capacity(HEADER_MAX);
    write_header(opcode, length, &mut header);
    if header.len() == ROOM {
        out[start..start + ROOM].copy_from_slice(&header);
    } else {
        out.splice(start..start + ROOM, header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_shortest_form() {
        for (length, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_header(opcode::TEXT, length, &mut out);
            assert_eq!(out.len(), size);
            assert_eq!(header_length(out[1]), size);
            assert_eq!(out[0], 0x81);
        }
    }

    #[test]
    fn text_in_place_equals_header_then_payload() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut expected = b"before".to_vec();
            write_header(opcode::TEXT, length, &mut expected);
            expected.extend_from_slice(&payload);
            let mut found = b"before".to_vec();
            write_frame_with(opcode::TEXT, &mut found, |out| {
                out.extend_from_slice(&payload)
            });
            assert_eq!(found, expected, "{length}");
        }
    }
}
