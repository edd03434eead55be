//! `--cache-from` and `--cache-to`, in buildx's form: `type=registry,ref=..`, `type=local,dest=..`, or a reference.

use std::path::PathBuf;

use super::error::SharedCacheError;
use crate::image::Reference;
use crate::layers::Compression;

/// Which results leave the machine with their layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those that are part of the image; of others only what they are.
    Min,
    /// All.
    Max,
}

/// Where a shared cache is.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheKind {
    /// A folder.
    Local(PathBuf),
    /// A repository of a registry.
    Registry {
        /// The repository; its tag sets caches of one repository apart.
        reference: Reference,
        /// Whether plain HTTP and unverified TLS will do.
        insecure: bool,
    },
    /// The image itself.
    Inline,
}

/// One `--cache-from` or `--cache-to`.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheSpec {
    /// Where.
    pub kind: CacheKind,
    /// Which results; for exports.
    pub mode: Mode,
    /// How layers are compressed; for exports.
    pub compression: Compression,
    /// Whether a failing export leaves the build good.
    pub ignore_error: bool,
}

/// Types that others have and this does not.
const OTHERS: [&str; 3] = ["gha", "s3", "azblob"];

impl CacheSpec {
    /// Reads a value of `--cache-from` (`export` is false) or `--cache-to`.
    ///
    /// # Errors
    /// A key is unknown or missing, or the type is not there.
    pub fn parse(text: &str, export: bool) -> Result<Self, SharedCacheError> {
        let flag = if export { "--cache-to" } else { "--cache-from" };
        let fail = |reason: String| SharedCacheError::Invalid(format!("invalid {flag} {text:?}: {reason}"));
        if !text.contains('=') {
            let reference = Reference::parse(text).map_err(|error| fail(error.to_string()))?;
            return Ok(Self::new(CacheKind::Registry { reference, insecure: false }));
        }
        let mut fields = Fields::read(text).map_err(&fail)?;
        let kind = fields.take("type").ok_or_else(|| fail("type is required".to_owned()))?;
        let kind = match kind.as_str() {
            "inline" if export => CacheKind::Inline,
            "inline" => {
                return Err(fail(
                    "inline caches are read with type=registry and the image's name".to_owned(),
                ));
            }
            "local" => {
                let key = if export { "dest" } else { "src" };
                let path =
                    fields.take(key).ok_or_else(|| fail(format!("{key} is required for type=local")))?;
                CacheKind::Local(PathBuf::from(path))
            }
            "registry" => {
                let name =
                    fields.take("ref").ok_or_else(|| fail("ref is required for type=registry".to_owned()))?;
                let reference = Reference::parse(&name).map_err(|error| fail(error.to_string()))?;
                let insecure = fields.flag("registry.insecure").map_err(&fail)?.unwrap_or(false);
                // What other builders choose here is how entries are always written.
                for key in ["image-manifest", "oci-mediatypes"] {
                    if fields.flag(key).map_err(&fail)? == Some(false) {
                        return Err(fail(format!("{key}=false is not supported: entries are OCI manifests")));
                    }
                }
                CacheKind::Registry { reference, insecure }
            }
            other if OTHERS.contains(&other) => return Err(fail(format!("type={other} is not supported"))),
            other => return Err(fail(format!("unknown type {other:?} (use registry, local or inline)"))),
        };
        let mut spec = Self::new(kind);
        if export {
            spec.export_fields(&mut fields).map_err(&fail)?;
        }
        match fields.0.first() {
            Some((key, _)) => Err(fail(format!("{key} is not supported"))),
            None => Ok(spec),
        }
    }

    fn new(kind: CacheKind) -> Self {
        // A folder is read by this program alone; registries are also read by others' garbage collectors and mirrors.
        let compression = match kind {
            CacheKind::Local(_) => Compression::Zstd { level: 3 },
            _ => Compression::default(),
        };
        Self { kind, mode: Mode::Min, compression, ignore_error: false }
    }

    fn export_fields(&mut self, fields: &mut Fields) -> Result<(), String> {
        self.mode = match fields.take("mode").as_deref() {
            None | Some("min") => Mode::Min,
            Some("max") if self.kind == CacheKind::Inline => {
                return Err("mode=max is not possible inside an image: it has no other layers".to_owned());
            }
            Some("max") => Mode::Max,
            Some(other) => return Err(format!("unknown mode {other:?} (use min or max)")),
        };
        self.ignore_error = fields.flag("ignore-error")?.unwrap_or(false);
        let level: Option<i32> = match fields.take("compression-level") {
            Some(level) => {
                Some(level.parse().map_err(|_| format!("compression-level {level:?} is no number"))?)
            }
            None => None,
        };
        self.compression = match (fields.take("compression").as_deref(), self.compression) {
            (Some("gzip"), _) | (None, Compression::Gzip { .. }) => {
                level.map_or(Compression::default(), |level| Compression::Gzip { level: level.clamp(1, 12) })
            }
            (Some("zstd"), _) | (None, Compression::Zstd { .. }) => {
                Compression::Zstd { level: level.unwrap_or(3).clamp(1, 22) }
            }
            (Some(other), _) => {
                return Err(format!("compression={other} is not supported (use gzip or zstd)"));
            }
        };
        Ok(())
    }
}

/// The `key=value` parts that are not read yet.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is no key=value"))?;
            Ok((key.trim().to_ascii_lowercase(), value.to_owned()))
        };
        text.split(',').map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(format!("{key}={other} is neither true nor false")),
        }
    }
}
