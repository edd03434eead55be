//! Questions to the kernel about nftables, and changes there, as messages of nfnetlink: a millisecond at most, where
//! `nft` takes ten and has to be installed.
//!
//! The layout is that of the kernel's `linux/netfilter/nf_tables.h` and `nfnetlink.h`.

use std::os::fd::OwnedFd;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST};
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::expression::Expression;

/// `NFNL_SUBSYS_NFTABLES`
const TABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`
const BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`
const END: u16 = 0x11;
/// `NLA_F_NESTED`
const NESTED: u16 = 1 << 15;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NLMSG_DONE`
const DONE: u16 = 3;
/// Elements in one message.
const ELEMENTS: usize = 500;

/// Rules for both kinds of addresses (`NFPROTO_INET`).
pub(super) const INET: u8 = 1;
/// IPv4 (`NFPROTO_IPV4`).
pub(super) const IPV4: u8 = 2;
/// IPv6 (`NFPROTO_IPV6`).
pub(super) const IPV6: u8 = 10;

/// Messages of which the kernel knows what they ask for (`NFT_MSG_*`).
#[derive(Debug, Clone, Copy)]
enum Kind {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    GetChain = 4,
    NewRule = 6,
    GetRule = 7,
    DeleteRule = 8,
    NewSet = 9,
    NewElements = 12,
    DeleteElements = 14,
}

/// An element of a map: parts of its key and of its value, each as the kernel compares it.
#[derive(Debug)]
pub(super) struct Element {
    /// Name of the map.
    pub map: &'static str,
    /// Its key, of whole registers.
    pub key: Vec<u8>,
    /// Its value, of whole registers.
    pub value: Vec<u8>,
}

/// Where a chain takes packets (`NF_INET_*`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// `nat` or `filter`.
    pub kind: &'static str,
    /// Which hook.
    pub number: u32,
    /// Its place among others there.
    pub priority: i32,
}

/// A rule that is there.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its number in its table.
    pub handle: u64,
    /// What whoever made it keeps with it.
    data: Vec<u8>,
}

impl Rule {
    /// Whether it was made with a note.
    pub fn is_noted(&self, note: &str) -> bool {
        self.data == comment(note)
    }
}

/// Changes that are made as one: all or none.
#[derive(Debug)]
pub(super) struct Batch {
    family: u8,
    table: String,
    messages: Vec<(Kind, u16, Vec<u8>)>,
}

impl Batch {
    /// Begins with no changes of a table.
    pub fn new(family: u8, table: &str) -> Self {
        Self { family, table: table.to_owned(), messages: Vec::new() }
    }

    fn push(&mut self, kind: Kind, flags: u16, body: Vec<u8>) {
        self.messages.push((kind, flags, body));
    }

    /// Makes the table unless it is there.
    pub fn add_table(&mut self) {
        self.push(Kind::NewTable, NLM_F_CREATE, text(1, &self.table));
    }

    /// Removes the table with all in it.
    pub fn delete_table(&mut self) {
        self.push(Kind::DeleteTable, 0, text(1, &self.table));
    }

    /// Makes a map; types are `nft`'s, sizes in bytes.
    pub fn add_map(&mut self, name: &str, key: (u32, u32), value: (u32, u32)) {
        let number_of_map = u32::try_from(self.messages.len()).unwrap_or(0);
        let body = [
            text(1, &self.table),
            text(2, name),
            // NFT_SET_MAP
            number(3, 8),
            number(4, key.0),
            number(5, key.1),
            number(6, value.0),
            number(7, value.1),
            number(10, number_of_map),
        ];
        self.push(Kind::NewSet, NLM_F_CREATE, body.concat());
    }

    /// Makes a chain that takes packets at a hook; what no rule decides goes on.
    pub fn add_chain(&mut self, name: &str, hook: Hook) {
        let place = [number(1, hook.number), attribute(2, &hook.priority.to_be_bytes())].concat();
        let body = [text(1, &self.table), text(3, name), nested(4, &place), number(5, 1), text(7, hook.kind)];
        self.push(Kind::NewChain, NLM_F_CREATE, body.concat());
    }

    /// Adds a rule at the end of a chain.
    pub fn add_rule(&mut self, chain: &str, steps: &[Expression]) {
        self.push(Kind::NewRule, NLM_F_CREATE | NLM_F_APPEND, self.rule(chain, steps));
    }

    /// Adds a rule at the beginning of a chain, with a note to it.
    pub fn insert_rule(&mut self, chain: &str, steps: &[Expression], note: &str) {
        let mut body = self.rule(chain, steps);
        // NFTA_RULE_USERDATA
        body.extend(attribute(7, &comment(note)));
        self.push(Kind::NewRule, NLM_F_CREATE, body);
    }

    fn rule(&self, chain: &str, steps: &[Expression]) -> Vec<u8> {
        let steps: Vec<u8> = steps.iter().flat_map(Expression::encode).collect();
        [text(1, &self.table), text(2, chain), nested(4, &steps)].concat()
    }

    /// Removes a rule of a chain.
    pub fn delete_rule(&mut self, chain: &str, handle: u64) {
        let body = [text(1, &self.table), text(2, chain), attribute(3, &handle.to_be_bytes())];
        self.push(Kind::DeleteRule, 0, body.concat());
    }

    /// Adds elements to maps, or takes them out.
    pub fn change_elements(&mut self, elements: &[Element], there: bool) {
        let (kind, flags) = if there { (Kind::NewElements, NLM_F_CREATE) } else { (Kind::DeleteElements, 0) };
        for same in elements.chunk_by(|a, b| a.map == b.map).flat_map(|same| same.chunks(ELEMENTS)) {
            let list: Vec<u8> = same.iter().flat_map(|element| element.encode(there)).collect();
            let body = [text(1, &self.table), text(2, same[0].map), nested(3, &list)];
            self.push(kind, flags, body.concat());
        }
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// What the kernel answers, `NOENT` for a table, a chain or an element that is not there.
    pub fn commit(self) -> Result<(), Errno> {
        let Some(last) = self.messages.len().checked_sub(1) else { return Ok(()) };
        let mut request = message(BEGIN, 0, (0, TABLES), &[]);
        for (place, (kind, flags, body)) in self.messages.iter().enumerate() {
            // The kernel answers when all is done: one acknowledgement says it.
            let flags = flags | if place == last { NLM_F_ACK } else { 0 };
            request.extend(message(TABLES << 8 | *kind as u16, flags, (self.family, 0), body));
        }
        request.extend(message(END, 0, (0, TABLES), &[]));
        let socket = open()?;
        // A transaction is one datagram, however many ports it has.
        let size = request.len().saturating_mul(2).max(64 << 10);
        sockopt::set_socket_send_buffer_size_force(&socket, size)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&socket, size))?;
        send(&socket, &request)?;
        answers(&socket, |_, _| true)
    }
}

impl Element {
    fn encode(&self, there: bool) -> Vec<u8> {
        let mut parts = nested(1, &attribute(1, &self.key));
        if there {
            parts.extend(nested(2, &attribute(1, &self.value)));
        }
        nested(1, &parts)
    }
}

/// Asks for a table by name.
///
/// # Errors
/// `NOENT` if there is none, or the kernel does not tell.
pub(super) fn ask_for(table: &str) -> Result<(), Errno> {
    let socket = open()?;
    send(&socket, &message(TABLES << 8 | Kind::GetTable as u16, 0, (INET, 0), &text(1, table)))?;
    answers(&socket, |_, _| true)
}

/// Whether a chain takes packets at a hook and drops what no rule decides.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn drops(family: u8, table: &str, chain: &str) -> Result<bool, Errno> {
    let socket = open()?;
    let body = [text(1, table), text(3, chain)].concat();
    send(&socket, &message(TABLES << 8 | Kind::GetChain as u16, 0, (family, 0), &body))?;
    let mut policy = None;
    let asked = answers(&socket, |_, body| {
        // NFTA_CHAIN_POLICY, NF_DROP
        policy = attributes(body).find(|(kind, _)| *kind == 5).map(|(_, value)| value == [0; 4]);
        true
    });
    match asked {
        Err(Errno::NOENT) => Ok(false),
        other => other.map(|()| policy == Some(true)),
    }
}

/// Returns the rules of a chain; none where there is no such chain.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn rules(family: u8, table: &str, chain: &str) -> Result<Vec<Rule>, Errno> {
    let socket = open()?;
    let body = [text(1, table), text(2, chain)].concat();
    send(&socket, &message(TABLES << 8 | Kind::GetRule as u16, NLM_F_DUMP, (family, 0), &body))?;
    let mut found = Vec::new();
    let asked = answers(&socket, |_, body| {
        let find = |wanted: u16| attributes(body).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        if let Some(handle) = find(3).and_then(|value| value.try_into().ok()) {
            let handle = u64::from_be_bytes(handle);
            found.push(Rule { handle, data: find(7).unwrap_or_default().to_vec() });
        }
        false
    });
    match asked {
        Err(Errno::NOENT) => Ok(Vec::new()),
        other => other.map(|()| found),
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let family = AddressFamily::NETLINK;
    rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))
}

fn send(socket: &OwnedFd, request: &[u8]) -> Result<(), Errno> {
    rustix::net::sendto(socket, request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop)
}

/// Reads until an error, an acknowledgement, the end of a list, or an entry at which `each` says that it is enough.
fn answers(socket: &OwnedFd, mut each: impl FnMut(u16, &[u8]) -> bool) -> Result<(), Errno> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or(&buffer);
        while let Some((header, body)) = rest.split_at_checked(16) {
            let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let body = body.get(..size.saturating_sub(16)).unwrap_or(body);
            match (kind, body) {
                (ERROR, [a, b, c, d, ..]) => {
                    return match i32::from_ne_bytes([*a, *b, *c, *d]) {
                        0 => Ok(()),
                        code => Err(Errno::from_raw_os_error(-code)),
                    };
                }
                (DONE, _) => return Ok(()),
                // After the `nfgenmsg`.
                _ if each(kind, body.get(4..).unwrap_or_default()) => return Ok(()),
                _ => {}
            }
            rest = rest.get(size.next_multiple_of(4).max(16)..).unwrap_or_default();
        }
    }
}

/// Returns the attributes of a message: kind and value.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[a, b, c, d], _) = bytes.split_first_chunk()?;
        let size = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..size)?;
        bytes = bytes.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & !NESTED, value))
    })
}

/// Returns a note to a rule as `nft` shows it (`NFTNL_UDATA_RULE_COMMENT`): kind, length, text.
fn comment(note: &str) -> Vec<u8> {
    let length = u8::try_from(note.len() + 1).unwrap_or(u8::MAX);
    [&[0, length], note.as_bytes(), &[0]].concat()
}

/// Returns a message: header, `nfgenmsg` of a family and a resource, body.
fn message(kind: u16, flags: u16, (family, resource): (u8, u16), body: &[u8]) -> Vec<u8> {
    let mut bytes = (20 + body.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // Sequence and sender.
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Returns an attribute, padded.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Returns an attribute made of attributes.
pub(super) fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, value)
}

/// Returns an attribute that is a text.
pub(super) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// Returns an attribute that is a number.
pub(super) fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}
