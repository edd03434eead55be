//! What docker's `--device` and `--gpus` ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::CdiError;
use super::registry::Registry;

/// A request for devices, as the Engine API has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceRequest {
    /// Who gives them: `cdi`, or whoever has the capabilities when empty.
    pub driver: String,
    /// How many; -1 is all.
    pub count: i64,
    /// Which.
    #[serde(rename = "DeviceIDs")]
    pub ids: Option<Vec<String>>,
    /// Lists of which one has to be had as a whole.
    pub capabilities: Option<Vec<Vec<String>>>,
    /// For the driver.
    pub options: Option<BTreeMap<String, String>>,
}

/// Kinds of GPUs, with the driver that a request may name.
const GPUS: [(&str, &str); 2] = [("nvidia.com/gpu", "nvidia"), ("amd.com/gpu", "amd")];
/// What such a device can do.
const CAPABILITIES: [&str; 9] =
    ["gpu", "nvidia", "amd", "compute", "compat32", "graphics", "utility", "video", "display"];

/// Returns the qualified names of what is asked for.
///
/// # Errors
/// A request is for none of the devices of this machine.
pub fn resolve(requests: &[DeviceRequest], registry: &Registry) -> Result<Vec<String>, CdiError> {
    let mut names = Vec::new();
    for request in requests {
        match request.driver.as_str() {
            "cdi" => names.extend(request.ids.iter().flatten().cloned()),
            _ => names.extend(gpus(request, registry)?),
        }
    }
    Ok(names)
}

fn gpus(request: &DeviceRequest, registry: &Registry) -> Result<Vec<String>, CdiError> {
    let ids = request.ids.as_deref().unwrap_or_default();
    let wanted = request.capabilities.as_deref().unwrap_or_default();
    let able = wanted.iter().any(|all| all.iter().all(|one| CAPABILITIES.contains(&one.as_str())));
    let kinds = GPUS.iter().filter(|(_, driver)| ["", driver].contains(&request.driver.as_str()));
    let found = kinds.map(|(kind, _)| (*kind, registry.of_kind(kind))).find(|(_, all)| !all.is_empty());
    let Some((kind, all)) = found.filter(|_| able) else {
        let sets: Vec<String> = wanted.iter().map(|set| format!("[{}]", set.join(" "))).collect();
        let capabilities = format!("[{}]", sets.join(" "));
        return Err(CdiError::NoDriver { driver: request.driver.clone(), capabilities });
    };
    if request.count != 0 && !ids.is_empty() {
        return Err(CdiError::CountAndIds);
    }
    let chosen = if ids.is_empty() { counted(request.count, &all) } else { ids.to_vec() };
    Ok(chosen.into_iter().map(|name| format!("{kind}={name}")).collect())
}

