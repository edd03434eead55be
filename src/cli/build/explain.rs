//! `--explain`: what each step's cache look-up said, and `--explain=FILE`: what an edit would run again.

use std::path::Path;

use serde_json::{Value, json};

use super::super::error::CliError;
use super::args::BuildArgs;
use crate::builder::{
    BuildEnv, BuildError, BuildOptions, Difference, Edit, Explanation, Predicted, Reason, Rerun,
    predict_dockerfile, predict_file,
};

/// Values longer than this are cut.
const LONG: usize = 120;

/// Returns a line for a step, and below a miss the fields that differ from the nearest earlier record.
pub fn text(explanation: &Explanation) -> String {
    let name = super::super::render::harmless(&explanation.name);
    match &explanation.reason {
        Reason::Cached => format!("hit   {name}"),
        Reason::NotAllowed => format!("miss  {name}\n        it was to run whatever is known (--no-cache)"),
        Reason::Unknown => format!("miss  {name}\n        nothing like it was built before"),
        Reason::Lost => format!("miss  {name}\n        its result was known, but is gone"),
        Reason::Differs(fields) => {
            let lines: Vec<String> =
                told(fields).map(|field| format!("        {}", difference(field, explanation))).collect();
            format!("miss  {name}\n{}", lines.join("\n"))
        }
    }
}

/// Returns the differences to tell: digests over files only where no file is named.
fn told(fields: &[Difference]) -> impl Iterator<Item = &Difference> {
    let named = |prefix: &str| fields.iter().any(|other| other.field.starts_with(prefix));
    let copies = named("file ");
    fields.iter().filter(move |field| {
        let mount = field.field.strip_prefix("mount ").filter(|number| !number.contains(' '));
        let only_content =
            field.before.as_deref().map(without_content) == field.now.as_deref().map(without_content);
        let by_file = mount.is_some_and(|number| named(&format!("mount {number} file ")));
        let told_below = (field.field == "content" && copies) || (only_content && by_file);
        !told_below
    })
}

/// Returns a mount's description without the digest of its files.
fn without_content(text: &str) -> &str {
    text.split(" content=").next().unwrap_or_default()
}

fn difference(field: &Difference, explanation: &Explanation) -> String {
    let (before, now) = (field.before.as_deref(), field.now.as_deref());
    let name = super::super::render::harmless(&field.field);
    match (before, now) {
        (Some(before), Some(now)) if is_file(&field.field) => format!("{name}: {}", file(before, now)),
        (None, Some(now)) if is_file(&field.field) => format!("{name}: new, {}", whole(now)),
        (Some(before), None) if is_file(&field.field) => format!("{name}: gone, was {}", whole(before)),
        (Some(before), Some(now)) if field.field == "parent" => match &explanation.parent {
            Some(parent) => {
                let parent = super::super::render::harmless(parent);
                format!("parent: {parent} gives something else: was {}, is {}", short(before), short(now))
            }
            None => format!("parent: was {}, is {}", short(before), short(now)),
        },
        _ => format!("{name}: was {}, is {}", quoted(before), quoted(now)),
    }
}

fn is_file(field: &str) -> bool {
    field.starts_with("file ") || (field.starts_with("mount ") && field.contains(" file "))
}

/// The parts of a file's value: type, mode, owner, size, identity of the content or link target.
fn parts(value: &str) -> Vec<&str> {
    value.splitn(5, ' ').collect()
}

fn file(before: &str, now: &str) -> String {
    const NAMES: [&str; 5] = ["type", "mode", "owner", "size", "content"];
    let (before, now) = (parts(before), parts(now));
    if before.len() != NAMES.len() || now.len() != NAMES.len() {
        return format!("was {}, is {}", before.join(" "), now.join(" "));
    }
    let changes = NAMES.iter().zip(before.iter().zip(&now)).filter(|(_, (before, now))| before != now);
    changes
        .map(|(name, (before, now))| format!("{name} was {before}, is {now}"))
        .collect::<Vec<_>>()
        .join("; ")
}

