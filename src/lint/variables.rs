//! Variables as the rules need them: what is set, what was used, what was not there.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use crate::parser::WordError;
use crate::parser::words;

/// Variables by name, in the order in which they first appeared.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    values: HashMap<String, String>,
    names: Vec<String>,
}

impl Variables {
    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn set(&mut self, name: String, value: String) {
        if self.values.insert(name.clone(), value).is_none() {
            self.names.push(name);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut variables = Self::default();
        pairs.into_iter().for_each(|(name, value)| variables.set(name, value));
        variables
    }
}

/// A word after expansion, and what it named.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The text; of a list its items.
    pub(super) values: Vec<String>,
    /// Variables that were there.
    pub(super) used: BTreeSet<String>,
    /// Variables that were not, in order of appearance.
    pub(super) unset: Vec<String>,
}

impl Seen {
    /// Returns the text of a word that is no list.
    pub(super) fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// How a word is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As one word.
    Word,
    /// As several, split at blanks.
    List,
    /// As the body of a heredoc.
    Heredoc,
}

/// Expands a word and notes what it names.
pub(super) fn expand(text: &str, form: Form, escape: char, set: &Variables) -> Result<Seen, WordError> {
    let used = RefCell::new(BTreeSet::new());
    let get = |name: &str| {
        let value = set.get(name).cloned();
        if value.is_some() {
            used.borrow_mut().insert(name.to_owned());
        }
        value
    };
    let (values, unset) = match form {
        Form::Word => words::expand(text, escape, &get).map(|word| (vec![word.value], word.unset))?,
        Form::List => words::expand_list(text, escape, &get)?,
        Form::Heredoc => words::expand_heredoc(text, &get).map(|body| (vec![body.value], body.unset))?,
    };
    Ok(Seen { values, used: used.into_inner(), unset })
}
