//! The parameters of a build as the flags of `build`.

use std::collections::BTreeMap;

use clap::Parser;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::super::super::build::BuildArgs;
use super::buildkit;
use crate::builder::context::parse_context;
use crate::engine::ApiError;
use crate::engine::server::Query;
use crate::image::Reference;

/// Parameters that mean what flags of another name mean, and say nothing when they are 0.
const NUMBERS: &[(&str, &str)] = &[
    ("memory", "memory"),
    ("memswap", "memory-swap"),
    ("cpushares", "cpu-shares"),
    ("cpuperiod", "cpu-period"),
    ("cpuquota", "cpu-quota"),
    ("shmsize", "shm-size"),
];
/// Parameters whose text is a flag's.
const TEXTS: &[(&str, &str)] = &[
    ("dockerfile", "file"),
    ("target", "target"),
    ("platform", "platform"),
    ("networkmode", "network"),
    ("cpusetcpus", "cpuset-cpus"),
    ("cpusetmems", "cpuset-mems"),
    ("cgroupparent", "cgroup-parent"),
];

/// What a build is to do.
pub struct Given {
    /// As flags.
    pub args: BuildArgs,
    /// The names that the image gets, as they are shown.
    pub names: Vec<String>,
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: BuildArgs,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit {
    name: String,
    soft: i64,
    hard: i64,
}

/// Reads the parameters.
///
/// # Errors
/// One is none, or asks for what is not done here.
pub fn read(query: &Query) -> Result<Given, ApiError> {
    if query.text("version") == Some("2") || query.text("remote") == Some("client-session") {
        return Err(buildkit("version=2"));
    }
    for key in ["outputs", "isolation"] {
        if query.text(key).is_some_and(|text| !["[]", "null", "default"].contains(&text)) {
            return Err(ApiError::not_implemented(format!(
                "{key} is not served without BuildKit's protocol"
            )));
        }
    }
    let mut words = vec!["build".to_owned(), "--progress=quiet".to_owned()];
    let mut flag = |name: &str, value: &str| words.push(format!("--{name}={value}"));
    let mut names = Vec::new();
    for name in query.all("t").filter(|name| !name.is_empty()) {
        let whole = Reference::parse(name).map_err(|error| ApiError::bad(error.to_string()))?.or_latest();
        names.push(whole.familiar());
        flag("tag", name);
    }
    for (key, name) in TEXTS {
        if let Some(text) = query.text(key) {
            flag(name, text);
        }
    }
    for (key, name) in NUMBERS {
        if let Some(number) = query.number::<i64>(key)?.filter(|number| *number != 0) {
            flag(name, &number.to_string());
        }
    }
    // An argument without a value has the one that its file gives it: the service has no environment for it.
    for (key, value) in json::<BTreeMap<String, Option<String>>>(query, "buildargs")? {
        if let Some(value) = value {
            flag("build-arg", &format!("{key}={value}"));
        }
    }
    for (key, value) in json::<BTreeMap<String, String>>(query, "labels")? {
        flag("label", &format!("{key}={value}"));
    }
    for source in json::<Vec<String>>(query, "cachefrom")? {
        flag("cache-from", &source);
    }
    for one in json::<Vec<Ulimit>>(query, "ulimits")? {
        flag("ulimit", &format!("{}={}:{}", one.name, one.soft, one.hard));
    }
    for option in json::<Vec<String>>(query, "securityopt")? {
        flag("security-opt", &option);
    }
    for host in query.all("extrahosts").filter(|host| !host.is_empty()) {
        flag("add-host", host);
    }
    for (key, name) in [("nocache", "--no-cache"), ("pull", "--pull"), ("squash", "--squash")] {
        if query.flag(key) {
            words.push(name.to_owned());
        }
    }
    words.extend(["--".to_owned(), context(query)?]);
    let line = Line::try_parse_from(&words).map_err(|error| {
        let text = error.to_string();
        ApiError::bad(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
    })?;
    Ok(Given { args: line.args, names })
}

/// Returns where the context is: in the body, or somewhere else than on this machine.
fn context(query: &Query) -> Result<String, ApiError> {
    let Some(remote) = query.text("remote") else { return Ok("-".to_owned()) };
    match parse_context(remote) {
        Ok(source) if source.is_remote() => Ok(remote.to_owned()),
        _ => Err(ApiError::bad(format!("remote {remote:?} is no URL and no git repository"))),
    }
}

/// Reads a parameter that is JSON; nothing and `null` are empty.
fn json<T: DeserializeOwned + Default>(query: &Query, key: &str) -> Result<T, ApiError> {
    let Some(text) = query.text(key) else { return Ok(T::default()) };
    let read = serde_json::from_str::<Option<T>>(text);
    read.map(Option::unwrap_or_default).map_err(|error| ApiError::bad(format!("invalid {key}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_flags() {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let query = format!(
            "t=a&t=r.test/b:1&dockerfile=x/Dockerfile&buildargs={}&labels=null&ulimits={}&memory=4096&cpushares=0&\
             nocache=1&rm=1&forcerm=0&version=1&networkmode=default&outputs=null",
            encoded(r#"{"A":"1 2","B":null}"#),
            encoded(r#"[{"Name":"nofile","Soft":10,"Hard":20}]"#),
        );
        let given = read(&Query::parse(&query)).expect("it reads");
        assert_eq!(given.names, ["a:latest", "r.test/b:1"]);
        let args = given.args;
        assert_eq!((args.context.as_str(), args.file), ("-", vec!["x/Dockerfile".to_owned()]));
        assert_eq!(
            (args.build_arg, args.ulimit),
            (vec!["A=1 2".to_owned()], vec!["nofile=10:20".to_owned()])
        );
        assert_eq!((args.memory.as_deref(), args.cpu_shares, args.no_cache), (Some("4096"), None, true));
    }

    #[test]
    fn what_is_none_is_refused() {
        for (query, status) in [
            ("version=2", 501),
            ("remote=client-session", 501),
            ("remote=/etc", 400),
            ("remote=.", 400),
            ("t=A%20b", 400),
            ("buildargs=x", 400),
            ("memory=x", 400),
            ("outputs=[{}]", 501),
        ] {
            let refused = read(&Query::parse(query)).err().map(|error| error.status.as_u16());
            assert_eq!(refused, Some(status), "{query}");
        }
    }
}
