//! A target: its attributes, how two are merged, what `--print` shows.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::entries::{Attest, Cache, Entry, Output, Secret, Ssh};

/// Values by name; `null` leaves one out.
pub type Settings = BTreeMap<String, Option<String>>;

/// One build, as far as the files say; what is none was not said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// The name.
    pub name: String,
    /// What `--list` shows.
    pub description: String,
    /// The targets whose attributes hold where this one says nothing.
    pub inherits: Vec<String>,
    /// `key=value` for the image's manifest.
    pub annotations: Option<Vec<String>>,
    /// Provenance and lists of contents.
    pub attest: Option<Vec<Attest>>,
    /// Where the context is.
    pub context: Option<String>,
    /// Contexts by name; `target:x` is another target's result.
    pub contexts: Option<BTreeMap<String, String>>,
    /// The Dockerfile, below the context.
    pub dockerfile: Option<String>,
    /// The Dockerfile's text.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: Option<Settings>,
    /// Labels.
    pub labels: Option<Settings>,
    /// Names of the image.
    pub tags: Option<Vec<String>>,
    /// Caches to read.
    pub cache_from: Option<Vec<Cache>>,
    /// Caches to write.
    pub cache_to: Option<Vec<Cache>>,
    /// The stage.
    pub target: Option<String>,
    /// Secrets of RUN steps.
    pub secrets: Option<Vec<Secret>>,
    /// Agents of RUN steps.
    pub ssh: Option<Vec<Ssh>>,
    /// Platforms to build for.
    pub platforms: Option<Vec<String>>,
    /// What becomes of the result.
    pub outputs: Option<Vec<Output>>,
    /// Whether images are asked for anew.
    pub pull: Option<bool>,
    /// Whether no step is answered from the cache.
    pub no_cache: Option<bool>,
    /// The network of RUN steps.
    pub network: Option<String>,
    /// Stages whose steps are not answered from the cache.
    pub no_cache_filter: Option<Vec<String>>,
    /// Size of `/dev/shm`.
    pub shm_size: Option<String>,
    /// Limits of RUN steps.
    pub ulimits: Option<Vec<String>>,
    /// What to do instead of building.
    pub call: Option<String>,
    /// Rights that it needs.
    pub entitlements: Option<Vec<String>>,
    /// Names of hosts.
    pub extra_hosts: Option<Settings>,
    /// Limits of RUN steps by the flags' names, e.g. `memory`.
    pub resources: Option<Settings>,
    /// Whether only another target's `contexts` asks for it.
    pub linked: bool,
}

