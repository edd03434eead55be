//! An ordered list of variables.

/// Variables in the order in which they first appeared; a new value takes the old one's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env(Vec<(String, String)>);

impl Env {
    /// Returns the variables of `NAME=value` pairs, later ones winning.
    pub fn of_pairs<S: AsRef<str>>(pairs: &[S]) -> Self {
        let mut env = Self::default();
        env.add_pairs(pairs);
        env
    }

    /// Sets the variables of `NAME=value` pairs.
    pub fn add_pairs<S: AsRef<str>>(&mut self, pairs: &[S]) {
        for pair in pairs {
            let (name, value) = pair.as_ref().split_once('=').unwrap_or((pair.as_ref(), ""));
            self.set(name, value);
        }
    }

    /// Returns a variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Returns all variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns all variables in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Sets a variable in a config's list of `NAME=value`: in place, or at the end.
pub fn set_pair(pairs: &mut Vec<String>, name: &str, value: &str) {
    let new = format!("{name}={value}");
    let same = |pair: &&mut String| pair.split_once('=').map_or(pair.as_str(), |(n, _)| n) == name;
    match pairs.iter_mut().find(same) {
        Some(old) => *old = new,
        None => pairs.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_value_keeps_the_place() {
        let mut env = Env::of_pairs(&["A=1", "B=2", "C", "A=3"]);
        env.set("B", "x=y");
        let all: Vec<_> = env.iter().collect();
        assert_eq!(all, [("A", "3"), ("B", "x=y"), ("C", "")]);
        let mut pairs = vec!["A=1".to_owned(), "AB=2".to_owned()];
        set_pair(&mut pairs, "AB", "3");
        set_pair(&mut pairs, "B", "4");
        assert_eq!(pairs, ["A=1", "AB=3", "B=4"]);
    }
}
