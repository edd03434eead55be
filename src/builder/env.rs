//! An ordered list of variables.

use std::collections::HashMap;

/// Variables in the order in which they first appeared; a new value takes the old one's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    list: Vec<(String, String)>,
    places: HashMap<String, usize>,
}

impl Env {
    /// Sets the variables of `NAME=value` pairs.
    pub fn add_pairs<S: AsRef<str>>(&mut self, pairs: &[S]) {
        for pair in pairs {
            let (name, value) = pair.as_ref().split_once('=').unwrap_or((pair.as_ref(), ""));
            self.set(name, value);
        }
    }

    /// Returns a variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|place| self.list[*place].1.as_str())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.places.get(name) {
            Some(place) => value.clone_into(&mut self.list[*place].1),
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Returns all variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns all variables in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.list
    }

    /// Returns all variables as `NAME=value`.
    pub fn to_pairs(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_value_keeps_the_place() {
        let mut env = Env::default();
        env.add_pairs(&["A=1", "B=2", "C", "A=3"]);
        env.set("B", "x=y");
        assert_eq!(env.to_pairs(), ["A=3", "B=x=y", "C="]);
        assert_eq!((env.get("B"), env.get("D")), (Some("x=y"), None));
    }
}
