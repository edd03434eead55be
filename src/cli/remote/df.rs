//! `system df` and `search`

use serde_json::{Value, json};

use super::rows::{self, filters};
use super::{Engine, images, list, ps, text, volumes};
use crate::cli::df::{self, DfArgs};
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::search::{self, SearchArgs};
use crate::cli::{human, output};
use crate::engine::client::Request;

/// What the first table says of a kind of things.
struct Kind {
    name: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

/// Runs `system df`.
pub fn df(args: &DfArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let found = engine.get("/system/df")?;
    if args.verbose {
        return verbose(&found);
    }
    let kinds = [images_of(&found), containers_of(&found), volumes_of(&found), cache_of(&found)];
    let row = |kind: &Kind| {
        let size = kind.size.max(0);
        let reclaimable = kind.reclaimable.max(0);
        let share = if size > 0 { format!(" ({}%)", reclaimable * 100 / size) } else { String::new() };
        let share = if kind.name == "Build Cache" { String::new() } else { share };
        rows::object(json!({
            "Type": kind.name, "TotalCount": kind.total.to_string(), "Active": kind.active.to_string(),
            "Size": human::size(size as u64),
            "Reclaimable": format!("{}{share}", human::size(reclaimable as u64)),
        }))
    };
    let rows = kinds.iter().map(row).collect();
    let default = &["Type", "TotalCount", "Active", "Size", "Reclaimable"];
    output::data(&List { columns: df::COLUMNS, default, rows }.render(args.format.as_deref())?)
}

fn number(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or(0)
}

fn images_of(found: &Value) -> Kind {
    let all = list(&found["Images"]);
    let size = number(found, "LayersSize");
    let used: i64 = all
        .iter()
        .filter(|image| number(image, "Containers") > 0)
        .map(|image| number(image, "Size") - number(image, "SharedSize").max(0))
        .sum();
    let active = all.iter().filter(|image| number(image, "Containers") > 0).count();
    Kind { name: "Images", total: all.len(), active, size, reclaimable: size - used }
}

fn containers_of(found: &Value) -> Kind {
    let all = list(&found["Containers"]);
    let runs = |one: &&Value| ["running", "paused", "restarting"].contains(&text(&one["State"]));
    let sum = |of: &dyn Fn(&&Value) -> bool| all.iter().filter(of).map(|one| number(one, "SizeRw")).sum();
    let (size, idle): (i64, i64) = (sum(&|_| true), sum(&|one| !runs(one)));
    let active = all.iter().filter(runs).count();
    Kind { name: "Containers", total: all.len(), active, size, reclaimable: idle }
}

fn volumes_of(found: &Value) -> Kind {
    let all = list(&found["Volumes"]);
    let used = |one: &&Value| number(&one["UsageData"], "RefCount") > 0;
    let size = |one: &Value| number(&one["UsageData"], "Size").max(0);
    let total = all.iter().map(size).sum();
    let idle = all.iter().filter(|one| !used(one)).map(size).sum();
    let active = all.iter().filter(used).count();
    Kind { name: "Local Volumes", total: all.len(), active, size: total, reclaimable: idle }
}

fn cache_of(found: &Value) -> Kind {
    let all = list(&found["BuildCache"]);
    let used = |one: &&Value| one["InUse"] == true;
    // What is shared belongs to images.
    let own = all.iter().filter(|one| one["Shared"] != true);
    let size = own.clone().map(|one| number(one, "Size")).sum();
    let idle = own.filter(|one| !used(one)).map(|one| number(one, "Size")).sum();
    let active = all.iter().filter(used).count();
    Kind { name: "Build Cache", total: all.len(), active, size, reclaimable: idle }
}

fn verbose(found: &Value) -> Result<(), CliError> {
    let whole_table = |columns: &'static [crate::cli::format::Column], rows| {
        let default: Vec<&str> = columns.iter().map(|column| column.field).collect();
        List { columns, default: &default, rows }.render(None)
    };
    let image_rows = list(&found["Images"]).iter().flat_map(|image| {
        let (size, shared) = (number(image, "Size"), number(image, "SharedSize").max(0));
        images::named(image, false, false).into_iter().map(move |mut row| {
            row.insert("UniqueSize".to_owned(), json!(human::size((size - shared).max(0) as u64)));
            row
        })
    });
    let container_rows = list(&found["Containers"]).iter().map(|one| {
        let mut row = ps::fields(one, false);
        row.insert("Size".to_owned(), json!(human::size(number(one, "SizeRw").max(0) as u64)));
        row.insert("CreatedSince".to_owned(), json!(human::ago(rows::seconds(&one["Created"]))));
        row
    });
    let volume_rows = list(&found["Volumes"]).iter().map(volumes::fields);
    let moment = |value: &Value| text(value).parse().ok();
    let cache_rows = list(&found["BuildCache"]).iter().map(|one| {
        let size = number(one, "Size").max(0) as u64;
        rows::object(json!({
            "ID": text(&one["ID"]).chars().take(12).collect::<String>(),
            "CacheType": text(&one["Type"]), "Size": human::size(size),
            "CreatedSince": human::ago(moment(&one["CreatedAt"])),
            "LastUsedSince": human::ago(moment(&one["LastUsedAt"])),
            "Shared": (one["Shared"] == true).to_string(),
        }))
    });
    let images = whole_table(df::IMAGE_COLUMNS, image_rows.collect())?;
    let containers = whole_table(df::CONTAINER_COLUMNS, container_rows.collect())?;
    let volumes = whole_table(df::VOLUME_COLUMNS, volume_rows.collect())?;
    let cached = whole_table(df::CACHE_COLUMNS, cache_rows.collect())?;
    let cache_size = human::size(cache_of(found).size.max(0) as u64);
    output::data(&format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n\
         {volumes}\nBuild cache usage: {cache_size}\n\n{cached}"
    ))
}

/// Runs `search`.
pub fn search(args: &SearchArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let mut given = args.filter.clone();
    given.extend(args.stars.map(|stars| format!("stars={stars}")));
    let known = ["stars", "is-official", "is-automated"];
    let request = Request::get("/images/search")
        .query("term", &args.term)
        .maybe("limit", (args.limit != 0).then(|| args.limit.to_string()))
        .maybe("filters", filters(&given, Some(&known))?);
    let found = engine.document(request)?;
    let mut found: Vec<&Value> = list(&found).iter().collect();
    found.sort_by_key(|one| std::cmp::Reverse(number(one, "star_count")));
    let row = |one: &&Value| {
        search::fields(
            [text(&one["name"]), text(&one["description"])],
            u64::try_from(number(one, "star_count")).unwrap_or(0),
            [one["is_official"] == true, one["is_automated"] == true],
            args.no_trunc,
        )
    };
    let rows = found.iter().map(row).collect();
    let default: &[&str] = &["Name", "Description", "StarCount", "IsOfficial"];
    output::data(&List { columns: search::COLUMNS, default, rows }.render(args.format.as_deref())?)
}
