//! A JSON text as a flat list of tokens: one pass over the bytes, everything validated, nothing copied.
//!
//! RFC 8259 to the letter, beside three limits: [`DEPTH_MAX`] levels, no lone surrogates in `\u` escapes (they are no
//! text), frames below 4 GiB. Strings are checked to be UTF-8. Numbers and strings stay what they are in the frame: a
//! token says where its text stands, so that every digit that the venue wrote can still be read.

use std::borrow::Cow;

use super::string;

/// Levels of lists and objects in each other.
pub const DEPTH_MAX: usize = 127;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    /// A string without escapes; its text is that between the quotes.
    Text,
    /// A string with escapes.
    Escaped,
    /// Name of a member of an object; its value is the next token.
    Key,
    EscapedKey,
    List,
    Object,
}

/// One value or key.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Of its text in the frame; of strings without the quotes.
    pub start: u32,
    pub end: u32,
    /// Place on the tape behind the value and all that it holds; of a key, that of its value.
    pub next: u32,
    pub kind: Kind,
    /// How many lists and objects it stands in.
    pub depth: u8,
}

/// Why bytes are no JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the first byte that does not fit.
    pub offset: usize,
    pub reason: &'static str,
}

/// The tokens of the newest frame; its memory is used again for the next one.
#[derive(Debug, Default)]
pub struct Tape {
    tokens: Vec<Token>,
    /// Places of the lists and objects that are still open.
    open: Vec<u32>,
}

/// Tokens beyond which the memory of a large frame is given back.
const KEEP_MAX: usize = 1 << 16;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    const fn fault<T>(&self, reason: &'static str) -> Result<T, Fault> {
        Err(Fault {
            offset: self.at,
            reason,
        })
    }

    /// The next byte that is no blank, which stays unread.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte > b' ' {
                return Some(byte);
            }
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.fault("expected a JSON value")
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            return self.fault("expected a digit");
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Fault> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Reads a string, from its opening quote to behind its closing one; whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Fault> {
        match string::scan(self.bytes, self.at + 1) {
            Ok((end, escaped)) => {
                self.at = end + 1;
                Ok(escaped)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl Tape {
    /// Reads a frame; what was read before is forgotten.
    ///
    /// # Errors
    /// The bytes are no JSON text.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.open.clear();
        self.tokens.clear();
        self.tokens.shrink_to(KEEP_MAX);
        if u32::try_from(bytes.len()).is_err() {
            return Err(Fault {
                offset: 0,
                reason: "longer than 4 GiB",
            });
        }
        let mut reader = Reader { bytes, at: 0 };
        let done = self.values(&mut reader);
        if done.is_err() {
            self.tokens.clear();
        }
        done
    }

    fn values(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        loop {
            // a value is due
            let opened = self.value(reader)?;
            if opened {
                let place = self.tokens.len() - 1;
                let (close, is_object) = match self.tokens[place].kind {
                    Kind::Object => (b'}', true),
                    _ => (b']', false),
                };
                if reader.peek() == Some(close) {
                    // empty: fall through to the closing below
                } else {
                    if is_object {
                        self.key(reader)?;
                    }
                    continue;
                }
            }
            if self.closed(reader)? {
                return match reader.peek() {
                    None => Ok(()),
                    Some(_) => reader.fault("expected the end of the text"),
                };
            }
        }
    }

    /// Reads one value, of a list or object only its beginning: then true.
    #[inline]
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<bool, Fault> {
        let Some(first) = reader.peek() else {
            return reader.fault("expected a JSON value, found the end");
        };
        let start = reader.at;
        let kind = match first {
            b'"' => {
                let escaped = reader.string()?;
                let kind = if escaped { Kind::Escaped } else { Kind::Text };
                self.push(start + 1, reader.at - 1, kind);
                return Ok(false);
            }
            b'-' | b'0'..=b'9' => {
                reader.number()?;
                Kind::Number
            }
            b'{' | b'[' => {
                if self.open.len() == DEPTH_MAX {
                    return reader.fault("nested too deeply");
                }
                reader.at += 1;
                let kind = if first == b'{' {
                    Kind::Object
                } else {
                    Kind::List
                };
                let place = self.tokens.len() as u32;
                self.push(start, reader.at, kind);
                self.open.push(place);
                return Ok(true);
            }
            b'n' => {
                reader.word(b"null")?;
                Kind::Null
            }
            b't' => {
                reader.word(b"true")?;
                Kind::True
            }
            b'f' => {
                reader.word(b"false")?;
                Kind::False
            }
            _ => return reader.fault("expected a JSON value"),
        };
        self.push(start, reader.at, kind);
        Ok(false)
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize, kind: Kind) {
        let next = self.tokens.len() as u32 + 1;
        self.tokens.push(Token {
            start: start as u32,
            end: end as u32,
            next,
            kind,
            depth: self.open.len() as u8,
        });
    }

    /// Reads a key and its colon.
    #[inline]
    fn key(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if reader.peek() != Some(b'"') {
            return reader.fault("expected a key");
        }
        let start = reader.at + 1;
        let escaped = reader.string()?;
        let kind = if escaped { Kind::EscapedKey } else { Kind::Key };
        self.push(start, reader.at - 1, kind);
        if reader.peek() != Some(b':') {
            return reader.fault("expected a colon");
        }
        reader.at += 1;
        Ok(())
    }

    /// Behind a value: closes what ends there, up to the comma before the next value. True: the whole text is read.
    #[inline]
    fn closed(&mut self, reader: &mut Reader<'_>) -> Result<bool, Fault> {
        loop {
            let Some(&place) = self.open.last() else {
                return Ok(true);
            };
            let is_object = self.tokens[place as usize].kind == Kind::Object;
            match (reader.peek(), is_object) {
                (Some(b','), true) => {
                    reader.at += 1;
                    self.key(reader)?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    reader.at += 1;
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    reader.at += 1;
                    let next = self.tokens.len() as u32;
                    let token = &mut self.tokens[place as usize];
                    token.end = reader.at as u32;
                    token.next = next;
                    self.open.pop();
                }
                (None, _) => return reader.fault("expected more, found the end"),
                (Some(_), true) => return reader.fault("expected a comma or a closing brace"),
                (Some(_), false) => return reader.fault("expected a comma or a closing bracket"),
            }
        }
    }

    #[must_use]
    #[inline]
    pub fn token(&self, place: u32) -> Token {
        self.tokens[place as usize]
    }

    #[must_use]
    pub fn get(&self, place: u32) -> Option<Token> {
        self.tokens.get(place as usize).copied()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// Text of a token: of a string what it means, of anything else what stands in the frame.
#[must_use]
#[inline]
pub fn text_of(bytes: &[u8], token: Token) -> Cow<'_, [u8]> {
    let raw = raw_of(bytes, token);
    match token.kind {
        Kind::Escaped | Kind::EscapedKey => Cow::Owned(string::unescape(raw)),
        _ => Cow::Borrowed(raw),
    }
}

/// What stands in the frame; of strings, between the quotes.
#[must_use]
#[inline]
pub fn raw_of(bytes: &[u8], token: Token) -> &[u8] {
    &bytes[token.start as usize..token.end as usize]
}
