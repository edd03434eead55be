//! Questions to the kernel about nftables, and changes of maps there, as messages of nfnetlink: a tenth of a
//! millisecond each, where `nft` takes ten.
//!
//! The layout is that of the kernel's `linux/netfilter/nf_tables.h` and `nfnetlink.h`.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST};
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `NFNL_SUBSYS_NFTABLES`
const TABLES: u16 = 10;
/// `NFT_MSG_GETTABLE`
const GET_TABLE: u16 = TABLES << 8 | 1;
/// `NFT_MSG_NEWSETELEM`
const NEW_ELEMENT: u16 = TABLES << 8 | 12;
/// `NFT_MSG_DELSETELEM`
const DELETE_ELEMENT: u16 = TABLES << 8 | 14;
/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`
const BATCH: (u16, u16) = (0x10, 0x11);
/// `NFPROTO_INET`
const INET: u8 = 1;
/// `NLA_F_NESTED`
const NESTED: u16 = 1 << 15;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;

/// An element of a map: parts of its key and of its value, each as the kernel compares it.
#[derive(Debug)]
pub(super) struct Element {
    /// Name of the map.
    pub map: &'static str,
    /// Its key; each part takes four bytes.
    pub key: Vec<[u8; 4]>,
    /// Its value.
    pub value: Vec<[u8; 4]>,
}

/// Whether there is a table of family `inet` by a name.
///
/// # Errors
/// `NOENT` if there is none, or the kernel does not tell.
pub(super) fn ask_for(table: &str) -> Result<(), Errno> {
    let mut request = Vec::new();
    message(&mut request, GET_TABLE, NLM_F_REQUEST, (INET, 0), &text(1, table));
    exchange(&request)
}

/// Adds elements to maps of a table, or takes them out: all or none.
///
/// # Errors
/// What the kernel answers, `NOENT` for a table or an element that is not there.
pub(super) fn change(table: &str, elements: &[Element], there: bool) -> Result<(), Errno> {
    let (kind, flags) = match there {
        true => (NEW_ELEMENT, NLM_F_REQUEST | NLM_F_CREATE),
        false => (DELETE_ELEMENT, NLM_F_REQUEST),
    };
    let mut request = Vec::new();
    message(&mut request, BATCH.0, NLM_F_REQUEST, (0, TABLES), &[]);
    for (number, element) in elements.iter().enumerate() {
        // NFTA_SET_ELEM_KEY and NFTA_SET_ELEM_DATA with NFTA_DATA_VALUE in NFTA_LIST_ELEM.
        let mut one = attribute(1 | NESTED, &attribute(1, &element.key.concat()));
        if there {
            one.extend(attribute(2 | NESTED, &attribute(1, &element.value.concat())));
        }
        let mut body = [text(1, table), text(2, element.map)].concat();
        body.extend(attribute(3 | NESTED, &attribute(1 | NESTED, &one)));
        // The kernel answers when the whole batch is done: one acknowledgement says it all.
        let last = if number + 1 == elements.len() { NLM_F_ACK } else { 0 };
        message(&mut request, kind, flags | last, (INET, 0), &body);
    }
    message(&mut request, BATCH.1, NLM_F_REQUEST, (0, TABLES), &[]);
    if elements.is_empty() { Ok(()) } else { exchange(&request) }
}

/// Sends what was composed, and returns what the kernel says first: its error, if there is one.
fn exchange(request: &[u8]) -> Result<(), Errno> {
    let family = AddressFamily::NETLINK;
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
    rustix::net::sendto(&socket, request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 8192];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    match (kind, answer.get(16..20).filter(|_| length >= 20)) {
        (Some(ERROR), Some(&[a, b, c, d])) => match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(()),
            code => Err(Errno::from_raw_os_error(-code)),
        },
        _ => Ok(()),
    }
}

/// Appends a message: header, `nfgenmsg` of a family and a resource, body.
fn message(request: &mut Vec<u8>, kind: u16, flags: u16, (family, resource): (u8, u16), body: &[u8]) {
    request.extend((20 + body.len() as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    // Sequence and sender.
    request.extend([0; 8]);
    request.extend([family, 0]);
    request.extend(resource.to_be_bytes());
    request.extend(body);
}

/// Returns an attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}
