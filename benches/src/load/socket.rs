//! Sockets to the server: from enough addresses that the ports suffice.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt},
};

/// Connections from one address: its ports, less those that are still in TIME_WAIT.
const PER_ADDRESS: u32 = 8_000;
/// The addresses used are 127.0.0.2 to 127.0.0.241.
const ADDRESSES: u32 = 240;

/// The segment of a client that is not on the same machine.
const ETHERNET: u32 = 1460;

/// Begins to connect to the port; writable when that is done. `window`: bytes that the kernel may keep unread,
/// for a client that is far away; none: the kernel's own choice.
pub(super) fn open(port: u16, window: Option<usize>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    if let Some(window) = window {
        sockopt::set_socket_recv_buffer_size(&socket, window)?;
        // On loopback a segment is 64 KiB, and the server's kernel would take megabytes for one who does not read.
        socket2::SockRef::from(&socket).set_tcp_mss(ETHERNET).map_err(|_| Errno::NOPROTOOPT)?;
    }
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(next_source(), 0))?;
    match connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// An address for as many connections as it has ports for, then the next: over the whole run, since a port whose
/// connection we ended is not free for a minute.
fn next_source() -> Ipv4Addr {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let block = MADE.fetch_add(1, Ordering::Relaxed) / PER_ADDRESS % ADDRESSES;
    Ipv4Addr::new(127, 0, 0, 2 + block as u8)
}
