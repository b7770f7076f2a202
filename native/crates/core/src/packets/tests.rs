//! Files built here by hand, from the formats' descriptions.

use proptest::prelude::*;

use super::*;

const HEARTBEAT: &[u8] = b"SESSION001\0\0\0\0\0\0\0\x09\0\0";

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 7, 0x67, 0x21];
    out.extend(((8 + payload.len()) as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    out
}

fn ipv4(payload: &[u8], protocol: u8) -> Vec<u8> {
    let mut out = vec![0x45, 0];
    out.extend(((20 + payload.len()) as u16).to_be_bytes());
    out.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 233, 54, 12, 1]);
    out.extend(payload);
    out
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((payload.len() as u16).to_be_bytes());
    out.extend([17, 64]);
    out.extend([0_u8; 15]);
    out.push(1);
    out.extend([0xff, 2]);
    out.extend([0_u8; 13]);
    out.push(1);
    out.extend(payload);
    out
}

fn ethernet(payload: &[u8], ether_type: u16) -> Vec<u8> {
    let mut out = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1];
    out.extend(ether_type.to_be_bytes());
    out.extend(payload);
    out
}

fn word(value: u32, is_big: bool) -> [u8; 4] {
    if is_big {
        value.to_be_bytes()
    } else {
        value.to_le_bytes()
    }
}

fn pcap(link: u32, packets: &[Vec<u8>], is_big: bool, magic: u32) -> Vec<u8> {
    let mut out = word(magic, is_big).to_vec();
    let version = if is_big { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    out.extend(version);
    for value in [0, 0, 65_535, link] {
        out.extend(word(value, is_big));
    }
    for packet in packets {
        let length = packet.len() as u32;
        for value in [1_600_000_000, 5, length, length] {
            out.extend(word(value, is_big));
        }
        out.extend(packet);
    }
    out
}

fn block(kind: u32, body: &[u8], is_big: bool) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (12 + padded) as u32;
    let mut out = word(kind, is_big).to_vec();
    out.extend(word(length, is_big));
    out.extend(body);
    out.resize(8 + padded, 0);
    out.extend(word(length, is_big));
    out
}

fn section(is_big: bool) -> Vec<u8> {
    let mut body = word(0x1a2b_3c4d, is_big).to_vec();
    body.extend(if is_big { [0, 1, 0, 0] } else { [1, 0, 0, 0] });
    body.extend([0xff; 8]);
    block(0x0a0d_0d0a, &body, is_big)
}

fn interface(link: u16, resolution: Option<u8>, is_big: bool) -> Vec<u8> {
    let mut body = if is_big {
        link.to_be_bytes().to_vec()
    } else {
        link.to_le_bytes().to_vec()
    };
    body.extend([0, 0, 0, 0, 0, 0]);
    if let Some(code) = resolution {
        let (option, length) = if is_big {
            ([0, 9], [0, 1])
        } else {
            ([9, 0], [1, 0])
        };
        body.extend(option);
        body.extend(length);
        body.extend([code, 0, 0, 0, 0, 0, 0, 0]);
    }
    block(1, &body, is_big)
}

fn enhanced(number: u32, ticks: u64, packet: &[u8], is_big: bool) -> Vec<u8> {
    let length = packet.len() as u32;
    let mut body = Vec::new();
    for value in [number, (ticks >> 32) as u32, ticks as u32, length, length] {
        body.extend(word(value, is_big));
    }
    body.extend(packet);
    block(6, &body, is_big)
}

fn read(file: &[u8]) -> Packets {
    PacketReader::new(Protocol::MoldUdp64).feed(file, true)
}

fn one(file: &[u8]) -> Packet {
    let mut found = read(file);
    assert_eq!((found.datagrams.len(), found.damaged), (1, vec![]));
    found.datagrams.remove(0)
}

