//! The arbiter against a slow reference, and its rules one by one.

mod arbiter_reference;

use arbiter_reference::{SESSION, mold, pitch, reference, split};
use proptest::prelude::*;
use tickcast_core::arbiter::{Block, Event, LineArbiter, Protocol};

const LIMIT: usize = 1 << 20;
const SECOND: i64 = 1_000_000_000;

fn mold_arbiter() -> LineArbiter {
    LineArbiter::new(Protocol::MoldUdp64, LIMIT, true)
}

fn take(arbiter: &mut LineArbiter, packets: &[Vec<u8>], line: usize, now: i64) -> Vec<Block> {
    arbiter.take(
        packets.iter().map(|packet| (packet.as_slice(), now)),
        line,
        false,
    )
}

fn repair(arbiter: &mut LineArbiter, packets: &[Vec<u8>], now: i64) -> Vec<Block> {
    arbiter.take(
        packets.iter().map(|packet| (packet.as_slice(), now)),
        9,
        true,
    )
}

/// Numbers that the blocks hand out; each message says its own number.
fn numbers(blocks: &[Block]) -> Vec<u64> {
    let mut numbers = Vec::new();
    for block in blocks {
        let messages = split(&block.messages);
        assert_eq!(messages.len() as u64, block.count);
        for (number, message) in (block.first..).zip(messages) {
            assert_eq!(message, number, "a message has the number it was sent with");
            numbers.push(number);
        }
    }
    numbers
}

fn holes(arbiter: &LineArbiter) -> Vec<(u64, u64)> {
    arbiter
        .holes()
        .map(|(_, hole)| (hole.first, hole.last))
        .collect()
}

#[test]
fn contiguous_packets_of_one_time_are_one_block() {
    let mut arbiter = mold_arbiter();
    let blocks = take(&mut arbiter, &[mold(1, 3), mold(4, 1), mold(5, 2)], 0, 1);
    assert_eq!(blocks.len(), 1);
    assert_eq!(
        (blocks[0].first, blocks[0].count, blocks[0].epoch),
        (1, 6, 1)
    );
    assert_eq!(numbers(&blocks), [1, 2, 3, 4, 5, 6]);
    assert_eq!(take(&mut arbiter, &[mold(1, 3), mold(4, 3)], 1, 2), []);
    assert_eq!(arbiter.line_counts(1).duplicates, 2);
    assert_eq!(arbiter.take_events(), [(0, Event::Session(SESSION))]);
}

#[test]
fn an_overlap_is_cut_and_a_hole_is_filled_by_the_other_line() {
    let mut arbiter = mold_arbiter();
    assert_eq!(
        numbers(&take(&mut arbiter, &[mold(1, 3), mold(7, 3)], 0, 1)),
        [1, 2, 3]
    );
    assert_eq!(holes(&arbiter), [(4, 6)]);
    assert_eq!(arbiter.holes().next().unwrap().1.since, 1);
    // from the other line: part seen, the hole, part waiting, part new
    let blocks = take(&mut arbiter, &[mold(2, 10)], 1, 2);
    assert_eq!(numbers(&blocks), [4, 5, 6, 7, 8, 9, 10, 11]);
    let times: Vec<_> = blocks
        .iter()
        .map(|block| (block.first, block.ts_recv))
        .collect();
    assert_eq!(
        times,
        [(4, 2), (7, 1), (10, 2)],
        "a message has the time of the packet that brought it"
    );
    let (expected, top, waiting, counts) = arbiter.unit_counts(0);
    assert_eq!((expected, top, waiting), (12, 12, 0));
    assert_eq!(
        (counts.gaps, counts.missing, counts.recovered, counts.lost),
        (1, 3, 3, 0)
    );
}

