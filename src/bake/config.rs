//! All groups and targets of the files, and what a command line makes of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::error::BakeError;
use super::overrides::Overrides;
use super::target::Target;

/// Targets, and inheritance, deeper than this are refused.
const MAX_DEPTH: usize = 500;

/// A name for several targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// What `--list` shows.
    pub description: String,
    /// Targets and groups.
    pub targets: Vec<String>,
}

/// What the files say.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// In the files' order.
    pub groups: Vec<Group>,
    /// In the files' order.
    pub targets: Vec<Target>,
}

/// Targets that are to be built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By name, with those that others link to.
    pub targets: BTreeMap<String, Target>,
    /// The groups that were gone through, and `default` with what was asked for.
    pub groups: BTreeMap<String, Group>,
}

/// Says whether a name is one.
///
/// # Errors
/// What names may have.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(fits) {
        Ok(())
    } else {
        Err("only \"[a-zA-Z0-9_-]+\" are allowed".to_owned())
    }
}

impl Config {
    /// Adds a group; a later one of the same name takes its place.
    pub fn add_group(&mut self, group: Group) {
        match self.groups.iter_mut().find(|other| other.name == group.name) {
            Some(other) => *other = group,
            None => self.groups.push(group),
        }
    }

    /// Adds a target; a later one of the same name is merged into it.
    pub fn add_target(&mut self, target: Target) {
        match self.targets.iter_mut().find(|other| other.name == target.name) {
            Some(other) => other.merge(&target),
            None => self.targets.push(target),
        }
    }

    /// Resolves the targets that a command line asks for.
    ///
    /// # Errors
    /// A name that is no target's, a cycle, an override that does not fit.
    pub fn plan(
        &self,
        asked: &[String],
        overrides: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan, BakeError> {
        let mut names: Vec<String> = Vec::new();
        for pattern in asked {
            // Compose services may have dots in their names.
            for name in self.match_names(&pattern.replace('.', "_"))? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let overrides = Overrides::parse(overrides, &self.targets, environment)?;
        let mut plan = Plan::default();
        for name in &names {
            let (targets, groups) = self.expand(name);
            for target in targets {
                let resolved = self.resolve(&target, &overrides)?;
                plan.targets.insert(target, resolved);
            }
            for group in groups {
                if let Some(found) = self.groups.iter().find(|other| other.name == group) {
                    let mut found = found.clone();
                    distinct(&mut found.targets);
                    plan.groups.entry(group).or_insert(found);
                }
            }
        }
        for name in names {
            if name == "default" && plan.groups.contains_key("default") {
                continue;
            }
            let default = plan.groups.entry("default".to_owned()).or_default();
            default.targets.push(name);
        }
        if let Some(default) = plan.groups.get_mut("default") {
            distinct(&mut default.targets);
            default.targets.sort();
        }
        let asked: Vec<String> = plan.targets.keys().cloned().collect();
        for name in asked {
            self.link(&name, &mut plan.targets, &overrides, &mut Vec::new())?;
        }
        Ok(plan)
    }

    fn match_names(&self, pattern: &str) -> Result<Vec<String>, BakeError> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|group| &group.name);
        let all = groups.chain(self.targets.iter().map(|target| &target.name));
        let names: Vec<String> = all.filter(|name| glob(pattern, name)).cloned().collect();
        if names.is_empty() {
            return Err(BakeError::plain(format!("could not find any target matching {pattern:?}")));
        }
        Ok(names)
    }

    /// The targets and groups that a name stands for.
    fn expand(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mut known = HashMap::new();
        for group in &self.groups {
            known.entry(group.name.as_str()).or_insert(group);
        }
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        let (mut seen_groups, mut seen_targets) = (HashSet::new(), HashSet::new());
        // A stack instead of recursion: groups may be nested as deep as a file is long.
        let mut waiting = vec![(name.to_owned(), String::new())];
        while let Some((name, parent)) = waiting.pop() {
            match known.get(name.as_str()).filter(|_| name != parent) {
                Some(group) => {
                    if seen_groups.insert(name.clone()) {
                        groups.push(name.clone());
                        waiting
                            .extend(group.targets.iter().rev().map(|target| (target.clone(), name.clone())));
                    }
                }
                None => {
                    if seen_targets.insert(name.clone()) {
                        targets.push(name);
                    }
                }
            }
        }
        (targets, groups)
    }

    fn resolve(&self, name: &str, overrides: &Overrides) -> Result<Target, BakeError> {
        let mut target = self
            .inherited(name, overrides, &mut HashMap::new(), 0)?
            .ok_or_else(|| BakeError::plain(format!("failed to find target {name}")))?;
        target.name = name.to_owned();
        target.inherits.clear();
        target.context.get_or_insert_with(|| ".".to_owned());
        if target.dockerfile.as_deref().is_none_or(str::is_empty) {
            target.dockerfile = Some("Dockerfile".to_owned());
        }
        Ok(target)
    }

