//! "Did you mean": the nearest known word by edit distance.

/// Distance from which words are no longer alike.
const FAR: usize = 3;

/// Returns the option nearest to `typed`, less than three edits away; none for an exact match.
///
/// Without `case_sensitive` the words are compared in lower case and the answer
/// follows the case of `typed`. Of equally near options the first wins.
pub fn suggest<'a>(
    typed: &str,
    options: impl IntoIterator<Item = &'a str>,
    case_sensitive: bool,
) -> Option<String> {
    let fold = |text: &str| if case_sensitive { text.to_owned() } else { text.to_lowercase() };
    // Nothing as long is near to any word that someone would offer here.
    if typed.len() > 1024 {
        return None;
    }
    let wanted = fold(typed);
    let mut best = (FAR, None);
    for option in options {
        let option = fold(option);
        if option == wanted {
            return None;
        }
        let distance = distance(&wanted, &option);
        if distance < best.0 {
            best = (distance, Some(option));
        }
    }
    let best = best.1?;
    let upper = !case_sensitive && typed == typed.to_uppercase() && typed != typed.to_lowercase();
    Some(if upper { best.to_uppercase() } else { best })
}

/// Returns ` (did you mean X?)` for the name that [`suggest`] finds in any case, or nothing.
pub fn suggestion<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    suggest(typed, names, false).map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// Returns the edit distance, or [`FAR`] where it is certainly not less.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= FAR {
        return FAR;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn suggests_the_nearest_in_the_typed_case() {
        let options = ["ADD", "COPY", "FROM", "RUN", "ENTRYPOINT"];
        for (typed, sensitive, expected) in [
            ("FORM", false, Some("FROM")),
            ("form", false, Some("from")),
            ("Frm", false, Some("from")),
            ("RUNN", false, Some("RUN")),
            ("entrypont", false, Some("entrypoint")),
            ("COPY", false, None),
            ("copy", false, None),
            ("copi", true, None),
            ("COPI", true, Some("COPY")),
            ("SOMETHING", false, None),
            ("", false, None),
        ] {
            assert_eq!(suggest(typed, options, sensitive).as_deref(), expected, "{typed}");
        }
    }
}