#[test]
fn a_heartbeat_shows_what_is_missing_at_the_end() {
    let mut arbiter = mold_arbiter();
    take(&mut arbiter, &[mold(1, 3), mold(6, 0)], 0, 5);
    assert_eq!(holes(&arbiter), [(4, 5)]);
    assert_eq!(numbers(&repair(&mut arbiter, &[mold(4, 2)], 6)), [4, 5]);
    assert_eq!(holes(&arbiter), []);
}

#[test]
fn a_sequence_begins_at_one_or_with_what_comes_first() {
    let mut arbiter = mold_arbiter();
    assert_eq!(take(&mut arbiter, &[mold(50, 2)], 0, 1), []);
    assert_eq!(holes(&arbiter), [(1, 49)]);
    assert_eq!(numbers(&arbiter.skip(0, 49)), [50, 51]);
    let mut arbiter = LineArbiter::new(Protocol::Pitch, LIMIT, false);
    assert_eq!(
        numbers(&take(&mut arbiter, &[pitch(3, 50, 2)], 0, 1)),
        [50, 51]
    );
    assert_eq!(arbiter.units().collect::<Vec<_>>(), [3]);
}

#[test]
fn units_are_apart() {
    let mut arbiter = LineArbiter::new(Protocol::Pitch, LIMIT, true);
    let packets = [
        pitch(1, 1, 2),
        pitch(2, 1, 1),
        pitch(1, 3, 2),
        pitch(2, 5, 1),
        pitch(1, 5, 1),
    ];
    let blocks = take(&mut arbiter, &packets, 0, 1);
    let told: Vec<_> = blocks
        .iter()
        .map(|block| (block.unit, block.first, block.count))
        .collect();
    assert_eq!(told, [(1, 1, 5), (2, 1, 1)]);
    assert_eq!(
        arbiter
            .holes()
            .map(|(unit, hole)| (unit, hole.first, hole.last))
            .collect::<Vec<_>>(),
        [(2, 2, 4)]
    );
}

#[test]
fn what_is_skipped_is_over_even_if_it_waits_or_comes_later() {
    let mut arbiter = mold_arbiter();
    take(&mut arbiter, &[mold(1, 1), mold(4, 4), mold(10, 2)], 0, 1);
    assert_eq!(
        numbers(&arbiter.skip(0, 5)),
        [6, 7],
        "an image up to 5 holds 4 and 5 too"
    );
    assert_eq!(holes(&arbiter), [(8, 9)]);
    assert_eq!(repair(&mut arbiter, &[mold(2, 4)], 2), []);
    assert!(numbers(&arbiter.skip(0, 20)).is_empty());
    assert_eq!(numbers(&take(&mut arbiter, &[mold(19, 4)], 0, 3)), [21, 22]);
    assert_eq!(arbiter.unit_counts(0).3.lost, 4);
}

#[test]
fn sequence_zero_is_handed_on_without_a_number() {
    let mut arbiter = mold_arbiter();
    let mut packet = mold(7, 2);
    packet[..18].fill(0);
    let blocks = take(&mut arbiter, &[packet, mold(0, 0)], 0, 1);
    assert_eq!((blocks.len(), blocks[0].first, blocks[0].count), (1, 0, 2));
    assert_eq!(arbiter.take_events(), [], "no session begins with it");
    let heartbeat = pitch(0, 0, 0);
    assert_eq!(
        take(
            &mut LineArbiter::new(Protocol::Pitch, LIMIT, true),
            &[heartbeat],
            0,
            1
        ),
        []
    );
}

#[test]
fn a_packet_that_is_not_whole_is_not_used() {
    let mut arbiter = mold_arbiter();
    let whole = mold(1, 3);
    let mut long = whole.clone();
    long.push(0);
    let packets = [
        whole[..whole.len() - 1].to_vec(),
        long,
        whole[..19].to_vec(),
        mold(u64::MAX, 1),
    ];
    assert_eq!(take(&mut arbiter, &packets, 2, 1), []);
    let damaged = arbiter.take_damaged();
    assert_eq!(damaged.len(), 4);
    assert_eq!((damaged[1].0, &damaged[1].2), (2, &packets[1]));
    assert_eq!(arbiter.line_counts(2).damaged, 4);
    let mut arbiter = LineArbiter::new(Protocol::Pitch, LIMIT, true);
    let mut wrong = pitch(1, 1, 2);
    wrong[0] += 1;
    let mut zero = pitch(1, 1, 2);
    zero[8] = 0;
    take(&mut arbiter, &[wrong, zero], 0, 1);
    assert_eq!(arbiter.line_counts(0).damaged, 2);
}

