//! `--gpus`, and devices by qualified names, to requests.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::super::config_file;
use super::super::csv::csv;
use super::args::FileArgs;
use crate::cdi::{DIRECTORIES, DeviceRequest, is_qualified};

/// Reads `--gpus`: `all`, a number, or `key=value` as CSV.
///
/// # Errors
/// It is not of that form; docker's words.
pub fn request(text: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest::default();
    let mut seen = HashSet::new();
    for field in csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        if !seen.insert(key.to_owned()) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        match value {
            Some(value) => set(&mut request, key, value)?,
            None => {
                seen.insert("count".to_owned());
                request.count = count(key)?;
            }
        }
    }
    if !seen.contains("count") && request.ids.is_none() {
        request.count = 1;
    }
    request.options.get_or_insert_with(BTreeMap::new);
    request.capabilities.get_or_insert_with(|| vec![vec!["gpu".to_owned()]]);
    Ok(request)
}

fn set(request: &mut DeviceRequest, key: &str, value: &str) -> Result<(), String> {
    let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
    match key {
        "driver" => request.driver = value.to_owned(),
        "count" => request.count = count(value)?,
        "device" => request.ids = Some(list()),
        "capabilities" => {
            let mut all = list();
            all.push("gpu".to_owned());
            request.capabilities = Some(vec![all]);
        }
        "options" => {
            let fields = csv(value).map_err(|why| format!("failed to read gpu options: {why}"))?;
            let pair = |field: String| match field.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (field, String::new()),
            };
            request.options = Some(fields.into_iter().map(pair).collect());
        }
        _ => return Err(format!("unexpected key '{key}' in '{key}={value}'")),
    }
    Ok(())
}

fn count(text: &str) -> Result<i64, String> {
    match text {
        "all" => Ok(-1),
        _ => text.parse().map_err(|_| {
            format!("invalid count ({text}): value must be either \"all\" or an integer: invalid syntax")
        }),
    }
}

/// Returns all devices that are asked for by a request, those with qualified names last, as docker has them.
pub fn requests(args: &FileArgs) -> Vec<DeviceRequest> {
    let mut all = args.gpus.clone();
    let names: Vec<String> = args.device.iter().filter(|text| is_qualified(text)).cloned().collect();
    if !names.is_empty() {
        all.push(DeviceRequest { driver: "cdi".to_owned(), ids: Some(names), ..DeviceRequest::default() });
    }
    all
}

/// Returns where files about devices are; an ordinary user has some as well.
pub fn directories(rootless: bool) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = DIRECTORIES.iter().map(PathBuf::from).collect();
    if rootless {
        let own = [config_file::user_folder(), config_file::folder("XDG_RUNTIME_DIR")];
        all.extend(own.into_iter().flatten().map(|folder| folder.join("cdi")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_as_docker_reads_them() {
        let usual = |count: i64, driver: &str, ids: &str| {
            format!(
                "{{\"Driver\":\"{driver}\",\"Count\":{count},\"DeviceIDs\":{ids},\"Capabilities\":[[\"gpu\"]],\"Options\":{{}}}}"
            )
        };
        let all = r#"{"Driver":"","Count":0,"DeviceIDs":["0","2"],"Capabilities":[["compute","utility","gpu"]],"Options":{"a":"b","c":""}}"#;
        for (text, expected) in [
            ("all", usual(-1, "", "null")),
            ("2", usual(2, "", "null")),
            ("count=all", usual(-1, "", "null")),
            ("driver=x", usual(1, "x", "null")),
            ("device=0", usual(0, "", "[\"0\"]")),
            (r#""device=0,2","capabilities=compute,utility","options=a=b,c""#, all.to_owned()),
        ] {
            let found = request(text).map(|request| serde_json::to_string(&request).expect("JSON"));
            assert_eq!(found, Ok(expected), "{text}");
        }
        for (text, why) in [
            ("x", "invalid count (x): value must be either \"all\" or an integer: invalid syntax"),
            ("count=x", "invalid count (x): value must be either \"all\" or an integer: invalid syntax"),
            ("foo=bar", "unexpected key 'foo' in 'foo=bar'"),
            ("all,count=2", "gpu request key 'count' can be specified only once"),
            ("driver=a,driver=b", "gpu request key 'driver' can be specified only once"),
            ("\"device=0", "extraneous or missing \" in quoted-field"),
        ] {
            assert_eq!(request(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn qualified_names_are_one_request() {
        let device = ["/dev/fuse", "v/c=a", "w/c=b"].map(str::to_owned).to_vec();
        let args = FileArgs { device, gpus: vec![request("all").expect("a request")], ..FileArgs::default() };
        let all = requests(&args);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].count, &*all[1].driver), (-1, "cdi"));
        assert_eq!(all[1].ids, Some(vec!["v/c=a".to_owned(), "w/c=b".to_owned()]));
        assert_eq!(requests(&FileArgs::default()), Vec::new());
    }
}
