//! `images`, `tag`, `rmi`, `history`

use serde_json::{Map, Value, json};

use super::rows::{self, filters};
use super::{Engine, list, text};
use crate::cli::container::client_setting;
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::history::{self, HistoryArgs};
use crate::cli::images::{COLUMNS, FILTERS, ImagesArgs, RAW};
use crate::cli::rmi::RmiArgs;
use crate::cli::tag::TagArgs;
use crate::cli::{human, output, table, tree};
use crate::engine::client::{Request, segment};
use crate::image::{Platform, Reference};

/// The path of something of an image.
pub fn path(name: &str, what: &str) -> Result<String, CliError> {
    if name.is_empty() {
        return Err(CliError::new("Error response from daemon: invalid reference format"));
    }
    Ok(format!("/images/{}{what}", segment(name)))
}

/// A platform as the API takes it: an object in JSON.
pub fn platform(given: Option<&str>) -> Result<Option<String>, CliError> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    Platform::parse(text).map(|platform| Some(object(&platform))).map_err(|e| CliError::new(e.to_string()))
}

fn object(platform: &Platform) -> String {
    let mut object = json!({ "os": platform.os, "architecture": platform.architecture });
    if let Some(variant) = &platform.variant {
        object["variant"] = json!(variant);
    }
    object.to_string()
}

/// Runs `images`.
pub fn images(args: &ImagesArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    if args.tree {
        args.check_tree()?;
        engine.needs("--tree", "1.47")?;
    }
    let filters = filters(&args.filters(), Some(FILTERS))?;
    let request = Request::get("/images/json").flag("all", args.all).maybe("filters", filters);
    let found = engine.document(request.flag("manifests", args.tree))?;
    let mut found: Vec<&Value> = list(&found).iter().collect();
    found.sort_by_key(|image| std::cmp::Reverse(image["Created"].as_i64()));
    if args.tree {
        let all = args.wants_unnamed();
        let images: Vec<_> = found.iter().filter_map(|image| tree::Image::of(image, all)).collect();
        return tree::show(&images);
    }
    let rows: Vec<_> = found.iter().flat_map(|image| named(image, args.no_trunc, args.digests)).collect();
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        return output::data(&rows.iter().map(|row| text(&row["ID"]).to_owned() + "\n").collect::<String>());
    }
    let default: &[&str] = if args.digests {
        &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"]
    } else {
        &["Repository", "Tag", "ID", "CreatedSince", "Size"]
    };
    let format = args.format.clone().or_else(|| client_setting(engine.global, "imagesFormat"));
    let format = format.map(|format| match format.trim() {
        "raw" => RAW.replace("DIGEST", if args.digests { "digest: {{.Digest}}\n" } else { "" }),
        _ => format,
    });
    output::data(&List { columns: COLUMNS, default, rows }.render(format.as_deref())?)
}

/// The rows of an image: one for each name.
pub fn named(image: &Value, whole: bool, by_digest: bool) -> Vec<Map<String, Value>> {
    let none = "<none>";
    let created = rows::seconds(&image["Created"]);
    let count = |key: &str| image[key].as_i64().filter(|n| *n >= 0);
    let row = |repository: &str, tag: &str, digest: &str| {
        rows::object(json!({
            "Repository": repository, "Tag": tag, "Digest": digest,
            "ID": rows::id(text(&image["Id"]), whole),
            "CreatedSince": human::ago(created),
            "CreatedAt": human::created_at(created),
            "Size": human::size(image["Size"].as_u64().unwrap_or(0)),
            "Containers": count("Containers").map_or("N/A".to_owned(), |n| n.to_string()),
            "SharedSize": count("SharedSize").map_or("N/A".to_owned(), |n| human::size(n as u64)),
            "UniqueSize": "N/A",
        }))
    };
    let digests: Vec<(&str, &str)> =
        list(&image["RepoDigests"]).iter().filter_map(|name| text(name).rsplit_once('@')).collect();
    let digests: Vec<(&str, &str)> = digests.into_iter().filter(|(name, _)| *name != none).collect();
    let tags: Vec<(&str, &str)> =
        list(&image["RepoTags"]).iter().filter_map(|name| text(name).rsplit_once(':')).collect();
    let tags: Vec<(&str, &str)> = tags.into_iter().filter(|(name, _)| *name != none).collect();
    let digest_of =
        |name: &str| digests.iter().find(|(of, _)| *of == name).map_or(none, |(_, digest)| digest);
    let mut rows: Vec<_> = tags.iter().map(|(name, tag)| row(name, tag, digest_of(name))).collect();
    for (name, digest) in digests.iter().filter(|(name, _)| !tags.iter().any(|(of, _)| of == name)) {
        // A name by digest alone is one only where digests are asked for, or nothing else names the image.
        if by_digest || tags.is_empty() {
            rows.push(row(name, none, digest));
        }
    }
    if rows.is_empty() {
        rows.push(row(none, none, none));
    }
    rows
}