#[test]
fn a_full_buffer_says_so_and_what_it_dropped_is_missing() {
    let mut arbiter = LineArbiter::new(Protocol::MoldUdp64, 1_000, true);
    take(&mut arbiter, &[mold(1, 1)], 0, 1);
    arbiter.take_events();
    for first in (3..200).step_by(2) {
        take(&mut arbiter, &[mold(first, 1)], 0, 1);
    }
    assert_eq!(arbiter.take_events(), [(0, Event::TooOld { last: 2 })]);
    let (_, top, waiting, counts) = arbiter.unit_counts(0);
    assert!(waiting <= 1_000);
    assert_eq!(top, 200);
    let missing: u64 = holes(&arbiter)
        .iter()
        .map(|(first, last)| last - first + 1)
        .sum();
    assert_eq!(counts.missing, missing);
    assert_eq!(counts.overflowed + 99, missing);
    let all = repair(&mut arbiter, &[mold(2, 198)], 2);
    assert_eq!(numbers(&all), (2..200).collect::<Vec<_>>());
}

fn other_session(mut packet: Vec<u8>) -> Vec<u8> {
    packet[..10].copy_from_slice(b"TOMORROW00");
    packet
}

#[test]
fn another_session_needs_two_packets_and_the_old_one_does_not_come_back() {
    let mut arbiter = mold_arbiter();
    take(&mut arbiter, &[mold(1, 3)], 0, 1);
    assert_eq!(take(&mut arbiter, &[other_session(mold(1, 2))], 0, 2), []);
    assert_eq!(numbers(&take(&mut arbiter, &[mold(4, 1)], 0, 2)), [4]);
    assert_eq!(take(&mut arbiter, &[other_session(mold(1, 2))], 0, 2), []);
    let blocks = take(
        &mut arbiter,
        &[other_session(mold(1, 2)), other_session(mold(3, 1))],
        1,
        3,
    );
    assert_eq!(numbers(&blocks), [1, 2, 3]);
    assert!(
        blocks
            .iter()
            .all(|block| &block.session == b"TOMORROW00" && block.epoch == 2)
    );
    assert_eq!(
        take(&mut arbiter, &[mold(5, 1), mold(6, 1), mold(7, 1)], 0, 4),
        []
    );
    assert_eq!(arbiter.line_counts(0).disbelieved, 3);
}

#[test]
fn after_the_end_the_next_session_is_believed_at_once() {
    let mut arbiter = mold_arbiter();
    let mut end = mold(4, 0);
    end[18..20].fill(0xff);
    take(&mut arbiter, &[mold(1, 3), end.clone(), end], 0, 1);
    assert_eq!(
        arbiter.take_events(),
        [(0, Event::Session(SESSION)), (0, Event::End(SESSION))]
    );
    assert_eq!(
        numbers(&take(&mut arbiter, &[other_session(mold(1, 1))], 0, 2)),
        [1]
    );
}

#[test]
fn a_number_far_ahead_needs_a_second_packet() {
    let mut arbiter = mold_arbiter();
    take(&mut arbiter, &[mold(1, 3), mold(1 << 40, 1)], 0, 1);
    assert_eq!(numbers(&take(&mut arbiter, &[mold(4, 3)], 0, 1)), [4, 5, 6]);
    assert_eq!(
        (holes(&arbiter), arbiter.line_counts(0).disbelieved),
        (vec![], 1)
    );
    take(&mut arbiter, &[mold(100_000, 2), mold(100_002, 2)], 0, 1);
    assert_eq!(holes(&arbiter), [(7, 99_999)]);
}

