//! Attributes that are lists of small records: written as `type=local,dest=x` or as objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::functions::csv_records;
use super::value::Value;

/// Something that stands in a list as comma-separated text or as an object.
pub trait Entry: Sized + Clone + PartialEq {
    /// Reads the text form; none for what means nothing.
    ///
    /// # Errors
    /// A sentence for the user.
    fn parse(text: &str) -> Result<Vec<Self>, String>;

    /// Reads the object form.
    ///
    /// # Errors
    /// A sentence for the user.
    fn from_fields(fields: BTreeMap<String, Value>) -> Result<Self, String>;

    /// Returns what `--print` shows.
    fn to_json(&self) -> Json;

    /// Returns the text form, as the flags of `build` take it.
    fn to_flag(&self) -> String;

    /// Joins two lists.
    #[must_use]
    fn merge(mut before: Vec<Self>, after: Vec<Self>) -> Vec<Self> {
        before.extend(after);
        Self::normalize(before)
    }

    /// Drops what is there twice.
    #[must_use]
    fn normalize(entries: Vec<Self>) -> Vec<Self> {
        let mut kept: Vec<Self> = Vec::new();
        for entry in entries {
            if !kept.contains(&entry) {
                kept.push(entry);
            }
        }
        kept
    }
}

/// Reads a list of either form.
///
/// # Errors
/// An element is neither, or wrong.
pub fn from_value<E: Entry>(value: &Value) -> Result<Option<Vec<E>>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let elements = value.elements().ok_or("list of string or object required")?;
    let mut entries = Vec::new();
    for element in elements.iter() {
        match element {
            Value::String(text) => entries.extend(E::parse(text)?),
            Value::Map(fields) => entries.push(E::from_fields((**fields).clone())?),
            _ => return Err("map of string required".to_owned()),
        }
    }
    Ok(Some(E::normalize(entries)))
}

/// Reads texts of the command line or of a compose file.
///
/// # Errors
/// One of them is wrong.
pub fn from_texts<E: Entry>(texts: &[String]) -> Result<Vec<E>, String> {
    let entries: Result<Vec<Vec<E>>, String> = texts.iter().map(|text| E::parse(text)).collect();
    Ok(entries?.concat())
}

/// An attestation.
#[derive(Debug, Clone, PartialEq)]
pub struct Attest {
    /// `provenance` or `sbom`.
    pub kind: String,
    /// Whether it is not to be made.
    pub disabled: bool,
    /// The other keys.
    pub fields: BTreeMap<String, String>,
}

/// A cache's source or destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    /// E.g. `registry`.
    pub kind: String,
    /// The other keys.
    pub fields: BTreeMap<String, String>,
}

/// An output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// E.g. `docker`.
    pub kind: String,
    /// Where to; empty when the kind needs none.
    pub dest: String,
    /// The other keys.
    pub fields: BTreeMap<String, String>,
}

/// A secret.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Secret {
    /// The name that steps use.
    pub id: String,
    /// The file it is in.
    pub source: String,
    /// The variable it is in.
    pub env: String,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ssh {
    /// The name that steps use.
    pub id: String,
    /// A socket or keys; none is the agent of the environment.
    pub paths: Vec<String>,
}

/// The fields of one line of comma-separated values.
fn fields(text: &str) -> Result<Vec<String>, String> {
    Ok(csv_records(text)?.into_iter().next().map(|(_, fields)| fields).unwrap_or_default())
}

/// `key=value` pairs in order, keys in small letters.
fn pairs(fields: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |field: &String| {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("invalid value {field}"))?;
        Ok((key.trim().to_lowercase(), value.to_owned()))
    };
    fields.iter().map(pair).collect()
}

/// One field of a flag, quoted where a comma or a quote asks for it.
fn field(key: &str, value: &str) -> String {
    let text = format!("{key}={value}");
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn flag<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<String> = pairs.into_iter().map(|(key, value)| field(key, value)).collect();
    fields.join(",")
}

