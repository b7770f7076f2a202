use proptest::prelude::*;

use super::framed;
use crate::fix::{Frames, Mode, is_bare, split};

const MAX: usize = 1 << 20;

fn heartbeat(seq: usize) -> Vec<u8> {
    framed(&format!("35=0|49=A|56=B|34={seq}|52=20260330-14:00:00|"))
}

fn update(seq: usize, note: &str) -> Vec<u8> {
    framed(&format!(
        "35=X|49=A|56=B|34={seq}|52=20260330-14:00:00|58={note}|268=0|"
    ))
}

fn numbers(frames: &Frames<'_>) -> Vec<u64> {
    frames
        .runs
        .iter()
        .flat_map(|run| run.first_seq..run.first_seq + run.count as u64)
        .collect()
}

fn reasons(frames: &Frames<'_>) -> Vec<&'static str> {
    frames.damaged.iter().map(|damage| damage.reason).collect()
}

#[test]
fn market_data_in_a_row_is_one_run() {
    let stream = [
        update(5, "a"),
        update(6, "b"),
        heartbeat(7),
        update(8, "c"),
        update(10, "d"),
    ]
    .concat();
    let frames = split(&stream, Mode::Stream, MAX, false);
    let runs: Vec<_> = frames
        .runs
        .iter()
        .map(|run| (run.first_seq, run.count))
        .collect();
    assert_eq!(runs, [(5, 2), (7, 1), (8, 1), (10, 1)]);
    assert_eq!(frames.consumed, stream.len());
    assert_eq!(
        (frames.runs[0].sender, frames.runs[0].target),
        (&b"A"[..], &b"B"[..])
    );
    assert_eq!(
        &stream[frames.runs[1].start..frames.runs[1].end],
        heartbeat(7)
    );
    let repeat = framed("35=X|49=A|56=B|34=9|43=Y|52=20260330-14:00:01|268=0|");
    let stream = [update(8, "c"), repeat].concat();
    let frames = split(&stream, Mode::Stream, MAX, false);
    assert_eq!(
        frames
            .runs
            .iter()
            .map(|run| run.poss_dup)
            .collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn zeros_before_the_length_and_data_fields_with_messages_in_them() {
    let inner = heartbeat(99);
    let mut body = format!("35=X\u{1}34=1\u{1}95={}\u{1}96=", inner.len()).into_bytes();
    body.extend_from_slice(&inner);
    body.extend_from_slice(b"\x01268=0\x01");
    let mut whole = format!("8=FIX.4.4\u{1}9=0000{}\u{1}", body.len()).into_bytes();
    whole.extend_from_slice(&body);
    let sum = whole.iter().map(|&byte| u32::from(byte)).sum::<u32>() % 256;
    whole.extend_from_slice(format!("10={sum:03}\u{1}").as_bytes());
    for cut in 0..whole.len() {
        assert_eq!(
            split(&whole[..cut], Mode::Stream, MAX, false),
            Frames::default(),
            "{cut}"
        );
    }
    let frames = split(&whole, Mode::Stream, MAX, true);
    assert_eq!((numbers(&frames), reasons(&frames)), (vec![1], vec![]));
}

#[test]
fn a_wrong_length_or_sum_takes_no_good_message_along() {
    let good = heartbeat(2);
    let text = String::from_utf8(update(1, "x")).unwrap();
    let length = text.split('\u{1}').nth(1).unwrap().to_owned();
    for (wrong, reason) in [
        ("9=5", "BodyLength (9) does not lead to CheckSum (10)"),
        ("9=9999", "BodyLength (9) does not lead to CheckSum (10)"),
        ("9=99999999", "the message is longer than the limit"),
        ("9=x", "BeginString (8) is not followed by BodyLength (9)"),
        (&length, "CheckSum (10) is not the sum of the bytes"),
    ] {
        let mut spoilt = text
            .replacen(&length, wrong, 1)
            .replace("58=x", "58=y")
            .into_bytes();
        let end = spoilt.len();
        spoilt.extend_from_slice(&good);
        let frames = split(&spoilt, Mode::Stream, MAX, false);
        assert_eq!(
            (numbers(&frames), reasons(&frames)),
            (vec![2], vec![reason]),
            "{wrong}"
        );
        assert_eq!((frames.damaged[0].start, frames.damaged[0].end), (0, end));
    }
}

#[test]
fn bytes_outside_of_messages() {
    let stream = [
        b"junk\n".to_vec(),
        heartbeat(1),
        b"\r\n".to_vec(),
        heartbeat(2),
    ]
    .concat();
    let frames = split(&stream, Mode::Stream, MAX, true);
    assert_eq!((numbers(&frames), frames.damaged.len()), (vec![1, 2], 2));
    let stream = [
        b"20260330-14:00:00.000 : ".to_vec(),
        heartbeat(1),
        b"\r\n\n20260330-14:00:01.000 : ".to_vec(),
        heartbeat(2),
        b"\n".to_vec(),
    ]
    .concat();
    for cut in 0..=stream.len() {
        let head = split(&stream[..cut], Mode::Log, MAX, false);
        let tail = split(&stream[head.consumed..], Mode::Log, MAX, true);
        assert_eq!([numbers(&head), numbers(&tail)].concat(), [1, 2], "{cut}");
        assert_eq!((head.damaged.len(), tail.damaged.len()), (0, 0), "{cut}");
    }
}

#[test]
fn a_last_message_that_is_cut_is_damaged_at_the_end_only() {
    let stream = [heartbeat(1), heartbeat(2)].concat();
    let cut = &stream[..stream.len() - 3];
    let frames = split(cut, Mode::Log, MAX, false);
    assert_eq!(
        (numbers(&frames), frames.consumed),
        (vec![1], heartbeat(1).len())
    );
    let frames = split(cut, Mode::Log, MAX, true);
    assert_eq!(
        (numbers(&frames), reasons(&frames)),
        (vec![1], vec!["the message is cut in the middle"])
    );
    assert_eq!(frames.consumed, cut.len());
}

#[test]
fn a_header_may_begin_with_the_application_version() {
    let text = String::from_utf8(heartbeat(3))
        .unwrap()
        .replacen("8=FIX.4.4", "1128=8", 1);
    let body = &text[..text.len() - 7];
    let sum = body.bytes().map(u32::from).sum::<u32>() % 256;
    let message = format!("{body}10={sum:03}\u{1}");
    assert_eq!(
        numbers(&split(message.as_bytes(), Mode::Log, MAX, true)),
        [3]
    );
}

#[test]
fn files_without_headers() {
    let file = "35=d\u{1}55=A\u{1}\n35=d\u{1}55=B\u{1}\r\n\n35=d\u{1}55=C\u{1}\n";
    assert!(
        is_bare(file.as_bytes())
            && !is_bare(&heartbeat(1))
            && !is_bare(b"1128=8\x019=3\x01")
            && !is_bare(b"hello")
    );
    let frames = split(file.as_bytes(), Mode::Bare, MAX, true);
    assert_eq!(
        (
            frames.runs.iter().map(|run| run.count).sum::<usize>(),
            frames.damaged.len()
        ),
        (3, 0)
    );
    let mixed = [
        file.as_bytes(),
        &heartbeat(1),
        b"\n35=d\x0155=D\x01\n35=d\x0155",
    ]
    .concat();
    let frames = split(&mixed, Mode::Bare, MAX, true);
    assert_eq!(frames.runs.iter().map(|run| run.count).sum::<usize>(), 4);
    assert_eq!(
        reasons(&frames),
        [
            "a message with 8, 9 or 10 in a file whose first has none",
            "the message is cut in the middle"
        ]
    );
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_messages(notes in prop::collection::vec("[ -~]{0,40}", 1..8), cut: prop::sample::Index) {
        let stream: Vec<u8> = notes.iter().enumerate().flat_map(|(seq, note)| update(seq + 1, note)).collect();
        let at = cut.index(stream.len());
        let head = split(&stream[..at], Mode::Stream, MAX, false);
        let tail = split(&stream[head.consumed..], Mode::Stream, MAX, true);
        prop_assert_eq!([numbers(&head), numbers(&tail)].concat(), (1..=notes.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(head.damaged.len() + tail.damaged.len(), 0);
    }

    #[test]
    fn one_changed_byte_costs_one_message_or_its_neighbour(
        count in 2_usize..6, place: prop::sample::Index, bit in 0_u8..8,
    ) {
        let mut stream: Vec<u8> = (1..=count).flat_map(heartbeat).collect();
        let at = place.index(stream.len());
        stream[at] ^= 1 << bit;
        let frames = split(&stream, Mode::Stream, MAX, true);
        prop_assert!(frames.consumed == stream.len());
        let found = numbers(&frames);
        prop_assert!(found.len() >= count - 2, "{found:?}");
        // a sum of bytes sees every single changed bit: nothing wrong is handed on
        prop_assert!(found.len() < count && found.iter().all(|&seq| (1..=count as u64).contains(&seq)));
    }

    #[test]
    fn any_bytes_are_safe(data: Vec<u8>, prefix in prop::bool::ANY, at_end: bool) {
        let data = if prefix { [b"8=FIX.4.4\x019=".to_vec(), data].concat() } else { data };
        for mode in [Mode::Stream, Mode::Log, Mode::Bare] {
            let frames = split(&data, mode, 200, at_end);
            prop_assert!(frames.consumed <= data.len());
            prop_assert!(!at_end || frames.consumed == data.len());
        }
    }
}
