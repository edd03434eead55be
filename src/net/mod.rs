//! Containers' networks: bridges, addresses, published ports, and the files that describe them.
//!
//! - `networks` is what is there ([`Networks`]), `network` what is kept of each;
//! - `sandbox` is one container's namespace and its places ([`Sandbox`]);
//! - `bridge` makes bridges, `firewall` their nftables rules, `proxy` carries what those can't;
//! - `resolver` answers what containers ask about names;
//! - `helper` is the program that carries an ordinary user's packets;
//! - `passage` opens the way through the chain of iptables that drops;
//! - `netlink` and `link` speak with the kernel about interfaces, `tables` and `expression` about rules;
//! - `subnet`, `six` and `port` are addresses and flags as data.
//!
//! **Invariant:** every trace of a container in a network belongs to the kernel
//! object of a living process (a namespace, a lock, a bound port) or is found
//! and removed by the next change of that network.
//!
//! **Invariant:** each bridge has one nftables table of its own while containers run in it, and two rules in the chain
//! `FORWARD` of iptables where that drops by default; no other rule of the machine is touched.

mod bridge;
mod error;
mod expression;
mod firewall;
mod helper;
mod link;
mod netlink;
mod network;
mod networks;
mod passage;
mod port;
mod proxy;
mod resolver;
mod sandbox;
mod six;
mod subnet;
mod tables;

pub use error::NetError;
pub use helper::is_rootless;
pub use network::{Driver, Endpoint, Mac, Network, NewNetwork, mac_from, mac_text};
pub use networks::{DEFAULT, Networks};
pub use port::{Protocol, Published, Wanted, parse as parse_ports, parse_exposed};
pub use sandbox::{Joining, Remains, Sandbox};
pub use six::{NewSix, Place6, Six, Subnet6};
pub use subnet::Subnet;

/// Where programs are looked for; a search path could be anybody's.
const DIRECTORIES: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Returns the path of a program, if it is installed.
fn program(name: &str) -> Option<String> {
    let mut paths = DIRECTORIES.iter().map(|directory| format!("{directory}/{name}"));
    paths.find(|path| crate::fs::is_there(path.as_ref()))
}

/// Returns 64 random hexadecimal digits, the first twelve not all decimal.
fn random_id() -> Result<String, NetError> {
    loop {
        let mut bytes = [0u8; 32];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| NetError::kernel("make an id", errno))?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if !id[..12].bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// Returns nanoseconds since 1970.
fn now() -> i128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |span| span.as_nanos() as i128)
}
