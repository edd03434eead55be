//! Services with a `build` section to targets.

use std::collections::BTreeMap;

use super::super::config::{Config, Group, check_name};
use super::super::entries::{Attest, Cache, Entry, Output, Secret, Ssh, from_texts, parse_bool};
use super::super::target::{Settings, Target};
use super::model::Model;
use super::node::{Fields, Node};

/// The fields of a `build` section.
const KEYS: [&str; 24] = [
    "additional_contexts",
    "args",
    "cache_from",
    "cache_to",
    "context",
    "dockerfile",
    "dockerfile_inline",
    "entitlements",
    "extra_hosts",
    "isolation",
    "labels",
    "network",
    "no_cache",
    "platforms",
    "privileged",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// Returns the targets, and the group `default` of all of them.
///
/// # Errors
/// A sentence about the first field that is wrong.
pub fn targets(model: &Model) -> Result<Config, String> {
    let mut config = Config::default();
    if model.services.is_empty() {
        return Ok(config);
    }
    let mut group = Group { name: "default".to_owned(), ..Group::default() };
    for (name, service) in &model.services {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(format!("services additional properties '{name}' not allowed"));
        }
        let Node::Map(service) = service else { continue };
        let build = match service.get("build") {
            None | Some(Node::Null) => continue,
            Some(Node::Map(build)) => build,
            Some(_) => return Err(format!("services.{name}.build must be a string or a mapping")),
        };
        let section = Section { path: format!("services.{name}.build"), fields: build };
        let target = target(name, service, &section, model)?;
        group.targets.push(target.name.clone());
        config.targets.push(target);
    }
    config.groups.push(group);
    Ok(config)
}

fn target(name: &str, service: &Fields, build: &Section<'_>, model: &Model) -> Result<Target, String> {
    for key in build.fields.keys().filter(|key| !key.starts_with("x-")) {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("{} additional properties '{key}' not allowed", build.path));
        }
    }
    let target_name = name.replace('.', "_");
    check_name(&target_name).map_err(|why| format!("invalid service name {target_name:?}: {why}"))?;
    let on = |key: &str| Ok::<_, String>(build.boolean(key)?.filter(|on| *on));
    let mut target = Target {
        name: target_name,
        context: build.text("context")?,
        dockerfile: build.text("dockerfile")?,
        dockerfile_inline: build.text("dockerfile_inline")?,
        contexts: named_contexts(build.map("additional_contexts")?),
        args: arguments(name, service, build, model)?,
        labels: labels(build)?,
        tags: build.list("tags")?,
        target: build.text("target")?,
        platforms: build.list("platforms")?,
        network: build.text("network")?,
        no_cache: on("no_cache")?,
        pull: on("pull")?,
        cache_from: build.entries("cache_from")?,
        cache_to: build.entries("cache_to")?,
        shm_size: build.text("shm_size")?.map(|text| size(&text)).transpose()?,
        ulimits: ulimits(build)?,
        extra_hosts: extra_hosts(build),
        ssh: ssh(build)?,
        secrets: secrets(name, build, model)?,
        attest: attest(build)?,
        ..Target::default()
    };
    extension(&mut target, build)?;
    if let Some(image) = service.get("image").and_then(Node::to_text)
        && target.tags.as_ref().is_none_or(Vec::is_empty)
    {
        target.tags = Some(vec![image]);
    }
    Ok(target)
}

/// Fields of a mapping with its name for messages.
struct Section<'a> {
    path: String,
    fields: &'a Fields,
}

impl Section<'_> {
    fn wrong(&self, key: &str, needs: &str) -> String {
        format!("{}.{key} must be {needs}", self.path)
    }

    fn get(&self, key: &str) -> Option<&Node> {
        self.fields.get(key).filter(|value| **value != Node::Null)
    }

    /// Text that says something.
    fn text(&self, key: &str) -> Result<Option<String>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = value.to_text().ok_or_else(|| self.wrong(key, "a string"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let parsed = value.to_text().and_then(|text| parse_bool(&text));
        parsed.map(Some).ok_or_else(|| self.wrong(key, "a boolean"))
    }

    fn list(&self, key: &str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Node::List(items) = value else { return Err(self.wrong(key, "a array")) };
        let texts: Option<Vec<String>> = items.iter().map(Node::to_text).collect();
        texts.map(Some).ok_or_else(|| self.wrong(key, "a array of strings"))
    }

    /// A list, or words in one text.
    fn words(&self, key: &str) -> Result<Option<Vec<String>>, String> {
        match self.get(key) {
            Some(Node::Text(text)) => Ok(Some(text.split_whitespace().map(str::to_owned).collect())),
            _ => self.list(key),
        }
    }

    fn map(&self, key: &str) -> Result<Option<BTreeMap<String, Option<String>>>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Node::Map(fields) = value else { return Err(self.wrong(key, "a mapping")) };
        let one = |(name, value): (&String, &Node)| match value {
            Node::Null => Ok((name.clone(), None)),
            value => match value.to_text() {
                Some(text) => Ok((name.clone(), Some(text))),
                None => Err(self.wrong(&format!("{key}.{name}"), "a string")),
            },
        };
        fields.iter().map(one).collect::<Result<_, _>>().map(Some)
    }

    fn entries<E: Entry>(&self, key: &str) -> Result<Option<Vec<E>>, String> {
        self.list(key)?.map(|texts| from_texts(&texts).map(E::normalize)).transpose()
    }
}

