//! `--annotation [TYPE[PLATFORM],...:]KEY=VALUE`, and the same as keys of outputs.

use super::super::error::CliError;
use crate::builder::export::{Annotation, Level};
use crate::image::Platform;

/// Reads the values of `--annotation`.
///
/// # Errors
/// One is not of that form; the text is docker's.
pub fn flags(given: &[String]) -> Result<Vec<Annotation>, CliError> {
    let mut found = Vec::new();
    for text in given {
        let error = |why: String| CliError::new(format!("ERROR: failed to build: parse annotations: {why}"));
        found.extend(flag(text).map_err(error)?);
    }
    Ok(found)
}

fn flag(text: &str) -> Result<Vec<Annotation>, String> {
    let (places, pair) = match text.split_once(':') {
        Some((places, pair)) if is_places(places) => (places, pair),
        _ => ("manifest", text),
    };
    let (key, value) =
        pair.split_once('=').ok_or_else(|| format!("invalid annotation {pair:?}, expected key=value"))?;
    places
        .split(',')
        .map(|place| {
            let (level, platform) = self::place(place)?;
            Ok(Annotation { level, platform, key: key.to_owned(), value: value.to_owned() })
        })
        .collect()
}

/// Whether what stands before a colon says what to annotate, rather than being the beginning of a key.
fn is_places(text: &str) -> bool {
    !text.is_empty()
        && text.split(',').all(|place| {
            let (name, rest) = place.split_at(place.find('[').unwrap_or(place.len()));
            !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')
                && (rest.is_empty() || rest.ends_with(']'))
        })
}

/// Reads `TYPE` or `TYPE[PLATFORM]`.
fn place(text: &str) -> Result<(Level, Option<Platform>), String> {
    let (name, platform) = match text.split_once('[') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(']').ok_or_else(|| format!("invalid annotation type {text:?}"))?;
            (name, Some(Platform::parse(inner).map_err(|e| e.to_string())?))
        }
    };
    let level = Level::parse(name).ok_or_else(|| format!("unknown annotation type {name:?}"))?;
    if platform.is_some() && matches!(level, Level::Index | Level::IndexDescriptor) {
        return Err(format!("{name} annotations cannot specify a platform"));
    }
    Ok((level, platform))
}

/// Reads a key of an output, `annotation[-TYPE][[PLATFORM]].KEY`; none if it is another key.
///
/// # Errors
/// It begins like one, and is none.
pub fn output_key(key: &str, value: &str) -> Option<Result<Annotation, String>> {
    let rest = key.strip_prefix("annotation")?;
    if !rest.starts_with(['.', '-', '[']) {
        return None;
    }
    // The platform may hold dots, what follows the bracket is the key.
    let dot = match (rest.find('['), rest.find(']')) {
        (Some(open), Some(close)) if open < close && !rest[..open].contains('.') => {
            rest[close..].find('.').map(|at| close + at)
        }
        _ => rest.find('.'),
    };
    let Some(dot) = dot else { return Some(Err(format!("invalid annotation key {key:?}"))) };
    let (kind, name) = (&rest[..dot], &rest[dot + 1..]);
    let kind = kind.strip_prefix('-').map_or_else(|| format!("manifest{kind}"), str::to_owned);
    Some(place(&kind).map(|(level, platform)| Annotation {
        level,
        platform,
        key: name.to_owned(),
        value: value.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(all: &[Annotation]) -> String {
        let one = |a: &Annotation| {
            let platform = a.platform.as_ref().map(|p| format!("[{p}]")).unwrap_or_default();
            format!("{:?}{platform} {}={}", a.level, a.key, a.value)
        };
        all.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn flags_say_where_they_go() {
        for (text, expected) in [
            ("a=b", Ok("Manifest a=b")),
            ("index:a=b=c", Ok("Index a=b=c")),
            ("index,manifest[linux/arm64]:a=b", Ok("Index a=b; Manifest[linux/arm64] a=b")),
            ("org.x.y:z=1", Ok("Manifest org.x.y:z=1")),
            ("url=http://x", Ok("Manifest url=http://x")),
            ("x", Err("invalid annotation \"x\", expected key=value")),
            ("foo:x=y", Err("unknown annotation type \"foo\"")),
            ("index[linux/arm64]:x=y", Err("index annotations cannot specify a platform")),
        ] {
            let found = flag(text).map(|all| shown(&all));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn keys_of_outputs_say_where_they_go() {
        for (key, expected) in [
            ("annotation.a.b", Some(Ok("Manifest a.b=v"))),
            ("annotation-index.a", Some(Ok("Index a=v"))),
            ("annotation[linux/arm64].a", Some(Ok("Manifest[linux/arm64] a=v"))),
            (
                "annotation-manifest-descriptor[linux/arm/v7].a.b",
                Some(Ok("ManifestDescriptor[linux/arm/v7] a.b=v")),
            ),
            ("annotation-foo.a", Some(Err("unknown annotation type \"foo\""))),
            ("annotation-index", Some(Err("invalid annotation key \"annotation-index\""))),
            ("annotations", None),
        ] {
            let found = output_key(key, "v").map(|one| one.map(|one| shown(&[one])));
            let found = found.as_ref().map(|one| one.as_deref().map_err(String::as_str));
            assert_eq!(found, expected, "{key}");
        }
    }
}
