//! Certificates of a private authority, made with openssl.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs openssl in a folder.
#[track_caller]
pub fn openssl(dir: &Path, args: &str) {
    let status =
        Command::new("openssl").args(args.split(' ')).current_dir(dir).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "openssl {args} (scripts/packages test installs it)");
}

/// The arguments that make a small key.
pub const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// Makes `ca.crt`, and `server.crt` with `server.key` for this machine, signed by it.
pub fn authority(dir: &Path) {
    let subject = "-addext subjectAltName=IP:127.0.0.1,DNS:localhost";
    openssl(dir, &format!("req -x509 {KEY} -keyout ca.key -out ca.crt -days 2 -subj /CN=private"));
    openssl(dir, &format!("req {KEY} -keyout server.key -out server.csr -subj /CN=registry {subject}"));
    openssl(
        dir,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -copy_extensions copy",
    );
}