/// Arguments without a value have the service's or the environment's, or none.
fn arguments(
    name: &str,
    service: &Fields,
    build: &Section<'_>,
    model: &Model,
) -> Result<Option<Settings>, String> {
    let Some(given) = build.map("args")? else { return Ok(None) };
    let path = format!("services.{name}");
    let environment = Section { path, fields: service }.map("environment")?.unwrap_or_default();
    let files = model.env_files.get(name);
    let resolve = |key: &String| match environment.get(key) {
        Some(Some(value)) => Some(value.clone()),
        Some(None) => model.environment.get(key).cloned(),
        None => files.and_then(|files| files.get(key)).or_else(|| model.environment.get(key)).cloned(),
    };
    let resolved = given.into_iter().filter_map(|(key, value)| {
        let value = value.or_else(|| resolve(&key))?;
        Some((key, Some(value)))
    });
    Ok(Some(resolved.collect()))
}

fn labels(build: &Section<'_>) -> Result<Option<Settings>, String> {
    let Some(labels) = build.map("labels")? else { return Ok(None) };
    Ok(Some(labels.into_iter().map(|(name, value)| (name, Some(value.unwrap_or_default()))).collect()))
}

fn named_contexts(contexts: Option<BTreeMap<String, Option<String>>>) -> Option<BTreeMap<String, String>> {
    let one = |(name, value): (String, Option<String>)| {
        let value = value.unwrap_or_default();
        let other = value.strip_prefix("service:").or_else(|| value.strip_prefix("target:"));
        let value =
            other.map_or_else(|| value.clone(), |other| format!("target:{}", other.replace('.', "_")));
        (name, value)
    };
    Some(contexts?.into_iter().map(one).collect())
}

fn extra_hosts(build: &Section<'_>) -> Option<Settings> {
    let Some(Node::Map(hosts)) = build.get("extra_hosts") else { return None };
    let one = |(name, addresses): (&String, &Node)| match addresses {
        Node::List(all) => {
            let all: Vec<String> = all.iter().filter_map(Node::to_text).collect();
            (name.clone(), Some(all.join(",")))
        }
        one => (name.clone(), one.to_text()),
    };
    Some(hosts.iter().map(one).collect())
}

/// `64mb` as docker writes it again.
fn size(text: &str) -> Result<String, String> {
    let wrong = || format!("invalid size: '{text}'");
    let lower = text.trim().to_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().trim_end_matches('b').trim_end_matches('i');
    let power = match unit {
        "" => 0,
        unit => 1 + ["k", "m", "g", "t", "p"].iter().position(|known| *known == unit).ok_or_else(wrong)?,
    };
    let mut bytes = (number * 1024_f64.powi(i32::try_from(power).unwrap_or_default())).trunc();
    let mut unit = 0;
    while bytes >= 1024.0 && unit < 5 {
        bytes /= 1024.0;
        unit += 1;
    }
    // Four digits, as docker writes sizes.
    let before = bytes.trunc().to_string().len();
    let text = format!("{bytes:.*}", 4_usize.saturating_sub(before));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Ok(format!("{text}{}", ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]))
}

fn ulimits(build: &Section<'_>) -> Result<Option<Vec<String>>, String> {
    let Some(value) = build.get("ulimits") else { return Ok(None) };
    let wrong = |name: &str| build.wrong(&format!("ulimits.{name}"), "a number or soft and hard numbers");
    let Node::Map(limits) = value else { return Err(build.wrong("ulimits", "a mapping")) };
    let number =
        |node: Option<&Node>| node.and_then(Node::to_text).filter(|text| text.parse::<i64>().is_ok());
    let one = |(name, limit): (&String, &Node)| {
        let (soft, hard) = match limit {
            Node::Map(fields) => (number(fields.get("soft")), number(fields.get("hard"))),
            single => (number(Some(single)), number(Some(single))),
        };
        match (soft, hard) {
            (Some(soft), Some(hard)) => Ok(format!("{name}={soft}:{hard}")),
            _ => Err(wrong(name)),
        }
    };
    limits.iter().map(one).collect::<Result<_, _>>().map(Some)
}

