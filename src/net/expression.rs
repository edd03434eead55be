//! What rules of nftables are made of, as the kernel knows it: steps that load registers, compare them, and decide.

use super::tables::{attribute, nested, number, text};

/// The first of the registers that hold four bytes each (`NFT_REG32_00`).
const FIRST: u32 = 8;

/// What is loaded into registers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Family of the packet's addresses, one byte (`NFT_META_NFPROTO`).
    Family,
    /// Its transport protocol, one byte (`NFT_META_L4PROTO`).
    Protocol,
    /// Name of the interface where it came in, 16 bytes (`NFT_META_IIFNAME`).
    InterfaceIn,
    /// Name of the interface where it goes out, 16 bytes (`NFT_META_OIFNAME`).
    InterfaceOut,
    /// Bytes of its network header: offset and count.
    Network(u32, u32),
    /// Bytes of its transport header: offset and count.
    Transport(u32, u32),
    /// What the connection is to the kernel, four bytes (`NFT_CT_STATE`).
    ConnectionState,
    /// What happened to the connection, four bytes (`NFT_CT_STATUS`).
    ConnectionStatus,
    /// Kind of its target's address, four bytes (`NFT_FIB_RESULT_ADDRTYPE`).
    TargetKind,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It goes on.
    Accept,
    /// It is gone.
    Drop,
}

/// One step of a rule.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// Loads something, beginning with a register.
    Load(Load, u32),
    /// Keeps the bits of a mask in the first registers.
    Mask(Vec<u8>),
    /// Goes on only if the first registers hold this, or only if they don't.
    Compare { same: bool, with: Vec<u8> },
    /// Goes on only with a value of a map for what the first registers hold, which it loads into them.
    Find(&'static str),
    /// Sends the packet to the address in the first registers and to the port in a register.
    Redirect { family: u8, port: u32 },
    /// Lets the packet carry this machine's address.
    Masquerade,
    /// Decides.
    Decide(Verdict),
}

impl Load {
    fn encode(self, register: u32) -> Vec<u8> {
        let meta = |key| expression("meta", &[number(1, FIRST + register), number(2, key)]);
        let payload = |base, offset, count| {
            let parts = [number(1, FIRST + register), number(2, base), number(3, offset), number(4, count)];
            expression("payload", &parts)
        };
        let connection = |key| expression("ct", &[number(1, FIRST + register), number(2, key)]);
        match self {
            Self::Family => meta(15),
            Self::Protocol => meta(16),
            Self::InterfaceIn => meta(6),
            Self::InterfaceOut => meta(7),
            Self::Network(offset, count) => payload(1, offset, count),
            Self::Transport(offset, count) => payload(2, offset, count),
            Self::ConnectionState => connection(0),
            Self::ConnectionStatus => connection(2),
            // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR
            Self::TargetKind => expression("fib", &[number(1, FIRST + register), number(2, 3), number(3, 2)]),
        }
    }
}

impl Expression {
    /// Returns it as an attribute of a list.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Load(what, register) => what.encode(*register),
            Self::Mask(mask) => {
                let none = vec![0; mask.len()];
                let size = u32::try_from(mask.len()).unwrap_or(0);
                let data = [nested(4, &attribute(1, mask)), nested(5, &attribute(1, &none))];
                let [mask, xor] = data;
                expression("bitwise", &[number(1, FIRST), number(2, FIRST), number(3, size), mask, xor])
            }
            Self::Compare { same, with } => {
                let operator = u32::from(!same);
                let data = nested(3, &attribute(1, with));
                expression("cmp", &[number(1, FIRST), number(2, operator), data])
            }
            Self::Find(map) => expression("lookup", &[text(1, map), number(2, FIRST), number(3, FIRST)]),
            Self::Redirect { family, port } => {
                let family = number(2, u32::from(*family));
                let port = number(5, FIRST + port);
                // NFT_NAT_DNAT
                expression("nat", &[number(1, 1), family, number(3, FIRST), port])
            }
            Self::Masquerade => expression("masq", &[]),
            Self::Decide(verdict) => {
                let code = match verdict {
                    Verdict::Drop => 0,
                    Verdict::Accept => 1,
                };
                // NFT_REG_VERDICT, NFTA_DATA_VERDICT
                let data = nested(2, &nested(2, &number(1, code)));
                expression("immediate", &[number(1, 0), data])
            }
        }
    }
}

fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, &parts.concat())].concat())
}