#[test]
fn numbers_that_begin_anew_are_a_reset_and_late_packets_are_not() {
    let mut arbiter = mold_arbiter();
    let packets: Vec<_> = (0..30).map(|at| mold(1 + 2 * at, 2)).collect();
    take(&mut arbiter, &packets, 0, SECOND);
    // late and repeated packets of a line that goes on
    take(&mut arbiter, &packets[..10], 0, 2 * SECOND);
    take(&mut arbiter, &[mold(61, 2)], 0, 3 * SECOND);
    take(&mut arbiter, &packets[..2], 0, 4 * SECOND);
    arbiter.take_events();
    // a line that lags goes on too
    for (at, packet) in packets.iter().enumerate() {
        take(
            &mut arbiter,
            std::slice::from_ref(packet),
            1,
            (5 + at as i64) * SECOND,
        );
    }
    assert_eq!(arbiter.take_events(), []);
    take(&mut arbiter, &[mold(1, 2)], 0, 50 * SECOND);
    let blocks = take(&mut arbiter, &[mold(3, 2), mold(5, 2)], 0, 51 * SECOND);
    assert_eq!(
        arbiter.take_events(),
        [(
            0,
            Event::Reset {
                expected: 63,
                came: 5
            }
        )]
    );
    assert_eq!(
        numbers(&blocks),
        [1, 2, 3, 4, 5, 6],
        "what proved it is not lost"
    );
    assert_eq!(blocks[0].epoch, 2);
}

#[test]
fn a_rewind_wants_all_again() {
    let mut arbiter = mold_arbiter();
    take(&mut arbiter, &[mold(1, 9)], 0, 1);
    arbiter.rewind(0, 1, 7);
    assert_eq!(
        arbiter
            .holes()
            .map(|(_, hole)| (hole.first, hole.last, hole.since))
            .collect::<Vec<_>>(),
        [(1, 9, 7)]
    );
    assert_eq!(take(&mut arbiter, &[mold(10, 1)], 0, 8), []);
    let blocks = repair(&mut arbiter, &[mold(1, 9)], 9);
    assert_eq!(numbers(&blocks), (1..=10).collect::<Vec<_>>());
    assert_eq!(blocks[0].epoch, 2);
}

#[test]
fn retransmissions_fill_holes_and_do_nothing_else() {
    let mut arbiter = mold_arbiter();
    assert_eq!(repair(&mut arbiter, &[mold(1, 3)], 1), [], "no session yet");
    take(&mut arbiter, &[mold(1, 3), mold(6, 1)], 0, 1);
    assert_eq!(
        repair(
            &mut arbiter,
            &[
                other_session(mold(4, 2)),
                mold(0, 1),
                mold(100, 5),
                mold(9, 0)
            ],
            1
        ),
        []
    );
    assert_eq!(holes(&arbiter), [(4, 5)]);
    assert_eq!(
        numbers(&repair(&mut arbiter, &[mold(3, 20)], 1)),
        [4, 5, 6],
        "beyond what the lines told is not wanted"
    );
    assert_eq!(arbiter.unit_counts(0).1, 7);
}

#[test]
fn lines_that_say_different_things_are_told_of() {
    let mut arbiter = mold_arbiter();
    let (good, mut bad) = (mold(1, 5), mold(1, 5));
    *bad.last_mut().unwrap() ^= 1;
    take(&mut arbiter, std::slice::from_ref(&good), 0, 1);
    arbiter.take_events();
    take(&mut arbiter, &[good, mold(2, 3), mold(6, 2)], 1, 1);
    assert_eq!(arbiter.take_events(), [], "the same, or not comparable");
    assert_eq!(take(&mut arbiter, &[bad], 1, 1), []);
    assert_eq!(
        arbiter.take_events(),
        [(0, Event::Conflict { first: 1, last: 5 })]
    );
}

