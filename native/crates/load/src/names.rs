//! Symbols' names, as they are written in JSON, to their numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// FNV-1a over eight bytes at a time: names are short and come from the plan, not from an enemy.
#[derive(Default)]
pub struct ShortHasher(u64);

impl Hasher for ShortHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// Numbers of names.
pub struct Names {
    numbers: HashMap<Box<[u8]>, u32, BuildHasherDefault<ShortHasher>>,
}

impl Names {
    pub fn new(names: &[String]) -> Self {
        let numbers = (0..)
            .zip(names)
            .map(|(number, name)| (written(name), number));
        Self {
            numbers: numbers.collect(),
        }
    }

    /// Number of a name as JSON writes it, without its quotes.
    pub fn find(&self, written: &[u8]) -> Option<u32> {
        self.numbers
            .get(written)
            .copied()
            .or_else(|| self.find_escaped(written))
    }

    /// Number of a name as it is.
    pub fn find_plain(&self, name: &str) -> Option<u32> {
        self.numbers.get(&written(name)).copied()
    }

    /// The same for one that escapes more than it must.
    fn find_escaped(&self, text: &[u8]) -> Option<u32> {
        if !text.contains(&b'\\') {
            return None;
        }
        let quoted = [b"\"", text, b"\""].concat();
        let name: String = serde_json::from_slice(&quoted).ok()?;
        self.find_plain(&name)
    }
}

fn written(name: &str) -> Box<[u8]> {
    let quoted = serde_json::to_string(name).unwrap_or_default();
    quoted
        .as_bytes()
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_found_however_they_are_escaped() {
        let names = Names::new(&[
            "AAPL".to_owned(),
            "XNAS:AAPL".to_owned(),
            "a\"b\u{e9}".to_owned(),
        ]);
        assert_eq!(
            (
                names.find(b"AAPL"),
                names.find(b"XNAS:AAPL"),
                names.find(b"AAP")
            ),
            (Some(0), Some(1), None)
        );
        assert_eq!(names.find("a\\\"b\u{e9}".as_bytes()), Some(2));
        assert_eq!(names.find(br#"a\"b\u00e9"#), Some(2));
        assert_eq!(names.find(br"\u0041APL"), Some(0));
        assert_eq!(names.find(b"\\"), None);
    }
}
