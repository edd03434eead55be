//! `syslog`: a line is a message of RFC 3164 or RFC 5424, in the variants that docker writes.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::config::LogConfig;
use super::super::error::ContainerError;
use super::lines::Stream;
use super::link::Address;
use super::tls::TlsOptions;

/// Names of facilities, in the order of their numbers (RFC 5424, 6.2.1); some have none.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// What containers are, unless an option says otherwise.
const DAEMON: u8 = 3;
/// Severities of the two streams.
const ERROR: u8 = 3;
const INFO: u8 = 6;
/// Where the machine's own log may listen.
const OWN: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How a message looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As programs write to the log of their own machine.
    Own,
    Rfc3164,
    Rfc5424,
    /// The same with fractions of a second.
    Rfc5424Micro,
}

/// What the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where messages go; the first of these that listens.
    pub addresses: Vec<Address>,
    facility: u8,
    form: Form,
}

impl Settings {
    /// Reads a driver's options.
    ///
    /// # Errors
    /// One means nothing.
    pub fn of(config: &LogConfig) -> Result<Self, ContainerError> {
        let refuse = |text: String| Err(ContainerError::Refused(text));
        let option = |key: &str| config.options.get(key).map_or("", String::as_str);
        let facility = match option("syslog-facility") {
            "" => DAEMON,
            text => match FACILITIES.iter().position(|name| *name == text).or_else(|| text.parse().ok()) {
                Some(number) if number < FACILITIES.len() => number as u8,
                _ => return refuse("invalid syslog facility".to_owned()),
            },
        };
        let form = match option("syslog-format") {
            "" => Form::Own,
            "rfc3164" => Form::Rfc3164,
            "rfc5424" => Form::Rfc5424,
            "rfc5424micro" => Form::Rfc5424Micro,
            _ => return refuse("Invalid syslog format".to_owned()),
        };
        let addresses = match option("syslog-address") {
            "" => OWN.map(|path| Address::Unix(PathBuf::from(path))).to_vec(),
            text => vec![address(text, config)?],
        };
        let secure = matches!(addresses[..], [Address::Tls(..)]);
        match config.options.keys().find(|key| key.starts_with("syslog-tls-")) {
            Some(key) if !secure => {
                refuse(format!("log opt '{key}' is only for syslog-address=tcp+tls://HOST"))
            }
            _ => Ok(Self { addresses, facility, form }),
        }
    }

    /// Whether messages are counted on the stream rather than lines (RFC 5425, 4.3), as docker does it.
    fn counts(&self) -> bool {
        let modern = matches!(self.form, Form::Rfc5424 | Form::Rfc5424Micro);
        modern && matches!(self.addresses[..], [Address::Tls(..)])
    }

    /// Returns a line as a message.
    pub fn message(&self, tag: &str, stream: Stream, line: &[u8]) -> Vec<u8> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let now = Timestamp::now().to_zoned(TimeZone::system());
        let severity = if stream == Stream::Stderr { ERROR } else { INFO };
        let (priority, pid) = (self.facility * 8 + severity, std::process::id());
        let head = match self.form {
            Form::Own => format!("<{priority}>{} {tag}[{pid}]: ", now.strftime("%b %e %H:%M:%S")),
            Form::Rfc3164 => {
                format!("<{priority}>{} {host} {tag}[{pid}]: ", now.strftime("%b %e %H:%M:%S"))
            }
            Form::Rfc5424 | Form::Rfc5424Micro => {
                let format =
                    if self.form == Form::Rfc5424 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%6f" };
                let zone =
                    if now.offset().is_zero() { "Z".to_owned() } else { now.strftime("%:z").to_string() };
                format!("<{priority}>1 {}{zone} {host} {tag} {pid} {tag} - ", now.strftime(format))
            }
        };
        let message = [head.as_bytes(), line, b"\n"].concat();
        if self.counts() { [message.len().to_string().as_bytes(), b" ", &message].concat() } else { message }
    }
}

/// Reads docker's `syslog-address`.
fn address(text: &str, config: &LogConfig) -> Result<Address, ContainerError> {
    let refuse = |text: String| Err(ContainerError::Refused(text));
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let host = |rest: &str| {
        let bare = rest.split(['/', '?']).next().unwrap_or_default();
        let has_port = bare.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        if has_port { bare.to_owned() } else { format!("{bare}:514") }
    };
    match scheme {
        "udp" => Ok(Address::Udp(host(rest))),
        "tcp" => Ok(Address::Tcp(host(rest))),
        "unix" | "unixgram" => {
            let path = PathBuf::from(rest);
            if !crate::fs::is_there(&path) {
                return refuse(format!("stat {rest}: no such file or directory"));
            }
            Ok(if scheme == "unix" { Address::Unix(path) } else { Address::Datagrams(path) })
        }
        "tcp+tls" => Ok(Address::Tls(host(rest), tls(config)?)),
        other => refuse(format!("unsupported scheme: '{other}'")),
    }
}

/// Reads the options of TLS.
fn tls(config: &LogConfig) -> Result<TlsOptions, ContainerError> {
    let file = |key: &str| config.options.get(key).filter(|path| !path.is_empty()).map(PathBuf::from);
    let identity = match (file("syslog-tls-cert"), file("syslog-tls-key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let text = "syslog-tls-cert and syslog-tls-key go together".to_owned();
            return Err(ContainerError::Refused(text));
        }
    };
    // Docker looks whether the option is there, not at its value.
    let skip_verify = config.options.contains_key("syslog-tls-skip-verify");
    Ok(TlsOptions { authority: file("syslog-tls-ca-cert"), identity, skip_verify })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[(&str, &str)]) -> Settings {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::of(&LogConfig { driver: "syslog".to_owned(), options }).expect("options")
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("udp://10.0.0.1", Address::Udp("10.0.0.1:514".to_owned())),
            ("udp://[::1]", Address::Udp("[::1]:514".to_owned())),
            ("tcp://log.example:601/", Address::Tcp("log.example:601".to_owned())),
            ("tcp+tls://h:6514", Address::Tls("h:6514".to_owned(), TlsOptions::default())),
            ("unixgram:///", Address::Datagrams("/".into())),
        ] {
            assert_eq!(address(text, &LogConfig::default()).expect("an address"), expected, "{text}");
        }
    }

    #[test]
    fn messages_are_dockers() {
        let pid = std::process::id();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for (form, begins, ends) in [
            ("", "<158>".to_owned(), format!(" tag[{pid}]: hi\n")),
            ("rfc3164", "<158>".to_owned(), format!(" {host} tag[{pid}]: hi\n")),
            ("rfc5424", "<158>1 20".to_owned(), format!(" {host} tag {pid} tag - hi\n")),
            ("rfc5424micro", "<158>1 20".to_owned(), format!(" {host} tag {pid} tag - hi\n")),
        ] {
            let settings = settings(&[("syslog-format", form), ("syslog-facility", "local3")]);
            let text = String::from_utf8(settings.message("tag", Stream::Stdout, b"hi")).expect("text");
            assert!(text.starts_with(&begins) && text.ends_with(&ends), "{form}: {text}");
        }
        let text = settings(&[]).message("tag", Stream::Stderr, b"hi");
        assert!(text.starts_with(b"<27>"));
    }
}
