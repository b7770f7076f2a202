use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1000;

/// A client's frame, written the slow and plain way.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        middle @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    for (index, byte) in payload.iter().enumerate() {
        out.push(byte ^ mask[index % 4]);
    }
    out
}

/// Everything a stream yields when fed in the given pieces.
fn read_in(pieces: &[&[u8]], limit: usize) -> (Vec<Message>, Option<WsError>) {
    let mut reader = FrameReader::new(limit);
    let mut messages = Vec::new();
    for piece in pieces {
        if let Ok(more) = reader.feed(piece) {
            messages.extend(more);
        }
    }
    (messages, reader.error())
}

fn error_of(bytes: &[u8]) -> u16 {
    let mut reader = FrameReader::new(LIMIT);
    let error = reader.feed(bytes).expect_err("must be refused");
    assert_eq!(reader.pending(), 0);
    assert_eq!(reader.feed(b""), Err(error), "and stays refused");
    error.code
}

const MASK: [u8; 4] = [1, 2, 3, 250];

#[test]
fn refuses_what_breaks_the_protocol() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("rsv", frame(0xC1, b"x", MASK)),
        ("opcode 3", frame(0x83, b"x", MASK)),
        ("opcode 11", frame(0x8B, b"x", MASK)),
        ("unmasked", vec![0x81, 1, b'x']),
        ("long control", frame(0x89, &[b'x'; 126], MASK)),
        ("fragmented control", frame(0x09, b"x", MASK)),
        ("continuation of nothing", frame(0x80, b"x", MASK)),
        (
            "message in message",
            [frame(0x01, b"x", MASK), frame(0x81, b"y", MASK)].concat(),
        ),
        (
            "length not shortest, 16",
            vec![0x81, 0xFE, 0, 125, 0, 0, 0, 0],
        ),
        (
            "length not shortest, 64",
            vec![0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0],
        ),
        (
            "length of 64 bits",
            vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("close of one byte", frame(0x88, b"x", MASK)),
    ];
    for (name, bytes) in cases {
        assert_eq!(error_of(bytes), 1002, "{name}");
    }
}

#[test]
fn an_unmasked_frame_is_refused_by_its_second_byte() {
    assert_eq!(error_of(&[0x81, 0x7F]), 1002);
}

#[test]
fn close_codes() {
    for code in 0..=u16::MAX {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let got = FrameReader::new(LIMIT).feed(&frame(0x88, &code.to_be_bytes(), MASK));
        assert_eq!(got.is_ok(), allowed, "{code}");
    }
    assert_eq!(error_of(&frame(0x88, &[0x03, 0xE8, 0xFF], MASK)), 1007);
    let (messages, error) = read_in(
        &[&[frame(0x88, b"", MASK), frame(0x83, b"ignored", MASK)].concat()],
        LIMIT,
    );
    assert_eq!(
        messages,
        [Message {
            opcode: opcode::CLOSE,
            payload: vec![]
        }]
    );
    assert_eq!(error, None, "what follows a close frame is ignored");
}

#[test]
fn size_is_limited_by_the_header_alone() {
    assert_eq!(error_of(&frame(0x82, &[0; LIMIT + 1], MASK)[..8]), 1009);
    let halves = [frame(0x02, &[0; LIMIT], MASK), frame(0x80, &[0], MASK)].concat();
    assert_eq!(error_of(&halves), 1009);
    assert!(
        FrameReader::new(LIMIT)
            .feed(&frame(0x82, &[0; LIMIT], MASK))
            .is_ok()
    );
    let huge = [&[0x82, 0xFF][..], &(1u64 << 40).to_be_bytes(), &MASK].concat();
    assert_eq!(error_of(&huge), 1009);
}

#[test]
fn bad_text_is_refused_before_the_frame_ends() {
    let bytes = frame(0x81, b"ab\xFFcdefgh", MASK);
    let mut reader = FrameReader::new(LIMIT);
    assert_eq!(reader.feed(&bytes[..9]), Err(NOT_UTF8));
    // A character may be cut by fragments, but not by the end of the message.
    let halves = [frame(0x01, b"\xC3", MASK), frame(0x80, b"\xA4", MASK)].concat();
    assert_eq!(read_in(&[&halves], LIMIT).0[0].payload, "ä".as_bytes());
    assert_eq!(error_of(&frame(0x81, b"\xC3", MASK)), 1007);
}