#[test]
fn both_byte_orders_and_resolutions() {
    let packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
    for is_big in [false, true] {
        let micro = one(&pcap(1, std::slice::from_ref(&packet), is_big, 0xa1b2_c3d4));
        assert_eq!((micro.ts_ns, micro.offset), (1_600_000_000_000_005_000, 24));
        let nano = one(&pcap(1, std::slice::from_ref(&packet), is_big, 0xa1b2_3c4d));
        assert_eq!(
            (nano.ts_ns, nano.payload.as_slice()),
            (1_600_000_000_000_000_005, HEARTBEAT)
        );
    }
}

#[test]
fn every_link_type() {
    let ip = ipv4(&udp(HEARTBEAT), 17);
    let mut cooked = vec![0; 14];
    cooked.extend([8, 0]);
    cooked.extend(&ip);
    let mut cooked_2 = vec![8, 0];
    cooked_2.extend([0; 18]);
    cooked_2.extend(&ip);
    let mut null = vec![2, 0, 0, 0];
    null.extend(&ip);
    let mut tagged = vec![0, 5, 8, 0];
    tagged.extend(&ip);
    let files = [
        (1, ethernet(&ip, 0x0800)),
        (1, ethernet(&tagged, 0x8100)),
        (1, ethernet(&ipv6(&udp(HEARTBEAT)), 0x86dd)),
        (113, cooked),
        (276, cooked_2),
        (0, null.clone()),
        (108, null),
        (101, ip.clone()),
        (12, ip.clone()),
        (228, ip),
        (229, ipv6(&udp(HEARTBEAT))),
    ];
    for (link, packet) in files {
        let found = one(&pcap(link, &[packet], false, 0xa1b2_c3d4));
        assert_eq!(found.payload, HEARTBEAT, "link type {link}");
    }
}

#[test]
fn padding_of_short_frames_is_no_payload() {
    let mut packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
    packet.resize(packet.len() + 6, 0);
    assert_eq!(
        one(&pcap(1, &[packet], false, 0xa1b2_c3d4)).payload,
        HEARTBEAT
    );
}

#[test]
fn sections_interfaces_and_their_clocks() {
    let packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
    let ip = ipv4(&udp(HEARTBEAT), 17);
    for is_big in [false, true] {
        let mut file = section(is_big);
        file.extend(interface(1, None, is_big));
        file.extend(interface(101, Some(9), is_big));
        file.extend(interface(101, Some(0x80 | 20), is_big));
        file.extend(block(5, &[0; 12], is_big)); // statistics
        file.extend(enhanced(0, 1_600_000_000_000_005, &packet, is_big));
        file.extend(enhanced(1, 1_600_000_000_000_000_005, &ip, is_big));
        file.extend(enhanced(2, (7 << 20) | (1 << 19), &ip, is_big));
        file.extend(section(!is_big));
        file.extend(interface(1, None, !is_big));
        file.extend(enhanced(0, 8, &packet, !is_big));
        let found = read(&file);
        let times: Vec<i64> = found.datagrams.iter().map(|packet| packet.ts_ns).collect();
        let wanted = [
            1_600_000_000_000_005_000,
            1_600_000_000_000_000_005,
            7_500_000_000,
            8_000,
        ];
        assert_eq!(
            (times.as_slice(), found.damaged),
            (wanted.as_slice(), vec![])
        );
    }
}

#[test]
fn what_is_no_datagram_of_the_feed() {
    let tcp = [
        0, 80, 0x1f, 0x90, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0, b'x',
    ];
    let packets = [
        ethernet(&[0; 28], 0x0806),
        ethernet(&ipv4(&[0x11; 8], 2), 0x0800),
        ethernet(&ipv4(&tcp[..20], 6), 0x0800),
        ethernet(&ipv4(&tcp, 6), 0x0800),
        ethernet(&ipv4(&udp(b"not ours"), 17), 0x0800),
        ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800),
        ethernet(&ipv4(&udp(b"damaged"), 17), 0x0800),
    ];
    let found = read(&pcap(1, &packets, false, 0xa1b2_c3d4));
    assert_eq!((found.other, found.datagrams.len()), (3, 1));
    assert_eq!(
        (
            found.segments[0].sequence,
            found.segments[0].payload.as_slice()
        ),
        (7, b"x".as_slice())
    );
    let told: Vec<_> = found
        .damaged
        .iter()
        .map(|damage| (damage.reason, damage.foreign))
        .collect();
    let misfit = "a datagram that is no MoldUDP64 packet";
    assert_eq!(told, [(misfit, true), (misfit, false)]);
}

