//! The reader of a client's frames: masks, fragments, control frames between fragments, UTF-8, limits.
//!
//! Bytes are taken strictly in order and unmasked as they come into the message they belong to, so that wherever a
//! stream is cut the messages and the first error are the same. What is refused, and how (RFC 6455 section 7.4.1):
//!
//! - 1002: RSV bits, unknown opcodes, frames that are not masked, lengths not in their shortest form, control frames
//!   that are fragmented or longer than 125 bytes, a continuation of nothing, a new message inside an unfinished one,
//!   a close frame of one byte or with a code that may not be sent.
//! - 1007: a text, or the reason of a close, that is not UTF-8; found at the first byte that cannot be.
//! - 1009: a message over the limit, by its header, before its payload is taken.
//!
//! After a close frame, and after an error, what follows is ignored.

use super::opcode;
use super::utf8::Utf8;

/// Why the connection must be closed: the close code and the reason to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WsError {
    pub code: u16,
    pub reason: &'static str,
}

/// One whole message, or one control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One of [`opcode`], never a continuation.
    pub opcode: u8,
    pub payload: Vec<u8>,
}

const HEADER_BYTES: usize = 14;

/// Header of the frame under way.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    last: bool,
    left: usize,
    mask: [u8; 4],
    /// Bytes of the payload so far, modulo 4: where in the mask the next byte is.
    turn: u8,
}

/// Reads the frames of one client. Idle, it owns no memory beyond itself.
#[derive(Debug)]
pub struct FrameReader {
    max_size: usize,
    header: [u8; HEADER_BYTES],
    header_have: u8,
    /// Opcode of the message under way, 0 if none.
    message_opcode: u8,
    done: bool,
    frame: Option<Frame>,
    message: Vec<u8>,
    control: Vec<u8>,
    utf8: Utf8,
    error: Option<WsError>,
}

impl FrameReader {
    /// `max_size`: of a message, in bytes.
    #[must_use]
    pub fn new(max_size: usize) -> Self {
        Self {
            max_size,
            header: [0; HEADER_BYTES],
            header_have: 0,
            message_opcode: 0,
            done: false,
            frame: None,
            message: Vec::new(),
            control: Vec::new(),
            utf8: Utf8::default(),
            error: None,
        }
    }

    /// Bytes held of what is unfinished; 0 between messages.
    #[must_use]
    pub fn pending(&self) -> usize {
        let started = usize::from(self.frame.is_some() || self.message_opcode != 0);
        (usize::from(self.header_have) + self.message.len() + self.control.len()).max(started)
    }

    /// The error that ended the stream, if one did.
    #[must_use]
    pub fn error(&self) -> Option<WsError> {
        self.error
    }