/// Returns so many: by their indexes where they have such names, else the first ones. Of more than there are, the
/// names of those that are missing come along.
fn counted(count: i64, all: &[&str]) -> Vec<String> {
    let single = || all.iter().filter(|name| **name != "all").map(|name| (*name).to_owned());
    match usize::try_from(count) {
        Err(_) if all.contains(&"all") => vec!["all".to_owned()],
        Err(_) => single().collect(),
        Ok(count) if all.contains(&"0") => (0..count.min(1 << 16)).map(|n| n.to_string()).collect(),
        Ok(count) => {
            let mut names: Vec<String> = single().take(count).collect();
            names.extend((names.len()..count.min(1 << 16)).map(|n| n.to_string()));
            names
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(kind: &str, names: &[&str]) -> (tempfile::TempDir, Registry) {
        let dir = tempfile::tempdir().expect("a directory");
        let devices: Vec<String> = names.iter().map(|name| format!("{{\"name\": \"{name}\"}}")).collect();
        let text = format!(
            "{{\"cdiVersion\": \"0.5.0\", \"kind\": \"{kind}\", \"devices\": [{}]}}",
            devices.join(",")
        );
        std::fs::write(dir.path().join("x.json"), text).expect("a file");
        let registry = Registry::read(&[dir.path().to_owned()]);
        (dir, registry)
    }

    fn gpus(count: i64, ids: &[&str]) -> DeviceRequest {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        DeviceRequest {
            count,
            ids: (!ids.is_empty()).then_some(ids),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }
    }

    #[test]
    fn gpus_are_found() {
        let (_a, nvidia) = registry("nvidia.com/gpu", &["0", "1", "GPU-x", "all"]);
        let (_b, amd) = registry("amd.com/gpu", &["b", "a"]);
        for (registry, request, expected) in [
            (&nvidia, gpus(-1, &[]), "nvidia.com/gpu=all"),
            (&nvidia, gpus(2, &[]), "nvidia.com/gpu=0 nvidia.com/gpu=1"),
            (&nvidia, gpus(0, &["1", "GPU-x"]), "nvidia.com/gpu=1 nvidia.com/gpu=GPU-x"),
            (&nvidia, gpus(0, &[]), ""),
            (&amd, gpus(-1, &[]), "amd.com/gpu=a amd.com/gpu=b"),
            (&amd, gpus(1, &[]), "amd.com/gpu=a"),
            (&amd, gpus(3, &[]), "amd.com/gpu=a amd.com/gpu=b amd.com/gpu=2"),
        ] {
            assert_eq!(resolve(&[request], registry).map(|names| names.join(" ")), Ok(expected.to_owned()));
        }
        assert_eq!(resolve(&[gpus(1, &["0"])], &nvidia), Err(CdiError::CountAndIds));
    }

    #[test]
    fn without_any_no_driver_is_there() {
        let said = |request: DeviceRequest, registry: &Registry| {
            resolve(&[request], registry).map_err(|error| error.to_string())
        };
        let none = Registry::default();
        let no = |driver: &str, sets: &str| {
            Err(format!("could not select device driver \"{driver}\" with capabilities: {sets}"))
        };
        assert_eq!(said(gpus(-1, &[]), &none), no("", "[[gpu]]"));
        assert_eq!(said(DeviceRequest { driver: "foo".into(), ..gpus(1, &[]) }, &none), no("foo", "[[gpu]]"));
        let sets = vec![vec!["compute".to_owned(), "gpu".to_owned()], vec!["x".to_owned()]];
        let many = DeviceRequest { capabilities: Some(sets), ..gpus(1, &[]) };
        assert_eq!(said(many, &none), no("", "[[compute gpu] [x]]"));
        let (_dir, nvidia) = registry("nvidia.com/gpu", &["0"]);
        let tpu = DeviceRequest { capabilities: Some(vec![vec!["tpu".to_owned()]]), ..gpus(1, &[]) };
        assert_eq!(said(tpu, &nvidia), no("", "[[tpu]]"));
        let nothing = DeviceRequest { capabilities: None, ..gpus(1, &[]) };
        assert_eq!(said(nothing, &nvidia), no("", "[]"));
        let cdi = DeviceRequest {
            driver: "cdi".into(),
            ids: Some(vec!["a/b=c".into()]),
            ..DeviceRequest::default()
        };
        assert_eq!(said(cdi, &none), Ok(vec!["a/b=c".to_owned()]));
    }

    #[test]
    fn requests_are_dockers_json() {
        let request = DeviceRequest { count: -1, ..gpus(0, &[]) };
        let json = serde_json::to_string(&request).expect("JSON");
        let shown = r#"{"Driver":"","Count":-1,"DeviceIDs":null,"Capabilities":[["gpu"]],"Options":null}"#;
        assert_eq!(json, shown);
        assert_eq!(
            serde_json::from_str::<DeviceRequest>(r#"{"Count":-1,"Capabilities":[["gpu"]]}"#).ok(),
            Some(request)
        );
    }
}
