//! A TCP stream or a log of FIX to whole, checked messages.
//!
//! A message is `8=FIX…`, `9=` the bytes between the SOH of that field and the `1` of `10=`, the body, and `10=` the sum
//! of all bytes before it modulo 256 in three digits (FIX 4.4, volume 1, "Message format" and appendix B). What is damaged
//! ends at its own CheckSum field, or where the next message begins: one damaged message never takes a good one along.

use super::fields::{SOH, data_tag, find_soh, number};
use super::time;

/// How the text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A TCP stream: nothing but messages.
    #[default]
    Stream,
    /// A log: line ends between messages, and a line's own beginning (a time, an arrow), are left out.
    Log,
    /// A file in which no message has 8, 9 or 10: one message a line.
    Bare,
}

/// One message, or several of market data in a row whose numbers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// MsgType (35) of the first.
    pub msg_type: &'a [u8],
    /// BeginString (8); empty in a bare file.
    pub begin: &'a [u8],
    pub sender: &'a [u8],
    pub target: &'a [u8],
    /// MsgSeqNum (34) of the first; 0 = it has none.
    pub first_seq: u64,
    pub count: usize,
    /// PossDupFlag (43).
    pub poss_dup: bool,
    /// Earliest and latest SendingTime (52); 0 = none.
    pub sending_min_ns: i64,
    pub sending_max_ns: i64,
    /// In the data that were split.
    pub start: usize,
    pub end: usize,
}

/// What was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub reason: &'static str,
    pub start: usize,
    pub end: usize,
    /// Runs that came before it.
    pub after: usize,
}

/// The messages of a stretch of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frames<'a> {
    /// Bytes that are done with; keep the rest for the next read.
    pub consumed: usize,
    pub runs: Vec<Run<'a>>,
    pub damaged: Vec<Damage>,
}

const CUT: &str = "the message is cut in the middle";
const LENGTH: &str = "BodyLength (9) does not lead to CheckSum (10)";
const SUM: &str = "CheckSum (10) is not the sum of the bytes";
const HEADER: &str = "BeginString (8) is not followed by BodyLength (9)";
const TOO_LONG: &str = "the message is longer than the limit";
const NO_TYPE: &str = "MsgType (35) is not the first field of the body";
const NO_MESSAGE: &str = "bytes outside of any message";
const FRAMED: &str = "a message with 8, 9 or 10 in a file whose first has none";
/// BodyLength has at most so many digits, zeros included.
const LENGTH_DIGITS: usize = 16;
/// BeginString, or ApplVerID in its place, has at most so many bytes.
const BEGIN_MAX: usize = 32;
/// `10=ddd` and SOH.
const TRAILER: usize = 7;
/// What a log may write before a message on its line.
const PREFIX_MAX: usize = 256;