    /// Takes bytes; gives every message and control frame that is now whole.
    ///
    /// # Errors
    /// The stream broke the protocol. Messages before the damage come first: then the next call gives the error.
    pub fn feed(&mut self, mut data: &[u8]) -> Result<Vec<Message>, WsError> {
        let mut messages = Vec::new();
        while self.error.is_none() && !self.done {
            match self.step(&mut data) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => self.fail(error),
            }
        }
        match self.error {
            Some(error) if messages.is_empty() => Err(error),
            _ => Ok(messages),
        }
    }

    fn fail(&mut self, error: WsError) {
        self.error = Some(error);
        self.release();
    }

    fn release(&mut self) {
        self.frame = None;
        self.header_have = 0;
        self.message_opcode = 0;
        self.message = Vec::new();
        self.control = Vec::new();
    }

    /// Goes on until a message is whole (`Some`) or the bytes are used up (`None`).
    fn step(&mut self, data: &mut &[u8]) -> Result<Option<Message>, WsError> {
        loop {
            if self.frame.is_none() {
                if !self.take_header(data) {
                    return Ok(None);
                }
                let frame = self.parse_header()?;
                self.frame = Some(frame);
                self.header_have = 0;
            }
            if !self.take_payload(data)? {
                return Ok(None);
            }
            if let Some(message) = self.end_frame()? {
                return Ok(Some(message));
            }
        }
    }

    /// Bytes the header needs, as far as its first two tell; checks these two.
    fn take_header(&mut self, data: &mut &[u8]) -> bool {
        loop {
            let have = usize::from(self.header_have);
            let need = match have {
                0 | 1 => 2,
                _ => {
                    // A frame that will be refused is refused by its first two bytes.
                    if self.header[1] & 0x80 == 0 {
                        return true;
                    }
                    6 + match self.header[1] & 0x7F {
                        126 => 2,
                        127 => 8,
                        _ => 0,
                    }
                }
            };
            if have >= need {
                return true;
            }
            if data.is_empty() {
                return false;
            }
            let take = (need - have).min(data.len());
            self.header[have..have + take].copy_from_slice(&data[..take]);
            self.header_have += u8::try_from(take).unwrap_or(0);
            *data = &data[take..];
        }
    }

    fn parse_header(&self) -> Result<Frame, WsError> {
        let (first, second) = (self.header[0], self.header[1]);
        let (code, last) = (first & 0x0F, first & 0x80 != 0);
        if first & 0x70 != 0 {
            return Err(broken("reserved bits are set and no extension was agreed"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a client's frames must be masked"));
        }
        let (length, at) = self.parse_length()?;
        match code {
            opcode::CLOSE | opcode::PING | opcode::PONG => {
                if !last || length > super::CONTROL_MAX as u64 {
                    return Err(broken(
                        "a control frame must be whole and at most 125 bytes",
                    ));
                }
            }
            opcode::TEXT | opcode::BINARY if self.message_opcode != 0 => {
                return Err(broken("a new message began inside an unfinished one"));
            }
            opcode::CONTINUATION if self.message_opcode == 0 => {
                return Err(broken("a continuation of nothing"));
            }
            opcode::TEXT | opcode::BINARY | opcode::CONTINUATION => {
                let room = (self.max_size - self.message.len()) as u64;
                if length > room {
                    return Err(WsError {
                        code: 1009,
                        reason: "the message is too big",
                    });
                }
            }
            _ => return Err(broken("unknown opcode")),
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.header[at..at + 4]);
        // Within max_size (or 125), so it fits.
        Ok(Frame {
            opcode: code,
            last,
            left: usize::try_from(length).unwrap_or(usize::MAX),
            mask,
            turn: 0,
        })
    }

    /// Payload length, and where the mask begins.
    fn parse_length(&self) -> Result<(u64, usize), WsError> {
        let header = &self.header;
        match header[1] & 0x7F {
            126 => {
                let length = u16::from_be_bytes([header[2], header[3]]);
                if length < 126 {
                    return Err(broken("a length must have its shortest form"));
                }
                Ok((u64::from(length), 4))
            }
            127 => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&header[2..10]);
                let length = u64::from_be_bytes(bytes);
                if length < 65_536 || length >> 63 != 0 {
                    return Err(broken(
                        "a length must have its shortest form and fit in 63 bits",
                    ));
                }
                Ok((length, 10))
            }
            short => Ok((u64::from(short), 2)),
        }
    }

    /// Unmasks what is there of the payload; true when it is whole.
    fn take_payload(&mut self, data: &mut &[u8]) -> Result<bool, WsError> {
        let Some(frame) = self.frame.as_mut() else {
            return Ok(false);
        };
        let take = frame.left.min(data.len());
        let (piece, rest) = data.split_at(take);
        *data = rest;
        let is_control = frame.opcode >= opcode::CLOSE;
        let target = if is_control {
            &mut self.control
        } else {
            &mut self.message
        };
        let start = target.len();
        target.reserve_exact(take);
        target.extend_from_slice(piece);
        let mut mask = frame.mask;
        mask.rotate_left(usize::from(frame.turn));
        unmask(&mut target[start..], mask);
        frame.turn = (frame.turn + (take % 4) as u8) % 4;
        frame.left -= take;
        let whole = frame.left == 0;
        let text = match frame.opcode {
            opcode::CONTINUATION => self.message_opcode,
            other => other,
        } == opcode::TEXT;
        if text && !self.utf8.feed(&self.message[start..]) {
            return Err(NOT_UTF8);
        }
        Ok(whole)
    }

    fn end_frame(&mut self) -> Result<Option<Message>, WsError> {
        let Some(frame) = self.frame.take() else {
            return Ok(None);
        };
        if frame.opcode >= opcode::CLOSE {
            let payload = core::mem::take(&mut self.control);
            if frame.opcode == opcode::CLOSE {
                check_close(&payload)?;
                self.done = true;
                self.release();
            }
            return Ok(Some(Message {
                opcode: frame.opcode,
                payload,
            }));
        }
        if frame.opcode != opcode::CONTINUATION {
            self.message_opcode = frame.opcode;
        }
        if !frame.last {
            return Ok(None);
        }
        let opcode = core::mem::take(&mut self.message_opcode);
        if opcode == opcode::TEXT && !self.utf8.finish() {
            return Err(NOT_UTF8);
        }
        Ok(Some(Message {
            opcode,
            payload: core::mem::take(&mut self.message),
        }))
    }
}

const NOT_UTF8: WsError = WsError {
    code: 1007,
    reason: "text must be UTF-8",
};

const fn broken(reason: &'static str) -> WsError {
    WsError { code: 1002, reason }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Codes that an endpoint may send (RFC 6455 section 7.4 and the IANA registry), and a reason in UTF-8.
fn check_close(payload: &[u8]) -> Result<(), WsError> {
    let (code, reason) = match payload {
        [] => return Ok(()),
        [_] => return Err(broken("a close frame of one byte")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(broken("a close code that may not be sent"));
    }
    if core::str::from_utf8(reason).is_err() {
        return Err(NOT_UTF8);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