fn whole(value: &str) -> String {
    match parts(value)[..] {
        [kind, mode, owner, size, content] => format!("{kind} {mode} {owner}, {size} bytes, {content}"),
        _ => value.to_owned(),
    }
}

/// Returns the first digits of a digest.
fn short(digest: &str) -> String {
    digest.strip_prefix("sha256:").map_or_else(|| digest.to_owned(), |hex| hex.chars().take(12).collect())
}

fn quoted(value: Option<&str>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(text) if text.chars().count() > LONG => {
            format!("{:?}…", text.chars().take(LONG).collect::<String>())
        }
        Some(text) => format!("{text:?}"),
    }
}

/// Returns a step's look-up as one JSON object.
pub fn object(explanation: &Explanation) -> Value {
    let reason = match &explanation.reason {
        Reason::Cached => return json!({"step": explanation.name, "cached": true}),
        Reason::NotAllowed => "no-cache",
        Reason::Unknown => "unknown",
        Reason::Lost => "lost",
        Reason::Differs(_) => "differs",
    };
    let mut object = json!({"step": explanation.name, "cached": false, "reason": reason});
    if let Some(parent) = &explanation.parent {
        object["parent"] = json!(parent);
    }
    if let Reason::Differs(fields) = &explanation.reason {
        let field = |one: &Difference| json!({"field": one.field, "before": one.before, "now": one.now});
        object["differences"] = fields.iter().map(field).collect();
    }
    object
}

/// Whether `--explain` names a file.
pub fn asks_for_prediction(args: &BuildArgs) -> bool {
    args.explain.as_ref().and_then(Option::as_deref).is_some_and(|file| !file.is_empty())
}

/// Returns what an edit of FILE (or FILE:LINE of the Dockerfile) would run again.
///
/// # Errors
/// The file is neither the Dockerfile nor in the context; or the build is one that can't be planned.
pub fn predict(
    args: &BuildArgs,
    options: &BuildOptions,
    env: BuildEnv<'_>,
    dockerfile: &str,
) -> Result<String, CliError> {
    let asked = args.explain.as_ref().and_then(Option::as_deref).unwrap_or_default();
    let failed = |error: BuildError| CliError::new(super::failure::text(&error, None, ""));
    let (name, line) = match asked.rsplit_once(':') {
        Some((name, line)) if line.parse::<u32>().is_ok() => (name, line.parse::<u32>().ok()),
        _ => (asked, None),
    };
    let mut edits = Vec::new();
    if same_file(name, dockerfile) || name == options.source.name() {
        edits = predict_dockerfile(options, env, line).map_err(failed)?;
        if edits.is_empty() {
            let line = line.unwrap_or_default();
            return Err(CliError::new(format!("ERROR: {name} has no instruction at line {line}")));
        }
    }
    if line.is_none()
        && let Some(path) = inside(&args.context, asked)
    {
        let edit = predict_file(options, env, &path).map_err(failed)?;
        let matters = edit.steps.iter().any(|step| matters(&step.rerun));
        // A Dockerfile is in the context too; that matters where it is copied.
        if edits.is_empty() || matters {
            edits.push(edit);
        }
    }
    if edits.is_empty() {
        return Err(CliError::new(format!("ERROR: {asked} is neither the Dockerfile nor in the context")));
    }
    Ok(match args.explain_format.as_deref() {
        Some("json") => format!("{}\n", edits.iter().map(edit_object).collect::<Value>()),
        _ => edits.iter().map(|edit| edit_text(edit, options)).collect::<Vec<_>>().join("\n"),
    })
}

fn matters(rerun: &Rerun) -> bool {
    matches!(rerun, Rerun::Yes(_) | Rerun::Maybe(_))
}

