//! Hosts in the options of network file systems: the kernel wants addresses, users write names.

use std::net::{IpAddr, Ipv4Addr};

/// Puts the address in the place of a name: of `addr=` in the options, or else, for cifs, of the host of the device.
///
/// # Errors
/// The name has no address; in words.
pub(super) fn resolve(
    kind: &str,
    device: &str,
    options: &str,
    look_up: impl Fn(&str) -> Result<IpAddr, String>,
) -> Result<(String, String), String> {
    let as_given = (device.to_owned(), options.to_owned());
    if !["nfs", "cifs"].contains(&kind) {
        return Ok(as_given);
    }
    let failed = |why| format!("error resolving passed in network volume address: {why}");
    let address = options.split(',').find_map(|option| option.strip_prefix("addr=")).unwrap_or_default();
    if !address.is_empty() && address.parse::<Ipv4Addr>().is_err() {
        let found = look_up(address).map_err(failed)?;
        let options = options.replacen(&format!("addr={address}"), &format!("addr={found}"), 1);
        return Ok((as_given.0, options));
    }
    match host(device).filter(|host| kind == "cifs" && !host.is_empty()) {
        Some(host) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() => {
            let found = look_up(host).map_err(failed)?;
            Ok((device.replacen(host, &found.to_string(), 1), as_given.1))
        }
        _ => Ok(as_given),
    }
}

/// Returns the host of `//HOST/path`, with its port.
pub(super) fn host(device: &str) -> Option<&str> {
    let rest = device.strip_prefix("//")?;
    let host = rest.split('/').next()?;
    Some(host.rsplit_once('@').map_or(host, |(_, host)| host))
}

/// Asks the system for the address of a name, an IPv4 one if there is any.
///
/// # Errors
/// It has none; in words.
pub(super) fn look_up(name: &str) -> Result<IpAddr, String> {
    use std::net::ToSocketAddrs as _;
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let missing = || format!("lookup {name}: no such host");
    let found: Vec<IpAddr> =
        (name, 0).to_socket_addrs().map_err(|_| missing())?.map(|address| address.ip()).collect();
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_addresses() {
        let look_up = |name: &str| match name {
            "server" => Ok(IpAddr::from([10, 0, 0, 1])),
            "fe80::1" => Ok("fe80::1".parse().expect("an address")),
            other => Err(format!("lookup {other}: no such host")),
        };
        for (kind, device, options, expected) in [
            ("nfs", ":/x", "addr=server,rw", Ok((":/x", "addr=10.0.0.1,rw"))),
            ("nfs", ":/x", "rw,addr=10.0.0.9", Ok((":/x", "rw,addr=10.0.0.9"))),
            ("nfs", ":/x", "addr=fe80::1", Ok((":/x", "addr=fe80::1"))),
            ("nfs", "server:/x", "rw", Ok(("server:/x", "rw"))),
            (
                "nfs",
                ":/x",
                "addr=nosuch",
                Err("error resolving passed in network volume address: lookup nosuch:"),
            ),
            ("cifs", "//server/share/a", "username=a", Ok(("//10.0.0.1/share/a", "username=a"))),
            ("cifs", "//10.1.1.1/share", "", Ok(("//10.1.1.1/share", ""))),
            ("cifs", "//nosuch/share", "", Err("lookup nosuch")),
            ("cifs", "//nosuch/share", "addr=server", Ok(("//nosuch/share", "addr=10.0.0.1"))),
            ("nfs4", ":/x", "addr=nosuch", Ok((":/x", "addr=nosuch"))),
            ("ext4", "/dev/x", "addr=nosuch", Ok(("/dev/x", "addr=nosuch"))),
        ] {
            match (resolve(kind, device, options, look_up), expected) {
                (Ok((device, options)), Ok(wanted)) => assert_eq!((&*device, &*options), wanted),
                (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
                (found, expected) => panic!("{device} {options}: {found:?}, not {expected:?}"),
            }
        }
    }
}
