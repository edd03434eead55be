//! Ports as `EXPOSE` gives them.

use super::findings::Findings;
use super::rule::{EXPOSE_INVALID_FORMAT, EXPOSE_PROTO_CASING};
use crate::parser::Instruction;

/// Checks ports after expansion; false at one that no build takes.
pub(super) fn check(ports: &[String], about: &Instruction, findings: &mut Findings<'_>) -> bool {
    ports.iter().all(|port| {
        let (host, container) =
            port.rsplit_once(':').map_or(("", port.as_str()), |(host, rest)| (host, rest));
        let (number, protocol) = container.split_once('/').unwrap_or((container, ""));
        let lower = protocol.to_lowercase();
        if number.is_empty() || !["", "tcp", "udp", "sctp"].contains(&lower.as_str()) {
            return false;
        }
        if protocol != lower {
            let text = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
            findings.add(&EXPOSE_PROTO_CASING, about, text);
        }
        if host.contains(|c| c != ':') {
            let text = format!(
                "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            );
            findings.add(&EXPOSE_INVALID_FORMAT, about, text);
        }
        true
    })
}