#[test]
fn messages_before_the_damage_come_first() {
    let mut reader = FrameReader::new(LIMIT);
    let bytes = [frame(0x81, b"good", MASK), frame(0x83, b"", MASK)].concat();
    assert_eq!(reader.feed(&bytes).expect("the good one").len(), 1);
    assert_eq!(reader.error().map(|error| error.code), Some(1002));
    assert_eq!(reader.feed(b"").expect_err("now the damage").code, 1002);
}

#[test]
fn memory_is_held_only_while_something_is_unfinished() {
    let bytes = frame(0x81, &[b'x'; 500], MASK);
    let mut reader = FrameReader::new(LIMIT);
    assert_eq!(reader.feed(&bytes[..3]), Ok(vec![]));
    assert_eq!(reader.pending(), 3);
    assert_eq!(reader.feed(&bytes[3..100]), Ok(vec![]));
    assert!(
        reader.message.capacity() < 200,
        "grows with what came, not with what was announced"
    );
    assert_eq!(reader.feed(&bytes[100..]).expect("whole").len(), 1);
    assert_eq!(
        (
            reader.pending(),
            reader.message.capacity(),
            reader.control.capacity()
        ),
        (0, 0, 0)
    );
    assert_eq!(reader.feed(&frame(0x01, b"", MASK)), Ok(vec![]));
    assert_eq!(
        reader.pending(),
        1,
        "an empty first fragment is a message under way"
    );
}

/// A message as it is sent: fragments, with control frames between them.
fn message() -> impl Strategy<Value = (Vec<Message>, Vec<u8>)> {
    let text = ".{0,60}".prop_map(|text| (opcode::TEXT, text.into_bytes()));
    let binary =
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (opcode::BINARY, bytes));
    let control = (9u8..11, prop::collection::vec(any::<u8>(), 0..126));
    (
        prop_oneof![text, binary],
        prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::of(control)),
            0..4,
        ),
        any::<[u8; 4]>(),
    )
        .prop_map(|((opcode, payload), cuts, mask)| {
            let mut places: Vec<usize> = cuts
                .iter()
                .map(|(place, _)| place.index(payload.len() + 1))
                .collect();
            places.sort_unstable();
            let (mut expected, mut bytes, mut from) = (Vec::new(), Vec::new(), 0);
            for (number, place) in places.iter().enumerate() {
                let code = if number == 0 { opcode } else { 0 };
                bytes.extend(frame(code, &payload[from..*place], mask));
                from = *place;
                if let Some((code, body)) = &cuts[number].1 {
                    bytes.extend(frame(0x80 | code, body, mask));
                    expected.push(Message {
                        opcode: *code,
                        payload: body.clone(),
                    });
                }
            }
            bytes.extend(frame(
                0x80 | if places.is_empty() { opcode } else { 0 },
                &payload[from..],
                mask,
            ));
            expected.push(Message { opcode, payload });
            (expected, bytes)
        })
}

proptest! {
    #[test]
    fn round_trip(parts in prop::collection::vec(message(), 1..5)) {
        let (messages, bytes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (found, error) = read_in(&[&bytes.concat()], 1 << 20);
        prop_assert_eq!(found, messages.concat());
        prop_assert_eq!(error, None);
    }

    #[test]
    fn cut_at_every_place_it_reads_the_same(parts in prop::collection::vec(message(), 1..3), damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>()))) {
        let mut bytes = parts.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>();
        if let Some((place, value)) = damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let whole = read_in(&[&bytes], LIMIT);
        for cut in 0..=bytes.len() {
            prop_assert_eq!(&read_in(&[&bytes[..cut], &bytes[cut..]], LIMIT), &whole, "cut at {}", cut);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read_in(&single, LIMIT), &whole);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut reader = FrameReader::new(LIMIT);
        let _ = reader.feed(&bytes);
        prop_assert!(reader.pending() <= LIMIT + 14 + 125);
    }
}