fn ssh(build: &Section<'_>) -> Result<Option<Vec<Ssh>>, String> {
    let Some(keys) = build.map("ssh")? else { return Ok(None) };
    Ok(Some(keys.into_iter().map(|(id, path)| Ssh { id, paths: path.into_iter().collect() }).collect()))
}

fn secrets(name: &str, build: &Section<'_>, model: &Model) -> Result<Option<Vec<Secret>>, String> {
    let Some(value) = build.get("secrets") else { return Ok(None) };
    let Node::List(items) = value else { return Err(build.wrong("secrets", "a array")) };
    let one = |item: &Node| {
        let source = match item {
            Node::Map(fields) => fields.get("source").and_then(Node::to_text),
            text => text.to_text(),
        };
        let source = source.ok_or_else(|| build.wrong("secrets", "names or mappings with a source"))?;
        let Some(secret) = model.secrets.get(&source) else {
            return Err(format!(
                "service {name:?} refers to undefined build secret {source}: invalid compose project"
            ));
        };
        let field = |key: &str| match secret {
            Node::Map(fields) => fields.get(key).and_then(Node::to_text).unwrap_or_default(),
            _ => String::new(),
        };
        if parse_bool(&field("external")) == Some(true) {
            return Err(format!("failed to parse compose file: unsupported external secret {source}"));
        }
        Ok(Secret { id: source.clone(), source: field("file"), env: field("environment") })
    };
    items.iter().map(one).collect::<Result<_, _>>().map(Some)
}

fn attest(build: &Section<'_>) -> Result<Option<Vec<Attest>>, String> {
    let mut texts = Vec::new();
    for kind in ["sbom", "provenance"] {
        let Some(value) = build.text(kind)? else { continue };
        texts.push(match parse_bool(&value) {
            Some(true) => format!("type={kind}"),
            Some(false) => format!("type={kind},disabled=true"),
            None => format!("type={kind},{value}"),
        });
    }
    if texts.is_empty() { Ok(None) } else { from_texts(&texts).map(Some) }
}

/// `x-bake`: what compose has no fields for; fields that are unknown are ignored, as docker does.
fn extension(target: &mut Target, build: &Section<'_>) -> Result<(), String> {
    let Some(Node::Map(fields)) = build.get("x-bake") else { return Ok(()) };
    let more = Section { path: format!("{}.x-bake", build.path), fields };
    let add = |values: &mut Option<Vec<String>>, key: &str| {
        if let Some(words) = more.words(key)? {
            values.get_or_insert_default().extend(words);
        }
        Ok::<_, String>(())
    };
    add(&mut target.tags, "tags")?;
    add(&mut target.platforms, "platforms")?;
    add(&mut target.no_cache_filter, "no-cache-filter")?;
    merge::<Cache>(&mut target.cache_from, more.words("cache-from")?)?;
    merge::<Cache>(&mut target.cache_to, more.words("cache-to")?)?;
    merge::<Secret>(&mut target.secrets, more.words("secret")?)?;
    merge::<Ssh>(&mut target.ssh, more.words("ssh")?)?;
    if let Some(ssh) = &mut target.ssh {
        ssh.sort_by(|a, b| (&a.id, &a.paths).cmp(&(&b.id, &b.paths)));
    }
    merge::<Output>(&mut target.outputs, more.words("output")?)?;
    target.pull = more.boolean("pull")?.or(target.pull);
    target.no_cache = more.boolean("no-cache")?.or(target.no_cache);
    if let Some(contexts) = named_contexts(more.map("contexts")?) {
        target.contexts.get_or_insert_default().extend(contexts);
    }
    Ok(())
}

fn merge<E: Entry>(values: &mut Option<Vec<E>>, texts: Option<Vec<String>>) -> Result<(), String> {
    if let Some(texts) = texts {
        *values = Some(E::merge(values.take().unwrap_or_default(), from_texts(&texts)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_written_as_docker_does() {
        let table = [("64mb", "64MiB"), ("1.5g", "1.5GiB"), ("67108864", "64MiB"), ("100", "100B")];
        for (text, expected) in table {
            assert_eq!(size(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(size("x").is_err() && size("1q").is_err());
    }
}
