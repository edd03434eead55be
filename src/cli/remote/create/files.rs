//! `-v`, `--mount` and `--tmpfs` of the body. Relative paths are those of this machine's user; all else is the engine's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::csv::csv;
use crate::cli::error::CliError;
use crate::cli::human;
use crate::cli::run::args::FileArgs;
use crate::cli::run::{mount_flags, mounts};

/// What the flags ask for.
pub struct Mounts {
    binds: Vec<String>,
    /// Volumes without a name.
    volumes: BTreeMap<String, Value>,
    mounts: Vec<Value>,
    tmpfs: BTreeMap<String, String>,
}

impl Mounts {
    /// Reads the flags.
    ///
    /// # Errors
    /// One means nothing.
    pub fn new(args: &FileArgs) -> Result<Self, CliError> {
        let (mut binds, mut volumes) = (Vec::new(), BTreeMap::new());
        for text in &args.volume {
            // Mistakes are said here, in the same words as without an engine.
            mount_flags::volume(text)?;
            match text.split_once(':') {
                None => drop(volumes.insert(text.clone(), json!({}))),
                Some((source, rest)) if source.starts_with(['.', '~']) => {
                    binds.push(format!("{}:{rest}", mounts::absolute(source)?.display()));
                }
                Some(_) => binds.push(text.clone()),
            }
        }
        let mounts = args.mount.iter().map(|text| mount(text)).collect::<Result<_, _>>()?;
        let tmpfs = args.tmpfs.iter().map(|text| text.split_once(':').unwrap_or((text, "")));
        let tmpfs = tmpfs.map(|(target, options)| (target.to_owned(), options.to_owned())).collect();
        Ok(Self { binds, volumes, mounts, tmpfs })
    }

    /// Adds them to the body and its `HostConfig`.
    pub fn add(self, body: &mut Value, host: &mut Value) {
        if !self.volumes.is_empty() {
            body["Volumes"] = json!(self.volumes);
        }
        if !self.binds.is_empty() {
            host["Binds"] = json!(self.binds);
        }
        if !self.mounts.is_empty() {
            host["Mounts"] = json!(self.mounts);
        }
        if !self.tmpfs.is_empty() {
            host["Tmpfs"] = json!(self.tmpfs);
        }
    }
}

/// Reads `--mount` as docker's client does.
///
/// # Errors
/// It means nothing.
pub fn mount(text: &str) -> Result<Value, CliError> {
    let bad = |why: String| CliError::flag("--mount", text, why);
    let mut keys = Keys::default();
    for field in csv(text).map_err(bad)? {
        keys.set(&field).map_err(bad)?;
    }
    keys.mount().map_err(bad)
}

/// What was read so far.
#[derive(Default)]
struct Keys {
    kind: Option<String>,
    mount: Map<String, Value>,
    bind: Map<String, Value>,
    volume: Map<String, Value>,
    tmpfs: Map<String, Value>,
    image: Map<String, Value>,
    driver: Map<String, Value>,
    driver_options: Map<String, Value>,
    labels: Map<String, Value>,
}

