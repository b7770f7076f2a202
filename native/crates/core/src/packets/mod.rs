//! Packets out of capture files (pcap and pcapng), fed in pieces: datagrams and TCP segments with their times.
//!
//! The file formats are read by the `pcap-parser` crate, the layers of a packet by `etherparse`; what is here joins them:
//! a file may come in pieces of any size, in both byte orders, with several sections and interfaces, each with its own
//! link type and clock; what is damaged is told with its offset and the reading goes on behind it.
//!
//! Sources: the pcap and pcapng formats (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng), tcpdump's list of link types.

mod framing;
mod link;

pub use framing::Protocol;
pub use link::{Flow, Transport};

use std::collections::HashMap;

use pcap_parser::nom::Err as Stop;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapHeader};

/// No packet is as large as this: a length beyond it is damage.
const PACKET_MAX: usize = 16 << 20;
/// Most bytes of a damaged packet that are handed back.
const RAW_MAX: usize = 65_536;
const SECOND_NS: i128 = 1_000_000_000;
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A datagram or a segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// Capture time, ns since 1970 UTC.
    pub ts_ns: i64,
    /// Of the packet's record in the (uncompressed) file.
    pub offset: u64,
    /// Index into [`PacketReader::flows`].
    pub flow: u32,
    /// TCP sequence number of the first byte; 0 for UDP.
    pub sequence: u32,
    /// TCP: the segment begins a connection (SYN).
    pub begins: bool,
    pub payload: Vec<u8>,
}

/// Bytes that were not understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    pub offset: u64,
    pub reason: &'static str,
    pub raw: Vec<u8>,
    /// A whole packet of a flow on which nothing of the protocol was ever seen: foreign rather than damaged.
    pub foreign: bool,
}

/// What one call found.
#[derive(Debug, Default)]
pub struct Packets {
    pub datagrams: Vec<Packet>,
    pub segments: Vec<Packet>,
    pub damaged: Vec<Damage>,
    /// Whole packets that carry neither UDP nor TCP data: ARP, IGMP, empty acknowledgements, ...
    pub other: usize,
}

#[derive(Clone, Copy)]
struct Interface {
    link: i32,
    snap: u32,
    /// Units of a second.
    resolution: u128,
    offset_s: i64,
}

enum Format {
    Unknown,
    Pcap {
        header: PcapHeader,
    },
    Ng {
        big_endian: bool,
        interfaces: Vec<Interface>,
    },
    /// The file cannot be read any further.
    Lost,
}

/// Reads one capture file.
pub struct PacketReader {
    protocol: Protocol,
    format: Format,
    held: Vec<u8>,
    /// Offset of `held` in the file.
    offset: u64,
    flows: Vec<Flow>,
    index: HashMap<Flow, u32>,
    /// By flow: the protocol was seen on it.
    spoken: Vec<bool>,
}