enum Framed {
    Whole(usize),
    /// More has to come.
    Short,
    /// Damaged; ends here.
    Damaged(&'static str, usize),
}

/// The text of the message's own length field, and where the body begins.
enum Header {
    Body(usize, usize),
    Short,
    Wrong,
}

fn header(data: &[u8]) -> Header {
    let window = &data[..data.len().min(BEGIN_MAX)];
    let Some(end) = find_soh(window) else {
        return if window.len() < BEGIN_MAX {
            Header::Short
        } else {
            Header::Wrong
        };
    };
    let rest = &data[end + 1..];
    if rest.len() < 2 {
        return if b"9=".starts_with(rest) {
            Header::Short
        } else {
            Header::Wrong
        };
    }
    if &rest[..2] != b"9=" {
        return Header::Wrong;
    }
    let text = &rest[2..];
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match text.get(digits) {
        None if digits <= LENGTH_DIGITS => Header::Short,
        Some(&SOH) if (1..=LENGTH_DIGITS).contains(&digits) => {
            let length = number(&text[..digits]).and_then(|length| usize::try_from(length).ok());
            length.map_or(Header::Wrong, |length| {
                Header::Body(end + 1 + 2 + digits + 1, length)
            })
        }
        _ => Header::Wrong,
    }
}

/// Where a damaged message ends: behind its CheckSum field, or where a field 8 begins the next one.
///
/// Walks field by field, so that neither is found inside a data field. `None`: not in these data.
fn boundary(data: &[u8]) -> Option<usize> {
    let mut position = 0;
    let mut announced = (0, 0);
    while position < data.len() {
        let rest = &data[position..];
        if position > 0 && begins(rest) {
            return Some(position);
        }
        let digits = rest
            .iter()
            .take(9)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let tag = match rest.get(digits) {
            Some(b'=') => number(&rest[..digits]).unwrap_or(0) as u32, // at most 9 digits
            _ => 0,
        };
        if tag != 0 && tag == announced.0 {
            let end = position + digits + 1 + announced.1;
            if end >= data.len() {
                return None;
            }
            if data[end] == SOH {
                position = end + 1;
                announced = (0, 0);
                continue;
            }
        }
        let end = find_soh(rest)?;
        position += end + 1;
        if tag == 10 {
            return Some(position);
        }
        let data_field = data_tag(tag);
        if data_field != 0 {
            let length =
                number(&rest[digits + 1..end]).and_then(|length| usize::try_from(length).ok());
            announced = length
                .filter(|&length| length < 1 << 30)
                .map_or((0, 0), |length| (data_field, length));
        }
    }
    None
}

/// A message begins here.
fn begins(data: &[u8]) -> bool {
    data.starts_with(b"8=FIX") || data.starts_with(b"1128=")
}

/// The next place at or after `from` where a message begins.
fn next_begin(data: &[u8], from: usize) -> Option<usize> {
    (from..data.len()).find(|&at| {
        let apart = |mark: u8| at == 0 || !mark.is_ascii_digit();
        matches!(data[at], b'8' | b'1') && begins(&data[at..]) && apart(data[at.saturating_sub(1)])
    })
}

fn frame(data: &[u8], message_max: usize, at_end: bool) -> Framed {
    let (body, length) = match header(data) {
        Header::Body(body, length) => (body, length),
        Header::Short if at_end => return Framed::Damaged(CUT, data.len()),
        Header::Short => return Framed::Short,
        Header::Wrong => {
            return Framed::Damaged(
                HEADER,
                boundary(data).unwrap_or_else(|| next_begin(data, 1).unwrap_or(data.len())),
            );
        }
    };
    let total = body.saturating_add(length).saturating_add(TRAILER);
    if total > message_max {
        let end = boundary(data)
            .or_else(|| next_begin(data, 1))
            .unwrap_or(data.len());
        return Framed::Damaged(TOO_LONG, end);
    }
    if data.len() < total {
        // a length that is too large shows before all of it has come
        return match boundary(data) {
            Some(end) => Framed::Damaged(LENGTH, end),
            None if at_end => Framed::Damaged(CUT, data.len()),
            None => Framed::Short,
        };
    }
    let trailer = &data[total - TRAILER..total];
    let framed = data[total - TRAILER - 1] == SOH
        && trailer.starts_with(b"10=")
        && trailer[3..6].iter().all(u8::is_ascii_digit)
        && trailer[6] == SOH;
    let end_of_damage =
        || boundary(data).unwrap_or_else(|| next_begin(data, 1).unwrap_or(data.len()));
    if !framed {
        return Framed::Damaged(LENGTH, end_of_damage());
    }
    let sum = data[..total - TRAILER]
        .iter()
        .fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    let told = trailer[3..6]
        .iter()
        .fold(0_u16, |value, &byte| value * 10 + u16::from(byte - b'0'));
    if told != u16::from(sum) {
        return Framed::Damaged(SUM, end_of_damage().min(total));
    }
    Framed::Whole(total)
}

/// The header fields of a message (volume 2, "Standard message header"), up to the first field of its own.
fn peek(message: &[u8]) -> Result<Run<'_>, &'static str> {
    let mut run = Run {
        msg_type: b"",
        begin: b"",
        sender: b"",
        target: b"",
        first_seq: 0,
        count: 1,
        poss_dup: false,
        sending_min_ns: 0,
        sending_max_ns: 0,
        start: 0,
        end: 0,
    };
    for field in super::Fields::new(message) {
        let field = field?;
        let value = field.value;
        match field.tag {
            8 | 1128 if run.msg_type.is_empty() => run.begin = value,
            9 => {}
            35 => run.msg_type = value,
            _ if run.msg_type.is_empty() => return Err(NO_TYPE),
            34 => run.first_seq = number(value).ok_or("MsgSeqNum (34) is no number")?,
            43 => run.poss_dup = value == b"Y",
            49 => run.sender = value,
            56 => run.target = value,
            52 => {
                let time = time::timestamp(value).ok_or("SendingTime (52) is no time")?;
                (run.sending_min_ns, run.sending_max_ns) = (time, time);
            }
            // the rest of the header
            50
            | 57
            | 90
            | 91
            | 97
            | 115
            | 116
            | 122
            | 128
            | 129
            | 142..=145
            | 212
            | 213
            | 347
            | 369
            | 627..=630
            | 1128
            | 1129
            | 1156
            | 1137 => {}
            _ => break,
        }
    }
    if run.msg_type.is_empty() {
        return Err(NO_TYPE);
    }
    Ok(run)
}

/// Snapshots, incrementals, statuses, definitions: what may be handed on many at a time.
fn is_market_data(msg_type: &[u8]) -> bool {
    matches!(msg_type, b"W" | b"X" | b"f" | b"d" | b"y")
}

impl<'a> Frames<'a> {
    fn damage(&mut self, reason: &'static str, start: usize, end: usize) {
        self.damaged.push(Damage {
            reason,
            start,
            end,
            after: self.runs.len(),
        });
    }

