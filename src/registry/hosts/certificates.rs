//! Certificates that a user gives for one registry: `certs.d/HOST[:PORT]/`.
//!
//! `*.crt` are more roots, `X.cert` with `X.key` is a client's pair, as docker reads them.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use url::Url;

use super::HostsError;
use super::endpoint::authority;
use crate::fs::Root;
use crate::tls::{self, Identity};

/// Largest certificate file.
const MAX_FILE: usize = 1 << 20;

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Roots beside the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Certificate chain and key to show.
    pub client: Option<Identity>,
}

/// Returns the names under which a host's folder may stand.
fn names(url: &Url) -> Vec<String> {
    let mut names = vec![authority(url)];
    if let (None, Some(host), Some(port)) = (url.port(), url.host_str(), url.port_or_known_default()) {
        names.push(format!("{host}:{port}"));
    }
    names
}

/// Whether a folder has roots for the host: then it is verified by them.
pub(super) fn has_roots(folders: &[PathBuf], url: &Url) -> bool {
    folders.iter().any(|folder| {
        names(url).iter().any(|name| {
            let entries = Root::open(&folder.join(name)).and_then(|dir| dir.entries(""));
            entries.is_ok_and(|entries| entries.iter().any(|entry| entry.name.ends_with(b".crt")))
        })
    })
}

/// Reads the folders of a host.
pub(super) fn read(folders: &[PathBuf], url: &Url) -> Result<Given, HostsError> {
    let mut given = Given::default();
    for folder in folders {
        for name in names(url) {
            let path = folder.join(name);
            match Root::open(&path) {
                Ok(dir) => read_folder(&dir, &path, &mut given)?,
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(given)
}

fn read_folder(dir: &Root, path: &Path, given: &mut Given) -> Result<(), HostsError> {
    let entries = dir.entries("")?;
    let mut files: Vec<String> =
        entries.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()).collect();
    files.sort();
    for file in &files {
        let here = path.join(file);
        if file.ends_with(".crt") {
            given.roots.extend(tls::certificates(here.display(), &dir.read(file, MAX_FILE)?)?);
        } else if let Some(stem) = file.strip_suffix(".cert") {
            let key = format!("{stem}.key");
            if !files.contains(&key) {
                return Err(HostsError::HalfPair(format!(
                    "missing key {key} for client certificate {file}. CA certificates must use the extension .crt"
                )));
            }
            let (chain, private) = (dir.read(file, MAX_FILE)?, dir.read(&key, MAX_FILE)?);
            let pair = Identity::parse((here.display(), &chain), (path.join(&key).display(), &private))?;
            given.client.get_or_insert(pair);
        } else if let Some(stem) = file.strip_suffix(".key") {
            let cert = format!("{stem}.cert");
            if !files.contains(&cert) {
                return Err(HostsError::HalfPair(format!(
                    "missing client certificate {cert} for key {file}"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_needs_both_halves() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h.test:5000/v2/").unwrap();
        let folders = [dir.path().to_owned()];
        let host = dir.path().join("h.test:5000");
        assert!(read(&folders, &url).unwrap().roots.is_empty(), "no folder is no error");
        std::fs::create_dir(&host).unwrap();
        let error = |file: &str| {
            std::fs::write(host.join(file), "x").unwrap();
            let error = read(&folders, &url).unwrap_err().to_string();
            std::fs::remove_file(host.join(file)).unwrap();
            error
        };
        assert!(error("a.cert").starts_with("missing key a.key for client certificate a.cert"));
        assert_eq!(error("a.key"), "missing client certificate a.cert for key a.key");
        assert!(error("ca.crt").ends_with("ca.crt: it holds no certificate in PEM form"));
        assert!(!has_roots(&folders, &url));
        std::fs::write(host.join("ca.crt"), "x").unwrap();
        assert!(has_roots(&folders, &url));
        assert!(!has_roots(&folders, &Url::parse("https://h.test/").unwrap()), "a port is part of the name");
    }

    #[test]
    fn the_schemes_own_port_may_be_written() {
        assert_eq!(names(&Url::parse("https://h.test/").unwrap()), ["h.test", "h.test:443"]);
        assert_eq!(names(&Url::parse("https://h.test:5000/").unwrap()), ["h.test:5000"]);
    }
}