/// What a step over the held bytes made of them.
enum Next {
    /// So many bytes are done with.
    Taken(usize),
    More,
    Lost(&'static str),
}

impl PacketReader {
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            format: Format::Unknown,
            held: Vec::new(),
            offset: 0,
            flows: Vec::new(),
            index: HashMap::new(),
            spoken: Vec::new(),
        }
    }

    /// Every flow met so far, by number.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// A new file begins; flows are remembered.
    pub fn next_file(&mut self) {
        self.format = Format::Unknown;
        self.held.clear();
        self.offset = 0;
    }

    /// Takes the next bytes of the file; with `is_end`, what is left is damage.
    pub fn feed(&mut self, data: &[u8], is_end: bool) -> Packets {
        let mut out = Packets::default();
        let mut held = core::mem::take(&mut self.held);
        held.extend_from_slice(data);
        let mut position = 0;
        while position < held.len() {
            match self.step(&held[position..], self.offset + position as u64, &mut out) {
                Next::Taken(length) => position += length,
                Next::More => break,
                Next::Lost(reason) => {
                    out.bury(self.offset + position as u64, reason, &held[position..]);
                    self.format = Format::Lost;
                }
            }
        }
        if is_end && position < held.len() {
            let reason = "the file ends in the middle of a packet";
            out.bury(self.offset + position as u64, reason, &held[position..]);
            position = held.len();
        }
        self.offset += position as u64;
        held.drain(..position);
        self.held = held;
        out
    }

    fn step(&mut self, data: &[u8], offset: u64, out: &mut Packets) -> Next {
        match &self.format {
            Format::Lost => Next::Taken(data.len()),
            Format::Unknown => self.begin(data),
            Format::Pcap { header } => {
                let header = header.clone();
                self.pcap_frame(&header, data, offset, out)
            }
            Format::Ng { big_endian, .. } => self.ng_block(*big_endian, data, offset, out),
        }
    }

    fn begin(&mut self, data: &[u8]) -> Next {
        if data.len() < 4 {
            return Next::More;
        }
        if data[..4] == SECTION {
            // Its block says the byte order: little-endian is tried first, a section header corrects it.
            self.format = Format::Ng {
                big_endian: false,
                interfaces: Vec::new(),
            };
            return Next::Taken(0);
        }
        match pcap_parser::parse_pcap_header(data) {
            Ok((rest, header)) => {
                self.format = Format::Pcap { header };
                Next::Taken(data.len() - rest.len())
            }
            Err(Stop::Incomplete(_)) => Next::More,
            Err(_) => Next::Lost("neither pcap nor pcapng"),
        }
    }

    fn pcap_frame(
        &mut self,
        header: &PcapHeader,
        data: &[u8],
        offset: u64,
        out: &mut Packets,
    ) -> Next {
        let result = if header.is_modified_format() {
            pcap_parser::parse_pcap_frame_modified(data)
        } else if header.is_bigendian() {
            pcap_parser::parse_pcap_frame_be(data)
        } else {
            pcap_parser::parse_pcap_frame(data)
        };
        match result {
            Ok((rest, frame)) => {
                let unit = if header.is_nanosecond_precision() {
                    1
                } else {
                    1_000
                };
                let ts_ns =
                    i64::from(frame.ts_sec) * 1_000_000_000 + i64::from(frame.ts_usec) * unit;
                let cut = frame.caplen < frame.origlen;
                // the upper bits of the field are the length of the frame check sequence
                let link = header.network.0 & 0x0fff_ffff;
                self.packet(link, frame.data, cut, ts_ns, offset, out);
                Next::Taken(data.len() - rest.len())
            }
            Err(Stop::Incomplete(_)) => {
                let place = if header.is_bigendian() {
                    data.get(8..12)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map(u32::from_be_bytes)
                } else {
                    data.get(8..12)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map(u32::from_le_bytes)
                };
                if place.is_some_and(|length| length as usize > PACKET_MAX) {
                    Next::Lost(
                        "a packet's length is impossible: the rest of the file cannot be read",
                    )
                } else {
                    Next::More
                }
            }
            Err(_) => Next::Lost("no packet header: the rest of the file cannot be read"),
        }
    }

    fn ng_block(&mut self, big_endian: bool, data: &[u8], offset: u64, out: &mut Packets) -> Next {
        let Some(head) = data.first_chunk::<12>() else {
            return Next::More;
        };
        let word = |at: usize, big: bool| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            if big {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let is_section = head[..4] == SECTION;
        let big_endian = if is_section {
            word(8, true) == 0x1a2b_3c4d
        } else {
            big_endian
        };
        let length = word(4, big_endian) as usize;
        if length < 12 || !length.is_multiple_of(4) || length > PACKET_MAX {
            return Next::Lost(
                "a block's length is impossible: the rest of the file cannot be read",
            );
        }
        if data.len() < length {
            return Next::More;
        }
        let parsed = if big_endian {
            pcap_parser::parse_block_be(&data[..length])
        } else {
            pcap_parser::parse_block_le(&data[..length])
        };
        let Ok((_, block)) = parsed else {
            out.bury(offset, "a damaged block", &data[..length]);
            return Next::Taken(length);
        };
        if is_section {
            self.format = Format::Ng {
                big_endian,
                interfaces: Vec::new(),
            };
        } else {
            self.take_block(&block, big_endian, offset, &data[..length], out);
        }
        Next::Taken(length)
    }

    fn take_block(
        &mut self,
        block: &Block<'_>,
        big_endian: bool,
        offset: u64,
        raw: &[u8],
        out: &mut Packets,
    ) {
        let Format::Ng { interfaces, .. } = &mut self.format else {
            return;
        };
        match block {
            Block::InterfaceDescription(found) => interfaces.push(Interface {
                link: found.linktype.0,
                snap: found.snaplen,
                resolution: resolution(found.if_tsresol),
                offset_s: found.if_tsoffset,
            }),
            Block::EnhancedPacket(found) => {
                let Some(interface) = interfaces.get(found.if_id as usize).copied() else {
                    out.bury(
                        offset,
                        "a packet of an interface that was not described",
                        raw,
                    );
                    return;
                };
                let ticks = u128::from(found.ts_high) << 32 | u128::from(found.ts_low);
                let ts_ns = interface.time_ns(ticks);
                let cut = found.caplen < found.origlen;
                self.packet(interface.link, found.packet_data(), cut, ts_ns, offset, out);
            }
            Block::SimplePacket(found) => {
                let Some(interface) = interfaces.first().copied() else {
                    out.bury(
                        offset,
                        "a packet of an interface that was not described",
                        raw,
                    );
                    return;
                };
                let snap = if interface.snap == 0 {
                    u32::MAX
                } else {
                    interface.snap
                };
                let length = (found.origlen.min(snap) as usize).min(found.data.len());
                let cut = (length as u64) < u64::from(found.origlen);
                self.packet(interface.link, &found.data[..length], cut, 0, offset, out);
            }
            Block::Unknown(_) if raw[..4] == [2, 0, 0, 0] || raw[..4] == [0, 0, 0, 2] => {
                self.obsolete_packet(raw, big_endian, offset, out);
            }
            _ => {}
        }
    }

    /// The Packet Block of before 2009, which some old tools wrote.
    fn obsolete_packet(&mut self, raw: &[u8], big_endian: bool, offset: u64, out: &mut Packets) {
        let word = |at: usize| {
            let bytes = raw
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or([0; 4]);
            if big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let number = if big_endian {
            word(8) >> 16
        } else {
            word(8) & 0xffff
        };
        let (caplen, origlen) = (word(20), word(24));
        let Format::Ng { interfaces, .. } = &self.format else {
            return;
        };
        let data = raw.get(28..28 + caplen as usize);
        let (Some(interface), Some(data)) = (interfaces.get(number as usize).copied(), data) else {
            out.bury(offset, "a damaged block", raw);
            return;
        };
        let ts_ns = interface.time_ns(u128::from(word(12)) << 32 | u128::from(word(16)));
        self.packet(interface.link, data, caplen < origlen, ts_ns, offset, out);
    }

    fn packet(
        &mut self,
        link: i32,
        data: &[u8],
        cut: bool,
        ts_ns: i64,
        offset: u64,
        out: &mut Packets,
    ) {
        let found = match link::dissect(link, data) {
            Ok(Some(found)) => found,
            Ok(None) if cut => {
                return out.bury(offset, "cut short by the capture's snap length", data);
            }
            Ok(None) => {
                out.other += 1;
                return;
            }
            Err(reason) => return out.bury(offset, reason, data),
        };
        if found.payload.is_empty() && !found.begins && found.flow.transport == Transport::Tcp {
            out.other += 1;
            return;
        }
        let flow = self.flow(found.flow);
        if cut {
            return out.bury(offset, "cut short by the capture's snap length", data);
        }
        let packet = Packet {
            ts_ns,
            offset,
            flow,
            sequence: found.sequence,
            begins: found.begins,
            payload: found.payload.to_vec(),
        };
        if found.flow.transport == Transport::Tcp {
            out.segments.push(packet);
        } else if self.protocol.fits(found.payload) {
            self.spoken[flow as usize] = true;
            out.datagrams.push(packet);
        } else {
            out.bury(offset, self.protocol.misfit(), found.payload);
            if let Some(damage) = out.damaged.last_mut() {
                damage.foreign = !self.spoken[flow as usize];
            }
        }
    }

    fn flow(&mut self, flow: Flow) -> u32 {
        *self.index.entry(flow).or_insert_with(|| {
            self.flows.push(flow);
            self.spoken.push(false);
            (self.flows.len() - 1) as u32
        })
    }
}

impl Interface {
    fn time_ns(self, ticks: u128) -> i64 {
        let ns = ticks as i128 * SECOND_NS / self.resolution.max(1) as i128
            + i128::from(self.offset_s) * SECOND_NS;
        i64::try_from(ns).unwrap_or(0)
    }
}

/// Units of a second by `if_tsresol`: a power of 10, or of 2 if the highest bit is set.
fn resolution(code: u8) -> u128 {
    if code & 0x80 == 0 {
        10_u128.pow(u32::from(code).min(30))
    } else {
        1_u128 << (code & 0x7f).min(100)
    }
}

impl Packets {
    fn bury(&mut self, offset: u64, reason: &'static str, raw: &[u8]) {
        let raw = raw[..raw.len().min(RAW_MAX)].to_vec();
        self.damaged.push(Damage {
            offset,
            reason,
            raw,
            foreign: false,
        });
    }
}

#[cfg(test)]
mod tests;