fn same_file(one: &str, other: &str) -> bool {
    let real = |path: &str| crate::fs::canonical(Path::new(path)).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

/// Returns a file's path below the context: as seen from the working directory, else as named in the context.
fn inside(context: &str, file: &str) -> Option<String> {
    let root = crate::fs::canonical(Path::new(context)).ok()?;
    let path = Path::new(file);
    let real = crate::fs::canonical(path).or_else(|error| match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) if !dir.as_os_str().is_empty() => {
            crate::fs::canonical(dir).map(|dir| dir.join(name))
        }
        _ => Err(error),
    });
    let below = real.ok().and_then(|real| Some(real.strip_prefix(&root).ok()?.display().to_string()));
    below.or_else(|| path.is_relative().then(|| file.trim_start_matches("./").to_owned()))
}

fn edit_text(edit: &Edit, options: &BuildOptions) -> String {
    let what = super::super::render::harmless(&edit.what);
    let place = edit.span.map(|span| format!("{}:{}: ", options.source.name(), span.first));
    let mut text = format!("edit of {}{what}\n", place.unwrap_or_default());
    let shown: Vec<&Predicted> = match edit.span {
        // With a list for every instruction, only what runs again is worth a line.
        Some(_) => edit.steps.iter().filter(|step| matters(&step.rerun)).collect(),
        None => edit.steps.iter().collect(),
    };
    if !edit.steps.iter().any(|step| matters(&step.rerun)) {
        text += "  no step runs again\n";
    }
    for step in shown {
        let (word, why) = match &step.rerun {
            Rerun::Yes(why) => ("again ", why.as_str()),
            Rerun::Maybe(why) => ("maybe ", why.as_str()),
            Rerun::Anyway => ("anyway", "nothing is known of it now"),
            Rerun::No => ("cached", ""),
        };
        let name = super::super::render::harmless(&step.name);
        text += &format!("  {word}  {name}\n");
        if !why.is_empty() {
            text += &format!("            {}\n", super::super::render::harmless(why));
        }
    }
    text
}

fn edit_object(edit: &Edit) -> Value {
    let step = |step: &Predicted| {
        let (rerun, why) = match &step.rerun {
            Rerun::Yes(why) => ("yes", Some(why)),
            Rerun::Maybe(why) => ("maybe", Some(why)),
            Rerun::Anyway => ("anyway", None),
            Rerun::No => ("no", None),
        };
        json!({"step": step.name, "rerun": rerun, "why": why})
    };
    let line = edit.span.map(|span| span.first);
    json!({"edit": edit.what, "line": line, "steps": edit.steps.iter().map(step).collect::<Value>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, before: Option<&str>, now: Option<&str>) -> Difference {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Difference { field: name.to_owned(), before: owned(before), now: owned(now) }
    }

    #[test]
    fn a_miss_names_what_differs() {
        let explanation = Explanation {
            name: "[2/3] COPY src /src".to_owned(),
            parent: Some("[1/3] FROM busybox".to_owned()),
            reason: Reason::Differs(vec![
                field("content", Some("aa"), Some("bb")),
                field("file a", Some("file 0644 0:0 2 12ab"), Some("file 0755 0:0 3 34cd")),
                field("file b", None, Some("file 0644 0:0 1 56ef")),
                field("mount 0", Some("bind x content=1"), Some("bind x content=2")),
                field("mount 0 file s", Some("file 0644 0:0 1 1"), None),
                field("env V", Some("1"), Some("2")),
                field("parent", Some("sha256:0123456789abcdef"), Some("sha256:fedcba9876543210")),
            ]),
        };
        let expected = "\
miss  [2/3] COPY src /src
        file a: mode was 0644, is 0755; size was 2, is 3; content was 12ab, is 34cd
        file b: new, file 0644 0:0, 1 bytes, 56ef
        mount 0 file s: gone, was file 0644 0:0, 1 bytes, 1
        env V: was \"1\", is \"2\"
        parent: [1/3] FROM busybox gives something else: was 0123456789ab, is fedcba987654";
        assert_eq!(text(&explanation), expected);
        assert_eq!(object(&explanation)["differences"][5]["now"], "2");
    }
}