/// (first, count, line) of packets, in any order, with any loss.
fn arrivals() -> impl Strategy<Value = (Vec<(u64, u64, usize)>, u64)> {
    prop::collection::vec((1_u64..250, 0_u64..30, 0_usize..2), 1..120).prop_flat_map(|packets| {
        let top = packets
            .iter()
            .map(|(first, count, _)| first + count)
            .max()
            .unwrap_or(1);
        (Just(packets), Just(top))
    })
}

proptest! {
    #[test]
    fn each_surviving_message_once_and_the_holes_are_what_is_missing(
        (packets, _) in arrivals(),
        reads in prop::collection::vec(1_usize..9, 120),
        protocol in prop::sample::select(vec![Protocol::MoldUdp64, Protocol::Pitch]),
    ) {
        let make = |first, count| match protocol {
            Protocol::MoldUdp64 => mold(first, count),
            Protocol::Pitch => pitch(1, first, count),
        };
        let mut arbiter = LineArbiter::new(protocol, LIMIT, true);
        let mut told = Vec::new();
        let mut position = 0;
        for read in reads {
            let part = &packets[position..packets.len().min(position + read)];
            position += part.len();
            for line in 0..2 {
                let mine: Vec<_> = part.iter().filter(|one| one.2 == line).map(|one| make(one.0, one.1)).collect();
                told.extend(numbers(&take(&mut arbiter, &mine, line, 1)));
            }
            let (expected, missing) = reference(&packets[..position]);
            prop_assert_eq!(&told, &(1..expected).collect::<Vec<_>>());
            let found: Vec<u64> = holes(&arbiter).iter().flat_map(|&(first, last)| first..=last).collect();
            prop_assert_eq!(found, missing);
        }
        let counts = arbiter.unit_counts(u8::from(protocol == Protocol::Pitch)).3;
        let open: u64 = holes(&arbiter).iter().map(|(first, last)| last - first + 1).sum();
        prop_assert_eq!(counts.missing, counts.recovered + open);
    }

    #[test]
    fn with_a_small_buffer_nothing_comes_twice_or_out_of_order(
        (packets, top) in arrivals(),
        limit in 0_usize..3_000,
        skips in prop::collection::vec((0_usize..120, 1_u64..280), 0..4),
    ) {
        let mut arbiter = LineArbiter::new(Protocol::MoldUdp64, limit, true);
        let mut told = Vec::new();
        for (at, &(first, count, line)) in packets.iter().enumerate() {
            told.extend(numbers(&take(&mut arbiter, &[mold(first, count)], line, 1)));
            for &(_, last) in skips.iter().filter(|skip| skip.0 == at) {
                told.extend(numbers(&arbiter.skip(0, last)));
            }
            prop_assert!(arbiter.unit_counts(0).2 <= limit);
        }
        told.extend(numbers(&repair(&mut arbiter, &[mold(1, top.max(280))], 2)));
        prop_assert!(told.is_sorted_by(|before, after| before < after));
        prop_assert_eq!(holes(&arbiter), []);
        if skips.is_empty() {
            prop_assert_eq!(told.len() as u64, arbiter.unit_counts(0).0 - 1);
        }
    }

    #[test]
    fn any_bytes_are_safe(packets: Vec<Vec<u8>>, times in prop::collection::vec(any::<i64>(), 100), repairs: bool) {
        for protocol in [Protocol::MoldUdp64, Protocol::Pitch] {
            let mut arbiter = LineArbiter::new(protocol, 10_000, true);
            let packets = packets.iter().map(Vec::as_slice).zip(times.iter().copied());
            let blocks = arbiter.take(packets, 0, repairs);
            drop((blocks, arbiter.skip(0, u64::MAX), arbiter.skip(1, 7)));
            arbiter.rewind(0, 0, 0);
        }
    }
}
