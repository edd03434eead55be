//! What a token is asked for: `type:name:action,action`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most scopes that a server's challenge may add.
const MAX_SCOPES: usize = 16;

/// A set of rights; ordered, so that equal sets are equal keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scopes(BTreeMap<(String, String), BTreeSet<String>>);

impl Scopes {
    /// No right at all, as for a log-in.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reading one repository.
    pub fn pull(path: &str) -> Self {
        Self::default().and("repository", path, &["pull"])
    }

    /// Reading and writing one repository.
    pub fn push(path: &str) -> Self {
        Self::default().and("repository", path, &["pull", "push"])
    }

    /// Deleting in one repository.
    pub fn delete(path: &str) -> Self {
        Self::default().and("repository", path, &["delete"])
    }

    /// Listing a registry's repositories.
    pub fn catalog() -> Self {
        Self::default().and("registry", "catalog", &["*"])
    }

    /// Returns the set with more rights.
    #[must_use]
    pub fn and(mut self, kind: &str, name: &str, actions: &[&str]) -> Self {
        let known = self.0.entry((kind.to_owned(), name.to_owned())).or_default();
        known.extend(actions.iter().map(|action| (*action).to_owned()));
        self
    }

    /// Returns the set with all rights of another.
    #[must_use]
    pub fn with(mut self, more: &Self) -> Self {
        for (key, actions) in &more.0 {
            self.0.entry(key.clone()).or_default().extend(actions.iter().cloned());
        }
        self
    }

    /// Reads a challenge's `scope`; what does not fit the form is left out.
    pub fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for word in text.split_ascii_whitespace().take(MAX_SCOPES) {
            // The name may hold a host's port: the type ends at the first colon, the actions begin at the last.
            let Some((kind, rest)) = word.split_once(':') else { continue };
            let Some((name, actions)) = rest.rsplit_once(':') else { continue };
            let actions: Vec<&str> = actions.split(',').filter(|action| !action.is_empty()).collect();
            scopes = scopes.and(kind, name, &actions);
        }
        scopes
    }

    /// Whether every right of `other` is in this set.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(key, actions)| {
            self.0.get(key).is_some_and(|known| known.contains("*") || actions.is_subset(known))
        })
    }

    /// Whether there is no right in it.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the repository that a credential is looked up for.
    pub fn repository(&self) -> Option<&str> {
        self.0.keys().find(|(kind, _)| kind == "repository").map(|(_, name)| name.as_str())
    }

    /// Returns each scope as a token server reads it.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((kind, name), actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{kind}:{name}:{}", actions.join(","))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_a_port() {
        let scopes = Scopes::parse("repository:localhost:5000/a/b:push,pull registry:catalog:* rubbish");
        assert_eq!(scopes.to_string(), "registry:catalog:* repository:localhost:5000/a/b:pull,push");
        assert_eq!(scopes.repository(), Some("localhost:5000/a/b"));
    }

    #[test]
    fn rights_cover_rights() {
        assert!(Scopes::push("a").covers(&Scopes::pull("a")));
        assert!(!Scopes::pull("a").covers(&Scopes::push("a")));
        assert!(!Scopes::pull("a").covers(&Scopes::pull("b")));
        assert!(Scopes::pull("a").covers(&Scopes::none()));
        let both = Scopes::push("a").with(&Scopes::pull("b"));
        assert!(both.covers(&Scopes::pull("b")) && both.covers(&Scopes::push("a")));
        assert!(Scopes::parse("repository:a:*").covers(&Scopes::push("a")));
    }
}