/// Runs `tag`.
pub fn tag(args: &TagArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let target = Reference::parse(&args.target).map_err(|e| {
        let given = &args.target;
        CliError::new(format!("Error parsing reference: {given:?} is not a valid repository/tag: {e}"))
    })?;
    if target.digest().is_some() {
        return Err(CliError::new("refusing to create a tag with a digest reference"));
    }
    let target = target.or_latest();
    let request = Request::post(path(&args.source, "/tag")?)
        .query("repo", target.familiar_repository())
        .query("tag", target.tag().unwrap_or("latest"));
    engine.send(request)?.whole()?;
    Ok(())
}

/// Runs `rmi`: every image is tried.
pub fn rmi(args: &RmiArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let platforms = args.platforms()?;
    if !platforms.is_empty() {
        engine.needs("--platform", "1.50")?;
    }
    let mut failed = false;
    for image in &args.images {
        let request =
            Request::delete(path(image, "")?).flag("force", args.force).flag("noprune", args.no_prune);
        let request = platforms.iter().fold(request, |request, one| request.query("platforms", object(one)));
        match engine.client.document(request) {
            Ok(removed) => {
                for one in list(&removed) {
                    for key in ["Deleted", "Untagged"] {
                        if let Some(name) = one[key].as_str() {
                            output::line(&format!("{key}: {name}"))?;
                        }
                    }
                }
            }
            Err(error) => {
                // With -f a missing image is said and forgiven.
                failed |= !(args.force && error.status() == Some(404));
                output::talk(&CliError::from(error).text);
            }
        }
    }
    if failed { Err(CliError::silent(1)) } else { Ok(()) }
}

/// Runs `history`.
pub fn history(args: &HistoryArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let request =
        Request::get(path(&args.image, "/history")?).maybe("platform", platform(args.platform.as_deref())?);
    let found = engine.document(request)?;
    let row = |entry: &Value| {
        let created = rows::seconds(&entry["Created"]);
        let command = text(&entry["CreatedBy"]).replace('\t', " ");
        let shown = if args.no_trunc { command } else { table::ellipsis(&command.replace('\n', " "), 45) };
        let size = entry["Size"].as_u64().unwrap_or(0);
        rows::object(json!({
            "ID": rows::id(text(&entry["Id"]), args.no_trunc),
            "CreatedSince": if args.human { human::ago(created) } else { history::rfc3339(created) },
            "CreatedAt": history::rfc3339(created),
            "CreatedBy": shown,
            "Size": if args.human { human::size(size) } else { size.to_string() },
            "Comment": text(&entry["Comment"]),
        }))
    };
    let rows: Vec<_> = list(&found).iter().map(row).collect();
    if args.quiet {
        return output::data(&rows.iter().map(|row| text(&row["ID"]).to_owned() + "\n").collect::<String>());
    }
    let default: &[&str] = if args.human {
        &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    } else {
        &["ID", "CreatedAt", "CreatedBy", "Size", "Comment"]
    };
    output::data(&List { columns: history::COLUMNS, default, rows }.render(args.format.as_deref())?)
}