    /// A target with what it inherits; none for one that is being resolved already.
    fn inherited(
        &self,
        name: &str,
        overrides: &Overrides,
        visited: &mut HashMap<String, Option<Target>>,
        depth: usize,
    ) -> Result<Option<Target>, BakeError> {
        if let Some(known) = visited.get(name) {
            return Ok(known.clone());
        }
        if depth > MAX_DEPTH {
            return Err(BakeError::plain(format!("target {name} inherits more than {MAX_DEPTH} deep")));
        }
        visited.insert(name.to_owned(), None);
        let own = self.targets.iter().find(|target| target.name == name);
        let own = own.ok_or_else(|| BakeError::plain(format!("failed to find target {name}")))?;
        let mut target = Target::default();
        for parent in &own.inherits {
            if let Some(parent) = self.inherited(parent, overrides, visited, depth + 1)? {
                target.merge(&parent);
            }
        }
        target.merge(own);
        overrides.apply(name, &mut target)?;
        target.normalize();
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    /// Adds the targets that `contexts` name, and takes over the rights they need.
    fn link(
        &self,
        name: &str,
        targets: &mut BTreeMap<String, Target>,
        overrides: &Overrides,
        above: &mut Vec<String>,
    ) -> Result<(), BakeError> {
        if above.len() > MAX_DEPTH {
            return Err(BakeError::plain(format!("target {name} is linked more than {MAX_DEPTH} deep")));
        }
        above.push(name.to_owned());
        let contexts = targets[name].contexts.clone().unwrap_or_default();
        for linked in contexts.values().filter_map(|value| value.strip_prefix("target:")) {
            if linked == name {
                return Err(BakeError::plain(format!("target {linked} cannot link to itself")));
            }
            if above.iter().any(|other| other == linked) {
                return Err(BakeError::plain(format!("infinite loop from {name} to {linked}")));
            }
            if !targets.contains_key(linked) {
                let mut target = self.resolve(linked, overrides)?;
                let nothing = super::entries::Output {
                    kind: "cacheonly".to_owned(),
                    dest: String::new(),
                    fields: BTreeMap::new(),
                };
                target.outputs = Some(vec![nothing]);
                target.linked = true;
                targets.insert(linked.to_owned(), target);
            }
            self.link(linked, targets, overrides, above)?;
            let needed = targets[linked].entitlements.clone().unwrap_or_default();
            let theirs = targets[linked].platforms.clone().unwrap_or_default();
            let target = targets.get_mut(name).expect("the caller has it");
            for right in needed {
                let rights = target.entitlements.get_or_insert_default();
                if !rights.contains(&right) {
                    rights.push(right);
                }
            }
            let ours = target.platforms.clone().unwrap_or_default();
            if ours.len() > 1 && theirs.len() > 1 && !ours.iter().all(|platform| theirs.contains(platform)) {
                return Err(BakeError::plain(format!(
                    "target {linked} can't be used by {name} because its platforms [{}] are not a subset of [{}]",
                    ours.join(" "),
                    theirs.join(" ")
                )));
            }
        }
        above.pop();
        Ok(())
    }
}

fn distinct(names: &mut Vec<String>) {
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
}

/// Matches as Go's `path.Match` does: names have no slashes.
pub fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n, mut star) = (0, 0, None);
    loop {
        let one = if n < name.len() { match_one(&pattern, p, name[n]) } else { None };
        match (pattern.get(p), one) {
            (Some('*'), _) => {
                star = Some((p + 1, n));
                p += 1;
            }
            (_, Some(next)) => (p, n) = (next, n + 1),
            (None, _) if n == name.len() => return true,
            _ => match star {
                Some((after, from)) if from < name.len() => {
                    star = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

/// The pattern's next place if its part at `p` fits a character.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '*' => None,
        '?' => Some(p + 1),
        '\\' => (pattern.get(p + 1) == Some(&c)).then_some(p + 2),
        '[' => {
            let end = pattern[p + 1..].iter().skip(1).position(|x| *x == ']')? + p + 2;
            let inside = &pattern[p + 1..end];
            let (negated, inside) = match inside.first() {
                Some('^') => (true, &inside[1..]),
                _ => (false, inside),
            };
            let mut found = false;
            let mut i = 0;
            while i < inside.len() {
                if i + 2 < inside.len() && inside[i + 1] == '-' {
                    found |= (inside[i]..=inside[i + 2]).contains(&c);
                    i += 3;
                } else {
                    found |= inside[i] == c;
                    i += 1;
                }
            }
            (found != negated).then_some(end + 1)
        }
        other => (*other == c).then_some(p + 1),
    }
}

impl Plan {
    /// Returns what `--print` shows.
    pub fn to_json(&self) -> serde_json::Value {
        let group = |group: &Group| {
            let mut fields = serde_json::Map::new();
            if !group.description.is_empty() {
                fields.insert("description".to_owned(), group.description.clone().into());
            }
            fields.insert("targets".to_owned(), serde_json::json!(group.targets));
            serde_json::Value::Object(fields)
        };
        let groups: serde_json::Map<_, _> =
            self.groups.iter().map(|(name, one)| (name.clone(), group(one))).collect();
        let targets: serde_json::Map<_, _> =
            self.targets.iter().map(|(name, target)| (name.clone(), target.to_json())).collect();
        serde_json::json!({ "group": groups, "target": targets })
    }
}
