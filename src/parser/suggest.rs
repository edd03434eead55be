//! "Did you mean": the nearest of the names that would have been right.

/// Returns ` (did you mean X?)` for the nearest name at an edit distance below 3, or nothing.
///
/// The suggestion follows the case of what was typed.
pub fn suggestion<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let lower = typed.to_lowercase();
    let nearest = names
        .into_iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| (1..3).contains(distance))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        None => String::new(),
        Some((_, name)) => {
            let upper = typed.chars().any(char::is_alphabetic) && !typed.chars().any(char::is_lowercase);
            let lower = !typed.chars().any(char::is_uppercase);
            let name = match (upper, lower) {
                (true, _) => name.to_uppercase(),
                (_, true) => name.to_lowercase(),
                _ => name.to_owned(),
            };
            format!(" (did you mean {name}?)")
        }
    }
}

/// Levenshtein distance; long words are far from everything.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 || a.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_in_the_typed_case() {
        let names = ["copy", "cmd", "run", "from"];
        assert_eq!(suggestion("RNU", names), " (did you mean RUN?)");
        assert_eq!(suggestion("cpy", names), " (did you mean copy?)");
        assert_eq!(suggestion("elephant", names), "");
        assert_eq!(suggestion("run", names), "", "the right name is no suggestion");
    }
}