fn texts(fields: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let text = |(key, value): (String, Value)| match value.to_text() {
        Some(text) => Ok(Some((key, text.to_string()))),
        None if value.is_null() => Ok(None),
        None => Err(format!("element {key:?}: string required")),
    };
    fields.into_iter().filter_map(|pair| text(pair).transpose()).collect()
}

fn strings(fields: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Keys in alphabetical order.
fn sorted(fields: &BTreeMap<String, String>, more: &[(&str, Json)]) -> Json {
    let mut all: BTreeMap<String, Json> =
        fields.iter().map(|(key, value)| (key.clone(), Json::String(value.clone()))).collect();
    all.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    Json::Object(all.into_iter().collect())
}

impl Entry for Attest {
    fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = BTreeMap::new();
        for (key, value) in pairs(&fields(text)?)? {
            if found.insert(key.clone(), Value::string(value)).is_some() {
                return Err(format!("duplicate key {key}"));
            }
        }
        Ok(vec![Self::from_fields(found)?])
    }

    fn from_fields(fields: BTreeMap<String, Value>) -> Result<Self, String> {
        let mut fields = texts(fields)?;
        let kind = fields.remove("type").filter(|kind| !kind.is_empty());
        let kind = kind.ok_or("attestation type not specified")?;
        let disabled = match fields.remove("disabled") {
            None => false,
            Some(text) => parse_bool(&text).ok_or_else(|| format!("invalid value {text:?} for disabled"))?,
        };
        Ok(Self { kind, disabled, fields })
    }

    fn to_json(&self) -> Json {
        let mut more = vec![("type", json!(self.kind))];
        more.extend(self.disabled.then_some(("disabled", json!(true))));
        sorted(&self.fields, &more)
    }

    fn to_flag(&self) -> String {
        let disabled = self.disabled.then_some(("disabled", "true"));
        flag([("type", self.kind.as_str())].into_iter().chain(disabled).chain(strings(&self.fields)))
    }

    /// One of a kind; the last one holds, at the first one's place.
    fn normalize(entries: Vec<Self>) -> Vec<Self> {
        let mut kept: Vec<Self> = Vec::new();
        for entry in entries {
            match kept.iter_mut().find(|other| other.kind == entry.kind) {
                Some(other) => *other = entry,
                None => kept.push(entry),
            }
        }
        kept
    }
}

impl Entry for Cache {
    fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let fields = fields(text)?;
        if !fields.iter().any(|field| field.contains('=')) {
            // References alone.
            let reference = |name: &String| Self {
                kind: "registry".to_owned(),
                fields: BTreeMap::from([("ref".to_owned(), name.clone())]),
            };
            return Ok(fields.iter().map(reference).collect());
        }
        let mut found: BTreeMap<String, String> = pairs(&fields)?.into_iter().collect();
        let kind = found.remove("type").filter(|kind| !kind.is_empty());
        let kind = kind.ok_or_else(|| format!("type required form> {text:?}"))?;
        Ok(vec![Self { kind, fields: found }])
    }

    fn from_fields(fields: BTreeMap<String, Value>) -> Result<Self, String> {
        let mut fields = texts(fields)?;
        let kind =
            fields.remove("type").filter(|kind| !kind.is_empty()).ok_or("type is required for cache")?;
        Ok(Self { kind, fields })
    }

    fn to_json(&self) -> Json {
        sorted(&self.fields, &[("type", json!(self.kind))])
    }

    fn to_flag(&self) -> String {
        flag([("type", self.kind.as_str())].into_iter().chain(strings(&self.fields)))
    }
}