#[test]
fn cut_files_and_packets() {
    let packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
    let file = pcap(1, &[packet.clone(), packet], false, 0xa1b2_c3d4);
    let found = read(&file[..file.len() - 3]);
    let at = (24 + 16 + 62) as u64;
    assert_eq!(found.datagrams.len(), 1);
    assert_eq!(
        (found.damaged[0].offset, found.damaged[0].reason),
        (at, "the file ends in the middle of a packet")
    );
    let mut snapped = file.clone();
    snapped[24 + 12] += 40; // more bytes were on the wire
    let found = read(&snapped);
    assert_eq!(
        (found.datagrams.len(), found.damaged[0].reason),
        (1, "cut short by the capture's snap length")
    );
    let mut impossible = file;
    impossible[24 + 11] = 0x7f;
    let found = read(&impossible);
    assert_eq!((found.datagrams.len(), found.damaged.len()), (0, 1));
    assert!(found.damaged[0].reason.contains("impossible"));
}

#[test]
fn pitch_units_are_told_by_their_lengths() {
    let protocol = Protocol::Pitch;
    assert!(protocol.fits(&[8, 0, 0, 1, 1, 0, 0, 0]));
    assert!(protocol.fits(&[14, 0, 1, 1, 1, 0, 0, 0, 6, 0x20, 1, 2, 3, 4]));
    for wrong in [
        &[9, 0, 0, 1, 1, 0, 0, 0][..],
        &[8, 0, 1, 1, 1, 0, 0, 0],
        &[10, 0, 1, 1, 1, 0, 0, 0, 1, 0],
        &[8, 0, 0],
        HEARTBEAT,
    ] {
        assert!(!protocol.fits(wrong), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_make_the_same_packets(cuts in proptest::collection::vec(1_usize..90, 1..20), count in 1_usize..6) {
        let packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
        let file = pcap(1, &vec![packet; count], false, 0xa1b2_c3d4);
        let mut reader = PacketReader::new(Protocol::MoldUdp64);
        let mut found = Vec::new();
        let mut rest = file.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            rest = behind;
            let packets = reader.feed(piece, rest.is_empty());
            prop_assert!(packets.damaged.is_empty());
            found.extend(packets.datagrams);
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, read(&file).datagrams);
    }

    #[test]
    fn damage_anywhere_is_survived(at in 0_usize..400, value: u8, is_ng: bool) {
        let packet = ethernet(&ipv4(&udp(HEARTBEAT), 17), 0x0800);
        let mut file = if is_ng {
            let mut file = section(false);
            file.extend(interface(1, Some(9), false));
            (0..4).for_each(|tick| file.extend(enhanced(0, tick, &packet, false)));
            file
        } else {
            pcap(1, &vec![packet; 4], false, 0xa1b2_c3d4)
        };
        let at = at % file.len();
        file[at] = value;
        prop_assert!(read(&file).datagrams.len() <= 4);
    }

    #[test]
    fn anything_is_survived(data in proptest::collection::vec(any::<u8>(), 0..300), magic in 0_usize..5) {
        let start: [&[u8]; 5] = [&[], &[0xd4, 0xc3, 0xb2, 0xa1], &[0x4d, 0x3c, 0xb2, 0xa1], &[10, 13, 13, 10], &[0xa1, 0xb2, 0xc3, 0xd4]];
        let mut file = start[magic].to_vec();
        file.extend(data);
        read(&file);
    }
}
