//! How `imagetools inspect` shows what it found.

use serde_json::Value;

use super::remote::{self, Found};
use crate::cli::error::CliError;
use crate::cli::format::{Missing, Template};

/// Returns the text that is shown without a format.
pub fn text(name: &str, found: &Found) -> String {
    let mut text =
        format!("Name:      {name}\nMediaType: {}\nDigest:    {}\n", found.media_type, found.digest);
    if found.children().is_empty() {
        return text;
    }
    text += &format!("{:11}\nManifests: \n", "");
    let base = name.split('@').next().unwrap_or(name);
    let annotated = |child: &Value| child["annotations"].as_object().is_some_and(|all| !all.is_empty());
    let width = if found.children().iter().any(annotated) { 13 } else { 11 };
    let entries: Vec<String> = found.children().iter().map(|child| entry(base, child, width)).collect();
    text + &entries.join(&format!("  {:width$}\n", ""))
}

fn entry(base: &str, child: &Value, width: usize) -> String {
    let part = |key: &str| child[key].as_str().unwrap_or_default();
    let mut text = format!("  {:width$}{base}@{}\n", "Name:", part("digest"));
    text += &format!("  {:width$}{}\n", "MediaType:", part("mediaType"));
    let platform = remote::platform_text(&child["platform"]);
    if !platform.is_empty() {
        text += &format!("  {:width$}{platform}\n", "Platform:");
    }
    let Some(annotations) = child["annotations"].as_object().filter(|all| !all.is_empty()) else {
        return text;
    };
    text += "  Annotations: \n";
    let mut keys: Vec<&String> = annotations.keys().collect();
    keys.sort();
    let longest = keys.iter().map(|key| key.len()).max().unwrap_or(0) + 2;
    for key in keys {
        let head = format!("{key}:");
        text += &format!("    {head:longest$}{}\n", annotations[key].as_str().unwrap_or_default());
    }
    text
}

/// Whether a format is `{{json .}}`, the whole.
pub fn is_whole(format: &str) -> bool {
    path(format).is_some_and(|path| path.is_empty())
}

/// Returns the path of `{{json .PATH}}`; none for other templates.
fn path(format: &str) -> Option<&str> {
    let inner = format.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let path = inner.strip_prefix("json")?.trim().strip_prefix('.')?;
    path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.').then_some(path)
}

/// Runs a format; a value that is the whole of it is indented, as docker's `json` does.
pub fn formatted(format: &str, data: &Value) -> Result<String, CliError> {
    match path(format) {
        Some("") => {
            let all = data.as_object().into_iter().flatten();
            let whole: serde_json::Map<String, Value> =
                all.map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
            Ok(pretty(&Value::Object(whole)))
        }
        Some(path) => {
            let value = path.split('.').try_fold(data, |value, key| {
                let fields = value.as_object()?;
                fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
            });
            Ok(pretty(value.unwrap_or(&Value::Null)))
        }
        None => {
            let failed = |error: crate::cli::format::TemplateError| CliError::new(format!("ERROR: {error}"));
            Template::parse(format).map_err(failed)?.render(&titled(data), Missing::Error).map_err(failed)
        }
    }
}

/// Adds to documents the names that Go's fields have, so that `.Manifest.MediaType` is found.
fn titled(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut all = serde_json::Map::new();
            for (key, value) in fields {
                let value = titled(value);
                let mut letters = key.chars();
                if let Some(first) = letters.next().filter(char::is_ascii_lowercase) {
                    let name: String = first.to_ascii_uppercase().to_string() + letters.as_str();
                    let name = if name == "Os" { "OS".to_owned() } else { name };
                    all.insert(name, value.clone());
                }
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        Value::Array(all) => all.iter().map(titled).collect(),
        other => other.clone(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats() {
        let data = json!({"Name": "n", "Manifest": {"mediaType": "m", "digest": "d"}});
        for (format, expected) in [
            ("{{.Name}} {{.Manifest.MediaType}} {{.Manifest.digest}}", "n m d"),
            ("{{json .Name}}", "\"n\""),
            ("{{ json .Manifest.MediaType }}", "\"m\""),
            ("{{json .Manifest}}", "{\n  \"mediaType\": \"m\",\n  \"digest\": \"d\"\n}"),
            ("{{json .Nothing}}", "null"),
        ] {
            assert_eq!(formatted(format, &data).map_err(|e| e.text), Ok(expected.to_owned()), "{format}");
        }
        assert!(formatted("{{json .}}", &data).unwrap().contains("\"manifest\": {"));
        assert!(is_whole("{{json .}}") && !is_whole("{{json .Name}}"));
    }
}
