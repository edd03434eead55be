//! Containers' networks: bridges, addresses, published ports, and the files that describe them.
//!
//! - `networks` is what is there ([`Networks`]), `network` what is kept of each;
//! - `sandbox` is one container's namespace and its places ([`Sandbox`]);
//! - `new` makes networks, `pool` gives their addresses;
//! - `parent` is what containers of macvlan and ipvlan networks are connected to;
//! - `bridge` makes bridges (`bridge_options` is what may be asked of them), `firewall` their nftables rules, `proxy` carries what those can't;
//! - `publish` chooses and reserves ports of the machine;
//! - `interface` is what is asked of one container's interface;
//! - `resolver` answers what containers ask about names;
//! - `common` is where an ordinary user's bridges are, `holder` the process that holds that, `helper` the program that
//!   carries packets between there and the machine;
//! - `passage` opens the way through the chain of iptables that drops;
//! - `netlink` and `link` speak with the kernel about interfaces, `tables` and `expression` about rules;
//! - `subnet` and `port` are addresses and flags as data.
//!
//! **Invariant:** every trace of a container in a network belongs to the kernel
//! object of a living process (a namespace, a lock, a bound port) or is found
//! and removed by the next change of that network.
//!
//! **Invariant:** each bridge has one nftables table of its own while containers run in it, and two rules in the chain
//! `FORWARD` of iptables where that drops by default; no other rule of the machine is touched.

mod bridge;
mod bridge_options;
mod common;
mod error;
mod expression;
mod firewall;
mod helper;
mod holder;
mod interface;
mod link;
mod netlink;
mod network;
mod networks;
mod new;
mod parent;
mod passage;
mod pool;
mod port;
mod proxy;
mod publish;
mod resolver;
mod sandbox;
mod subnet;
mod tables;

pub use common::{Common, Pass, look, stay};
pub use error::NetError;
pub use helper::is_rootless;
pub use holder::{WORD as HOLDER, main as holder_main};
pub use interface::InterfaceOptions;
pub use network::{Driver, Endpoint, Mac, Network, NewNetwork, mac_from, mac_text};
pub use networks::{DEFAULT, Networks};
pub use pool::{NewPool, Place, Pool};
pub use port::{Protocol, Published, Wanted, number_error, parse as parse_ports, parse_exposed};
pub use sandbox::{Joining, Remains, Sandbox};
pub use subnet::{Address, Subnet};

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
