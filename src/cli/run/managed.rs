//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: the container's own, writable, in no layer.

use std::path::Path;

use super::super::error::CliError;
use super::super::hosts;
use super::args::NetworkArgs;
use crate::containers::HOSTS;
use crate::fs::Root;

/// Returns the files by their names in the container's directory.
///
/// # Errors
/// A flag's value is none.
pub fn files(
    args: &NetworkArgs,
    own_network: bool,
    hostname: Option<&str>,
) -> Result<[(&'static str, String); 3], CliError> {
    let host = Root::open(Path::new("/"))?;
    // A host without these files has containers with empty ones.
    let of_host =
        |path: &str| String::from_utf8_lossy(&host.read(path, 1 << 20).unwrap_or_default()).into_owned();
    let hosts =
        if own_network || !args.add_host.is_empty() { HOSTS.to_owned() } else { of_host("etc/hosts") };
    let resolv = resolv_conf(args, &of_host("etc/resolv.conf"));
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hostname = hostname.unwrap_or(&node);
    let name = match &args.domainname {
        Some(domain) => format!("{hostname}.{domain}\n"),
        None => format!("{hostname}\n"),
    };
    let hosts = hosts + &extra_hosts(&args.add_host)?;
    Ok([("hostname", name), ("hosts", hosts), ("resolv.conf", resolv)])
}

fn extra_hosts(texts: &[String]) -> Result<String, CliError> {
    let mut lines = String::new();
    for text in texts {
        if hosts::gateway(text).is_some() {
            // Known when the container is in its network.
            continue;
        }
        let entry = hosts::add_host(text)?;
        for address in &entry.addresses {
            lines.push_str(&format!("{address}\t{}\n", entry.name));
        }
    }
    Ok(lines)
}

/// The host's file, its lines of a kind replaced where a flag gives others.
fn resolv_conf(args: &NetworkArgs, host: &str) -> String {
    let replaced = [
        ("nameserver", !args.dns.is_empty()),
        ("search", !args.dns_search.is_empty()),
        ("domain", !args.dns_search.is_empty()),
        ("options", !args.dns_option.is_empty()),
    ];
    if replaced.iter().all(|(_, given)| !given) {
        return host.to_owned();
    }
    let stays = |line: &&str| {
        let word = line.split_whitespace().next().unwrap_or("");
        !replaced.contains(&(word, true))
    };
    let mut out: String = host.lines().filter(stays).map(|line| format!("{line}\n")).collect();
    for address in &args.dns {
        out.push_str(&format!("nameserver {address}\n"));
    }
    // A single dot says: no search domains.
    if !args.dns_search.is_empty() && args.dns_search != ["."] {
        out.push_str(&format!("search {}\n", args.dns_search.join(" ")));
    }
    if !args.dns_option.is_empty() {
        out.push_str(&format!("options {}\n", args.dns_option.join(" ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_replace_lines_of_their_kind() {
        let strings = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let host = "# comment\nnameserver 10.0.0.1\nsearch example.org\noptions edns0\n";
        for (dns, search, options, expected) in [
            ("", "", "", host),
            (
                "1.1.1.1 ::1",
                "",
                "",
                "# comment\nsearch example.org\noptions edns0\nnameserver 1.1.1.1\nnameserver ::1\n",
            ),
            ("", ".", "", "# comment\nnameserver 10.0.0.1\noptions edns0\n"),
            ("", "a b", "ndots:2", "# comment\nnameserver 10.0.0.1\nsearch a b\noptions ndots:2\n"),
        ] {
            let args = NetworkArgs {
                dns: strings(dns).iter().map(|text| text.parse().expect("an address")).collect(),
                dns_search: strings(search),
                dns_option: strings(options),
                ..NetworkArgs::default()
            };
            assert_eq!(resolv_conf(&args, host), expected, "{dns} {search} {options}");
        }
    }

    #[test]
    fn further_hosts_have_a_line_an_address() {
        let texts = ["a:10.0.0.1", "b=::1,10.0.0.2"].map(str::to_owned);
        assert_eq!(extra_hosts(&texts).expect("they parse"), "10.0.0.1\ta\n::1\tb\n10.0.0.2\tb\n");
        assert!(extra_hosts(&["nothing".to_owned()]).is_err());
    }
}
