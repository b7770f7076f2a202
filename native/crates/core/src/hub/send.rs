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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

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