    /// Takes a message, into the last run if it goes on there.
    fn take(&mut self, run: Run<'a>) {
        let damaged_between = self
            .damaged
            .last()
            .is_some_and(|damage| damage.after == self.runs.len());
        if let Some(last) = self.runs.last_mut().filter(|_| !damaged_between) {
            let follows = if last.begin.is_empty() {
                run.begin.is_empty()
            } else {
                run.first_seq == last.first_seq.wrapping_add(last.count as u64)
                    && run.start == last.end
            };
            if follows
                && is_market_data(last.msg_type)
                && is_market_data(run.msg_type)
                && !(last.poss_dup || run.poss_dup)
                && (last.begin, last.sender, last.target) == (run.begin, run.sender, run.target)
            {
                last.count += 1;
                last.end = run.end;
                last.sending_min_ns = last.sending_min_ns.min(run.sending_min_ns);
                last.sending_max_ns = last.sending_max_ns.max(run.sending_max_ns);
                return;
            }
        }
        self.runs.push(run);
    }
}

/// Splits what has come. `message_max` bounds a message, and so what a reader has to keep; `at_end`: nothing more will
/// come, so what is unfinished is damaged.
#[must_use]
pub fn split(data: &[u8], mode: Mode, message_max: usize, at_end: bool) -> Frames<'_> {
    if mode == Mode::Bare {
        return split_lines(data, message_max, at_end);
    }
    let mut frames = Frames::default();
    while frames.consumed < data.len() {
        let start = frames.consumed;
        let rest = &data[start..];
        if !begins(rest) {
            match skip(rest, mode, at_end) {
                Some((end, silent)) => {
                    if !silent {
                        frames.damage(NO_MESSAGE, start, start + end);
                    }
                    frames.consumed += end;
                    continue;
                }
                None => break,
            }
        }
        match frame(rest, message_max, at_end) {
            Framed::Short => break,
            Framed::Damaged(reason, end) => {
                frames.damage(reason, start, start + end);
                frames.consumed += end;
            }
            Framed::Whole(length) => {
                let end = start + length;
                match peek(&rest[..length]) {
                    Ok(run) => frames.take(Run { start, end, ..run }),
                    Err(reason) => frames.damage(reason, start, end),
                }
                frames.consumed = end;
            }
        }
    }
    frames
}

/// Bytes before the next message, and whether that is nothing to speak of. `None`: wait for more.
fn skip(data: &[u8], mode: Mode, at_end: bool) -> Option<(usize, bool)> {
    // what could be the beginning of a message whose rest has not come
    let open = (1..6).rev().find(|&length| {
        data.len() >= length && {
            let tail = &data[data.len() - length..];
            b"8=FIX".starts_with(tail) || b"1128=".starts_with(tail)
        }
    });
    let end = next_begin(data, 0)
        .unwrap_or_else(|| data.len() - if at_end { 0 } else { open.unwrap_or(0) });
    if end == 0 {
        return None;
    }
    let junk = &data[..end];
    if mode == Mode::Stream {
        return Some((end, false));
    }
    let complete = end < data.len() && begins(&data[end..]);
    let last_line = junk
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let blank = junk[..last_line].iter().all(u8::is_ascii_whitespace);
    let prefix = &junk[last_line..];
    let is_prefix = prefix.len() <= PREFIX_MAX && !prefix.contains(&SOH);
    if blank && is_prefix && !complete && !at_end && open.is_none() {
        // a line's own beginning, whose message has not come yet
        return (last_line > 0).then_some((last_line, true));
    }
    let silent = blank
        && is_prefix
        && (complete || prefix.iter().all(u8::is_ascii_whitespace) || open.is_some());
    Some((end, silent))
}

/// One message a line.
fn split_lines(data: &[u8], message_max: usize, at_end: bool) -> Frames<'_> {
    let mut frames = Frames::default();
    while frames.consumed < data.len() {
        let start = frames.consumed;
        let rest = &data[start..];
        let newline = rest.iter().position(|&byte| byte == b'\n');
        let Some(length) = newline.or((at_end || rest.len() > message_max).then_some(rest.len()))
        else {
            break;
        };
        frames.consumed += length + usize::from(newline.is_some());
        let line = rest[..length]
            .strip_suffix(b"\r")
            .unwrap_or(&rest[..length]);
        if line.is_empty() {
            continue;
        }
        let end = start + line.len();
        match bare(line, newline.is_some(), message_max) {
            Ok(run) => frames.take(Run { start, end, ..run }),
            Err(reason) => frames.damage(reason, start, end),
        }
    }
    frames
}

fn bare(line: &[u8], is_whole: bool, message_max: usize) -> Result<Run<'_>, &'static str> {
    if line.len() > message_max {
        return Err(TOO_LONG);
    }
    if !is_whole && line.last() != Some(&SOH) {
        return Err(CUT);
    }
    for field in super::Fields::new(line) {
        if matches!(field?.tag, 8..=10) {
            return Err(FRAMED);
        }
    }
    peek(line)
}

/// The first message of a file, or as much of it as there is, has none of 8, 9 and 10: the file is [`Mode::Bare`].
#[must_use]
pub fn is_bare(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut fields = super::Fields::new(line).map_while(Result::ok).peekable();
    fields.peek().is_some_and(|field| field.tag != 1128)
        && fields.all(|field| !matches!(field.tag, 8..=10))
}