impl Target {
    /// Takes what another target of the same name, or an heir, says.
    pub fn merge(&mut self, other: &Self) {
        replace(&mut self.context, &other.context);
        replace(&mut self.dockerfile, &other.dockerfile);
        replace(&mut self.dockerfile_inline, &other.dockerfile_inline);
        add_settings(&mut self.args, &other.args);
        if let Some(more) = &other.contexts {
            let all = self.contexts.get_or_insert_default();
            all.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        add_settings(&mut self.labels, &other.labels);
        replace(&mut self.tags, &other.tags);
        replace(&mut self.target, &other.target);
        replace(&mut self.call, &other.call);
        append(&mut self.annotations, &other.annotations);
        merge_entries(&mut self.attest, &other.attest);
        merge_entries(&mut self.secrets, &other.secrets);
        merge_entries(&mut self.ssh, &other.ssh);
        replace(&mut self.platforms, &other.platforms);
        merge_entries(&mut self.cache_from, &other.cache_from);
        replace(&mut self.cache_to, &other.cache_to);
        replace(&mut self.outputs, &other.outputs);
        replace(&mut self.pull, &other.pull);
        replace(&mut self.no_cache, &other.no_cache);
        replace(&mut self.network, &other.network);
        append(&mut self.no_cache_filter, &other.no_cache_filter);
        replace(&mut self.shm_size, &other.shm_size);
        append(&mut self.ulimits, &other.ulimits);
        if !other.description.is_empty() {
            self.description.clone_from(&other.description);
        }
        append(&mut self.entitlements, &other.entitlements);
        add_settings(&mut self.extra_hosts, &other.extra_hosts);
        add_settings(&mut self.resources, &other.resources);
        self.inherits.extend(other.inherits.iter().cloned());
    }

    /// Drops what is empty or there twice.
    pub fn normalize(&mut self) {
        distinct(&mut self.annotations);
        distinct(&mut self.tags);
        distinct(&mut self.platforms);
        distinct(&mut self.no_cache_filter);
        distinct(&mut self.ulimits);
        self.attest = self.attest.take().map(Entry::normalize);
        self.secrets = self.secrets.take().map(Entry::normalize);
        self.ssh = self.ssh.take().map(Entry::normalize);
        self.cache_from = self.cache_from.take().map(Entry::normalize);
        self.cache_to = self.cache_to.take().map(Entry::normalize);
        self.outputs = self.outputs.take().map(Entry::normalize);
        if self.network.as_deref() == Some("host") {
            self.entitlements.get_or_insert_default().push("network.host".to_owned());
        }
        distinct(&mut self.entitlements);
        if let Some(contexts) = &mut self.contexts {
            contexts.retain(|_, value| !value.is_empty());
        }
    }

    /// Returns what `--print` shows of it.
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        let mut put = |key: &str, value: Json| {
            let empty = match &value {
                Json::Null => true,
                Json::Array(values) => values.is_empty(),
                Json::Object(values) => values.is_empty(),
                _ => false,
            };
            if !empty {
                out.insert(key.to_owned(), value);
            }
        };
        if !self.description.is_empty() {
            put("description", json!(self.description));
        }
        let escaped_all = |values: &Option<Vec<String>>| {
            json!(values.as_ref().map(|values| values.iter().map(|value| escape(value)).collect::<Vec<_>>()))
        };
        put("annotations", escaped_all(&self.annotations));
        put("attest", entries(&self.attest));
        put("context", json!(self.context));
        put("contexts", json!(self.contexts));
        put("dockerfile", json!(self.dockerfile));
        put("dockerfile-inline", json!(self.dockerfile_inline.as_deref().map(escape)));
        put("args", settings(&self.args));
        put("labels", settings(&self.labels));
        put("tags", json!(self.tags));
        put("cache-from", entries(&self.cache_from));
        put("cache-to", entries(&self.cache_to));
        put("target", json!(self.target));
        put("secret", entries(&self.secrets));
        put("ssh", entries(&self.ssh));
        put("platforms", json!(self.platforms));
        put("output", entries(&self.outputs));
        put("pull", json!(self.pull));
        put("no-cache", json!(self.no_cache));
        put("network", json!(self.network));
        put("no-cache-filter", json!(self.no_cache_filter));
        put("shm-size", json!(self.shm_size));
        put("ulimits", json!(self.ulimits));
        put("call", json!(self.call));
        put("entitlements", json!(self.entitlements));
        put("extra-hosts", settings(&self.extra_hosts));
        put("resources", settings(&self.resources));
        Json::Object(out)
    }
}

fn replace<T: Clone>(value: &mut Option<T>, other: &Option<T>) {
    if other.is_some() {
        value.clone_from(other);
    }
}

fn append(values: &mut Option<Vec<String>>, other: &Option<Vec<String>>) {
    if let Some(more) = other {
        values.get_or_insert_default().extend(more.iter().cloned());
    }
}

fn merge_entries<E: Entry>(values: &mut Option<Vec<E>>, other: &Option<Vec<E>>) {
    if let Some(more) = other {
        *values = Some(E::merge(values.take().unwrap_or_default(), more.clone()));
    }
}

/// A `null` says nothing.
fn add_settings(values: &mut Option<Settings>, other: &Option<Settings>) {
    for (key, value) in other.iter().flatten().filter(|(_, value)| value.is_some()) {
        values.get_or_insert_default().insert(key.clone(), value.clone());
    }
}

fn distinct(values: &mut Option<Vec<String>>) {
    let Some(values) = values else { return };
    let mut seen = std::collections::BTreeSet::new();
    values.retain(|value| !value.is_empty() && seen.insert(value.clone()));
}

/// What is printed is a bake file again, where `${` begins an expression.
fn escape(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn settings(values: &Option<Settings>) -> Json {
    let fields =
        values.iter().flatten().map(|(key, value)| (key.clone(), json!(value.as_deref().map(escape))));
    Json::Object(fields.collect())
}

fn entries<E: Entry>(values: &Option<Vec<E>>) -> Json {
    values.iter().flatten().map(E::to_json).collect()
}
