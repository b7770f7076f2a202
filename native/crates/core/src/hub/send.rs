//! The one piece of I/O in the core: a single non-blocking `send` for each client and flush.

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// So many bytes were taken, maybe none.
    Taken(usize),
    /// The connection is gone.
    Broken,
}

/// Sends what the socket takes now; never waits, never raises SIGPIPE.
pub(super) fn send(fd: i32, bytes: &[u8]) -> Sent {
    loop {
        // SAFETY: the pointer and length are of a live slice; `send` only reads it, and fails where `fd` is no socket.
        let sent = unsafe {
            libc::send(
                fd,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if let Ok(taken) = usize::try_from(sent) {
            return Sent::Taken(taken);
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(code)
                if code == libc::EAGAIN || code == libc::EWOULDBLOCK || code == libc::ENOBUFS =>
            {
                return Sent::Taken(0);
            }
            _ => return Sent::Broken,
        }
    }
}

/// Lets the socket count as full when so many bytes wait in it that the kernel could not send yet. What is under way and
/// not acknowledged does not count, so a long line is not slowed down; a peer that does not read is noticed before the
/// buffers have grown. Costs nothing in a send. Where it is no TCP socket nothing happens.
pub(super) fn set_watermark(fd: i32, bytes: usize) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option's value is a live c_int of the size given; the call fails where `fd` is no TCP socket.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// Bytes that a connection takes whose peer never reads.
    fn taken_by_a_stalled_peer(watermark: usize) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let theirs = TcpStream::connect(listener.local_addr().expect("bound")).expect("a peer");
        let (ours, _) = listener.accept().expect("a connection");
        if watermark > 0 {
            set_watermark(ours.as_raw_fd(), watermark);
        }
        let (update, mut total) = (vec![b'x'; 2_000], 0);
        while let Sent::Taken(taken) = send(ours.as_raw_fd(), &update) {
            total += taken;
            if taken < update.len() {
                break;
            }
        }
        drop(theirs);
        total
    }

    #[test]
    fn a_stalled_peer_is_noticed_at_the_watermark() {
        let (with, without) = (taken_by_a_stalled_peer(16_384), taken_by_a_stalled_peer(0));
        assert!(
            with < 256 << 10 && with < without / 4,
            "{with} bytes with a watermark, {without} without"
        );
    }

    #[test]
    fn takes_what_fits_and_notices_the_end() {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        let big = vec![7u8; 8 << 20];
        let Sent::Taken(first) = send(ours.as_raw_fd(), &big) else {
            panic!("a fresh socket takes something")
        };
        assert!(first > 0 && first < big.len());
        assert_eq!(send(ours.as_raw_fd(), &big), Sent::Taken(0), "full");
        let mut got = vec![0; first];
        theirs.read_exact(&mut got).expect("what was taken arrives");
        assert!(got == big[..first]);
        drop(theirs);
        assert_eq!(send(ours.as_raw_fd(), b"x"), Sent::Broken);
        assert_eq!(send(-1, b"x"), Sent::Broken);
    }
}
