//! RFC 6455 from the client's side: the opening handshake, frames of the server in, masked frames out.

/// Largest message of a server that is read; a snapshot of a thousand symbols is far smaller.
pub const MESSAGE_MAX: usize = 16 << 20;
/// Largest head of an answer.
pub const HEAD_MAX: usize = 16 << 10;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame of the server at the beginning of what was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub is_final: bool,
    /// Where the payload begins, and where the frame ends.
    pub start: usize,
    pub end: usize,
}

/// The server broke the framing.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// Reads a frame's head; `None` = the frame is not all here.
pub fn read_frame(data: &[u8]) -> Result<Option<Frame>, Broken> {
    let [first, second, rest @ ..] = data else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(Broken("a masked frame"));
    }
    if first & 0x70 != 0 {
        return Err(Broken("a reserved bit is set"));
    }
    let (length, start) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 10),
            None => return Ok(None),
        },
        length => (u64::from(length), 2),
    };
    let opcode = first & 0x0f;
    if opcode >= CLOSE && (length > 125 || first & 0x80 == 0) {
        return Err(Broken("a control frame that is long or in parts"));
    }
    let Some(end) = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MESSAGE_MAX)
        .map(|length| start + length)
    else {
        return Err(Broken("a frame of more than 16 MiB"));
    };
    Ok((data.len() >= end).then_some(Frame {
        opcode,
        is_final: first & 0x80 != 0,
        start,
        end,
    }))
}

/// Appends a masked frame.
pub fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

/// The server's answer to the handshake.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub accept: Option<String>,
    pub protocol: Option<String>,
    pub retry_after_s: Option<f64>,
    /// Where the head ends.
    pub end: usize,
}

/// Reads an answer; `None` = its head is not all here.
pub fn read_answer(data: &[u8]) -> Result<Option<Answer>, Broken> {
    let Some(end) = data.windows(4).position(|four| four == b"\r\n\r\n") else {
        let begins_well = data.iter().zip(b"HTTP/1.").all(|(one, other)| one == other);
        if !begins_well {
            return Err(Broken("an answer that is no HTTP"));
        }
        if data.len() > HEAD_MAX {
            return Err(Broken("a head of more than 16 KiB"));
        }
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&data[..end]);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok())
        .ok_or(Broken("an answer that is no HTTP"))?;
    let mut answer = Answer {
        status,
        accept: None,
        protocol: None,
        retry_after_s: None,
        end: end + 4,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "sec-websocket-accept" => answer.accept = Some(value.to_owned()),
            "sec-websocket-protocol" => answer.protocol = Some(value.to_owned()),
            "retry-after" => answer.retry_after_s = value.parse().ok(),
            _ => {}
        }
    }
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_of_all_lengths_are_read() {
        for length in [0_usize, 1, 125, 126, 65_535, 65_536] {
            let mut data = Vec::new();
            write_frame(&mut data, TEXT, &vec![7; length], [0; 4]);
            // What a client writes is masked, what a server writes is not.
            assert_eq!(read_frame(&data), Err(Broken("a masked frame")));
            data[1] &= 0x7f;
            let mask = match length {
                0..126 => 2,
                126..=0xffff => 4,
                _ => 10,
            };
            data.drain(mask..mask + 4);
            let frame = read_frame(&data).unwrap().unwrap();
            assert_eq!(
                (
                    frame.opcode,
                    frame.is_final,
                    frame.end - frame.start,
                    frame.end
                ),
                (TEXT, true, length, data.len())
            );
            assert_eq!(read_frame(&data[..data.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn broken_frames_are_told() {
        assert!(read_frame(&[0xc1, 0]).is_err());
        assert!(read_frame(&[0x88, 126, 0, 200]).is_err());
        assert!(read_frame(&[0x09, 0]).is_err());
        assert!(read_frame(&[0x82, 127, 0, 0, 0, 0, 2, 0, 0, 0]).is_err());
    }

    #[test]
    fn answers_are_read() {
        let text =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\ncontent-length: 0\r\n\r\nrest";
        let answer = read_answer(text).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.retry_after_s, answer.end),
            (503, Some(2.0), text.len() - 4)
        );
        assert_eq!(read_answer(&text[..40]), Ok(None));
        assert!(read_answer(b"SSH-2.0-OpenSSH").is_err());
        assert!(read_answer(b"HTTP/1.1 xyz\r\n\r\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_frame(&data);
            let _ = read_answer(&data);
        }

        #[test]
        fn what_is_masked_is_unmasked_by_the_mask(payload in prop::collection::vec(any::<u8>(), 0..300), mask: [u8; 4]) {
            let mut data = Vec::new();
            write_frame(&mut data, BINARY, &payload, mask);
            let start = data.len() - payload.len();
            let plain: Vec<u8> = data[start..].iter().zip(mask.iter().cycle()).map(|(one, other)| one ^ other).collect();
            prop_assert_eq!(plain, payload);
        }
    }
}