impl Entry for Output {
    fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let fields = fields(text)?;
        if fields.len() == 1 && fields[0] == text && !text.starts_with("type=") {
            let kind = if text == "-" { "tar" } else { "local" }.to_owned();
            return Ok(vec![Self { kind, dest: text.to_owned(), fields: BTreeMap::new() }]);
        }
        let mut found: BTreeMap<String, String> = pairs(&fields)?.into_iter().collect();
        let kind =
            found.remove("type").filter(|kind| !kind.is_empty()).ok_or("type is required for output")?;
        let dest = found.remove("dest").unwrap_or_default();
        Ok(vec![Self { kind, dest, fields: found }])
    }

    fn from_fields(fields: BTreeMap<String, Value>) -> Result<Self, String> {
        let mut fields = texts(fields)?;
        let kind =
            fields.remove("type").filter(|kind| !kind.is_empty()).ok_or("type is required for output")?;
        let dest = fields.remove("dest").unwrap_or_default();
        Ok(Self { kind, dest, fields })
    }

    fn to_json(&self) -> Json {
        let mut more = vec![("type", json!(self.kind))];
        more.extend((!self.dest.is_empty()).then(|| ("dest", json!(self.dest))));
        sorted(&self.fields, &more)
    }

    fn to_flag(&self) -> String {
        let dest = (!self.dest.is_empty()).then_some(("dest", self.dest.as_str()));
        flag([("type", self.kind.as_str())].into_iter().chain(dest).chain(strings(&self.fields)))
    }
}

impl Entry for Secret {
    fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let (mut secret, mut kind) = (Self::default(), String::new());
        for text in fields(text)? {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| format!("invalid field '{text}' must be a key=value pair"))?;
            match key.trim().to_lowercase().as_str() {
                "type" if value == "file" || value == "env" => value.clone_into(&mut kind),
                "type" => return Err(format!("unsupported secret type {value:?}")),
                "id" => value.clone_into(&mut secret.id),
                "source" | "src" => value.clone_into(&mut secret.source),
                "env" => value.clone_into(&mut secret.env),
                key => return Err(format!("unexpected key '{key}' in '{text}'")),
            }
        }
        if kind == "env" && secret.env.is_empty() {
            secret.env = std::mem::take(&mut secret.source);
        }
        Ok(vec![secret])
    }

    fn from_fields(fields: BTreeMap<String, Value>) -> Result<Self, String> {
        let mut fields = texts(fields)?;
        let mut take = |key: &str| fields.remove(key).unwrap_or_default();
        Ok(Self { id: take("id"), source: take("src"), env: take("env") })
    }

    fn to_json(&self) -> Json {
        let all = [("id", &self.id), ("src", &self.source), ("env", &self.env)];
        let set = all.into_iter().filter(|(_, value)| !value.is_empty());
        Json::Object(set.map(|(key, value)| (key.to_owned(), json!(value))).collect())
    }

    fn to_flag(&self) -> String {
        let all = [("id", self.id.as_str()), ("src", self.source.as_str()), ("env", self.env.as_str())];
        flag(all.into_iter().filter(|(_, value)| !value.is_empty()))
    }
}

impl Entry for Ssh {
    fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let paths = paths.split(',').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        Ok(vec![Self { id: id.to_owned(), paths }])
    }

    fn from_fields(mut fields: BTreeMap<String, Value>) -> Result<Self, String> {
        let id = fields.remove("id").and_then(|id| id.to_text()).unwrap_or_default().to_string();
        let paths = match fields.remove("paths") {
            None | Some(Value::Null) => Vec::new(),
            Some(value) => {
                let paths = value.elements().ok_or("list of string required")?;
                let text = |path: &Value| path.to_text().map(|t| t.to_string()).ok_or("string required");
                paths.iter().map(text).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { id, paths })
    }

    fn to_json(&self) -> Json {
        let mut object = Map::new();
        if !self.id.is_empty() {
            object.insert("id".to_owned(), json!(self.id));
        }
        if !self.paths.is_empty() {
            object.insert("paths".to_owned(), json!(self.paths));
        }
        Json::Object(object)
    }

    fn to_flag(&self) -> String {
        if self.paths.is_empty() { self.id.clone() } else { format!("{}={}", self.id, self.paths.join(",")) }
    }
}

/// Go's booleans.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