impl Keys {
    fn set(&mut self, field: &str) -> Result<(), String> {
        let (key, value, given) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), value, true),
            None => (field.to_lowercase(), "true", false),
        };
        let truth = || match value.to_lowercase().as_str() {
            "true" | "1" | "t" => Ok(json!(true)),
            "false" | "0" | "f" => Ok(json!(false)),
            _ => Err(format!("invalid value for {key}: {value}")),
        };
        let text = || match given {
            true => Ok(json!(value)),
            false => Err(format!("invalid field '{field}' must be a key=value pair")),
        };
        let pair = || {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            (name.to_owned(), json!(value))
        };
        let mut put = |map: fn(&mut Self) -> &mut Map<String, Value>, name: &str, value: Value| {
            map(self).insert(name.to_owned(), value);
        };
        match key.as_str() {
            "type" => self.kind = Some(value.to_lowercase()),
            "source" | "src" => put(|k| &mut k.mount, "Source", text()?),
            "target" | "dst" | "destination" => put(|k| &mut k.mount, "Target", text()?),
            "readonly" | "ro" => put(|k| &mut k.mount, "ReadOnly", truth()?),
            "consistency" => put(|k| &mut k.mount, "Consistency", text()?),
            "bind-propagation" => put(|k| &mut k.bind, "Propagation", text()?),
            "bind-nonrecursive" => put(|k| &mut k.bind, "NonRecursive", truth()?),
            "bind-create-src" => put(|k| &mut k.bind, "CreateMountpoint", truth()?),
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => put(|k| &mut k.bind, "NonRecursive", json!(true)),
                "writable" => put(|k| &mut k.bind, "ReadOnlyNonRecursive", json!(true)),
                "readonly" => put(|k| &mut k.bind, "ReadOnlyForceRecursive", json!(true)),
                _ => return Err(mount_flags::bad_recursion(value)),
            },
            "volume-nocopy" => put(|k| &mut k.volume, "NoCopy", truth()?),
            "volume-subpath" => put(|k| &mut k.volume, "Subpath", text()?),
            "image-subpath" => put(|k| &mut k.image, "Subpath", text()?),
            "volume-driver" => put(|k| &mut k.driver, "Name", text()?),
            "volume-opt" | "volume-label" if !given => drop(text()?),
            "volume-opt" => drop(self.driver_options.insert(pair().0, pair().1)),
            "volume-label" => drop(self.labels.insert(pair().0, pair().1)),
            "tmpfs-size" => {
                let size = human::parse_size(value).ok_or(format!("invalid value for {key}: {value}"))?;
                put(|k| &mut k.tmpfs, "SizeBytes", json!(size));
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8);
                let mode = mode.map_err(|_| format!("invalid value for {key}: {value}"))?;
                put(|k| &mut k.tmpfs, "Mode", json!(mode));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn mount(mut self) -> Result<Value, String> {
        let kind = self.kind.clone().unwrap_or_else(|| "volume".to_owned());
        if !self.mount.contains_key("Target") {
            return Err("target is required".to_owned());
        }
        if kind == "bind"
            && let Some(Value::String(source)) = self.mount.get("Source").cloned()
            && source.starts_with(['.', '~'])
        {
            let whole = mounts::absolute(&source).map_err(|error| error.text)?;
            self.mount.insert("Source".to_owned(), json!(whole.display().to_string()));
        }
        let says = |map: &Map<String, Value>, key: &str| map.get(key) == Some(&json!(true));
        let propagation = super::super::text(self.bind.get("Propagation").unwrap_or(&Value::Null));
        let (writable, forced) =
            (says(&self.bind, "ReadOnlyNonRecursive"), says(&self.bind, "ReadOnlyForceRecursive"));
        mount_flags::check_recursion(writable, forced, says(&self.mount, "ReadOnly"), propagation)?;
        if !self.driver_options.is_empty() {
            self.driver.insert("Options".to_owned(), Value::Object(self.driver_options));
        }
        if !self.driver.is_empty() {
            self.volume.insert("DriverConfig".to_owned(), Value::Object(self.driver));
        }
        if !self.labels.is_empty() {
            self.volume.insert("Labels".to_owned(), Value::Object(self.labels));
        }
        self.mount.insert("Type".to_owned(), json!(kind));
        for (of, name, options) in [
            ("bind", "BindOptions", self.bind),
            ("volume", "VolumeOptions", self.volume),
            ("tmpfs", "TmpfsOptions", self.tmpfs),
            ("image", "ImageOptions", self.image),
        ] {
            if options.is_empty() {
                continue;
            }
            if of != kind {
                return Err(format!("cannot mix '{of}-*' options with mount type '{kind}'"));
            }
            self.mount.insert(name.to_owned(), Value::Object(options));
        }
        Ok(Value::Object(self.mount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_objects() {
        for (text, expected) in [
            ("target=/a", json!({ "Target": "/a", "Type": "volume" })),
            (
                "type=bind,src=/x,dst=/y,ro,bind-propagation=rslave",
                json!({ "Source": "/x", "Target": "/y", "ReadOnly": true, "Type": "bind",
                        "BindOptions": { "Propagation": "rslave" } }),
            ),
            (
                "type=volume,source=v,target=/v,volume-driver=local,\"volume-opt=o=a,b\",volume-label=k=w",
                json!({ "Source": "v", "Target": "/v", "Type": "volume", "VolumeOptions": {
                    "DriverConfig": { "Name": "local", "Options": { "o": "a,b" } }, "Labels": { "k": "w" } } }),
            ),
            (
                "type=image,source=i:1,target=/i,image-subpath=a/b",
                json!({ "Source": "i:1", "Target": "/i", "Type": "image", "ImageOptions": { "Subpath": "a/b" } }),
            ),
            (
                "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700",
                json!({ "Target": "/t", "Type": "tmpfs", "TmpfsOptions": { "SizeBytes": 1 << 20, "Mode": 0o700 } }),
            ),
        ] {
            assert_eq!(mount(text).expect(text), expected, "{text}");
        }
        for (text, part) in [
            ("type=bind,source=/x", "target is required"),
            ("target=/a,colour=red", "unexpected key 'colour'"),
            ("type=tmpfs,target=/a,volume-nocopy", "cannot mix 'volume-*'"),
            ("target", "must be a key=value pair"),
        ] {
            let said = mount(text).expect_err(text).text;
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn volumes_are_binds_or_anonymous() {
        let args = FileArgs {
            volume: ["/data", "name:/n:ro", "/host:/h"].map(str::to_owned).to_vec(),
            tmpfs: vec!["/t:size=1m".to_owned()],
            ..FileArgs::default()
        };
        let (mut body, mut host) = (json!({}), json!({}));
        Mounts::new(&args).expect("mounts").add(&mut body, &mut host);
        assert_eq!(body, json!({ "Volumes": { "/data": {} } }));
        assert_eq!(host, json!({ "Binds": ["name:/n:ro", "/host:/h"], "Tmpfs": { "/t": "size=1m" } }));
    }
}
