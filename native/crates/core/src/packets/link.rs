//! From a captured packet to the UDP or TCP bytes in it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// Over what the bytes travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

/// One direction of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    pub transport: Transport,
    pub source: SocketAddr,
    pub target: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        write!(formatter, "{name} {} > {}", self.source, self.target)
    }
}

/// What a packet carries.
pub struct Dissected<'a> {
    pub flow: Flow,
    pub sequence: u32,
    pub begins: bool,
    pub payload: &'a [u8],
}

// Link types of tcpdump's list.
const NULL: i32 = 0;
const ETHERNET: i32 = 1;
const RAW: [i32; 3] = [12, 14, 101];
const LOOP: i32 = 108;
const LINUX_COOKED: i32 = 113;
const IPV4: i32 = 228;
const IPV6: i32 = 229;
const LINUX_COOKED_2: i32 = 276;

/// The UDP or TCP payload of a packet; `None` if it carries something else.
///
/// # Errors
/// A link type that is not read here, a fragment, or a packet that is cut or inconsistent.
pub fn dissect(link: i32, data: &[u8]) -> Result<Option<Dissected<'_>>, &'static str> {
    let sliced = match link {
        ETHERNET => LaxSlicedPacket::from_ethernet(data).map_err(|_| "no Ethernet header")?,
        LINUX_COOKED => ether_type(data, 14, 16)?,
        LINUX_COOKED_2 => ether_type(data, 0, 20)?,
        NULL | LOOP => ip(data.get(4..).ok_or("no loopback header")?)?,
        IPV4 | IPV6 => ip(data)?,
        _ if RAW.contains(&link) => ip(data)?,
        _ => return Err("a link type that is not read"),
    };
    let (source, target, is_fragment): (IpAddr, IpAddr, bool) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(found)) => {
            let header = found.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                found.payload().fragmented,
            )
        }
        Some(LaxNetSlice::Ipv6(found)) => {
            let header = found.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                found.payload().fragmented,
            )
        }
        _ => return Ok(None),
    };
    if is_fragment {
        return Err("a fragment of an IP packet");
    }
    let flow = |transport, source_port, target_port| Flow {
        transport,
        source: SocketAddr::new(source, source_port),
        target: SocketAddr::new(target, target_port),
    };
    match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => Ok(Some(Dissected {
            flow: flow(Transport::Udp, udp.source_port(), udp.destination_port()),
            sequence: 0,
            begins: false,
            payload: udp.payload(),
        })),
        Some(TransportSlice::Tcp(tcp)) => Ok(Some(Dissected {
            flow: flow(Transport::Tcp, tcp.source_port(), tcp.destination_port()),
            sequence: tcp.sequence_number(),
            begins: tcp.syn(),
            payload: tcp.payload(),
        })),
        _ if sliced.stop_err.is_some() => Err("a damaged packet"),
        _ => Ok(None),
    }
}

fn ip(data: &[u8]) -> Result<LaxSlicedPacket<'_>, &'static str> {
    LaxSlicedPacket::from_ip(data).map_err(|_| "no IP header")
}

/// A link header of `length` bytes with an EtherType at `place`.
fn ether_type(
    data: &[u8],
    place: usize,
    length: usize,
) -> Result<LaxSlicedPacket<'_>, &'static str> {
    let (Some(&[high, low]), Some(rest)) = (data.get(place..place + 2), data.get(length..)) else {
        return Err("no Linux cooked header");
    };
    let number = u16::from_be_bytes([high, low]);
    Ok(LaxSlicedPacket::from_ether_type(EtherType(number), rest))
}
