//! Requests to the kernel's routing tables, one at a time over a blocking socket (rtnetlink(7)).

use std::os::fd::OwnedFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Bytes of an answer; the kernel gives at most 32 KiB of a dump at once.
const ANSWER: usize = 64 << 10;

/// A socket to the network namespace in which it was opened, wherever its user goes.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Self, Errno> {
        let fd =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Asks for a change and waits for its acknowledgement; `flags` are of `NLM_F_*`.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Errno> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.answers(|_| {})
    }

    /// Asks for a table, and returns its entries.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn dump(&mut self, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        self.send(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut found = Vec::new();
        self.answers(|entry| found.push(entry))?;
        Ok(found)
    }

    /// Asks for one entry.
    ///
    /// # Errors
    /// What the kernel answers, `NODEV` for an interface that is not there.
    pub fn get(&mut self, message: RouteNetlinkMessage) -> Result<Option<RouteNetlinkMessage>, Errno> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK)?;
        let mut found = None;
        self.answers(|entry| found = Some(entry))?;
        Ok(found)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Errno> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        rustix::net::sendto(&self.fd, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop)
    }

    /// Reads until the acknowledgement or the end of the dump.
    fn answers(&mut self, mut each: impl FnMut(RouteNetlinkMessage)) -> Result<(), Errno> {
        let mut buffer = vec![0; ANSWER];
        loop {
            let (length, _) = rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..length.min(ANSWER)];
            while !rest.is_empty() {
                // The kernel is no stranger: what it says in a way unknown here is an odd answer, not an attack.
                let message =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|_| Errno::PROTO)?;
                let size = (message.header.length as usize).next_multiple_of(4).min(rest.len());
                rest = &rest[size..];
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(()),
                            Some(code) => Err(Errno::from_raw_os_error(-code.get())),
                        };
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::InnerMessage(entry) => each(entry),
                    _ => {}
                }
            }
        }
    }
}
