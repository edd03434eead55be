//! `search TERM`

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::filter::Filters;
use super::format::{Column, List};
use super::global::Global;
use super::{output, registries, table};
use crate::registry::Found;

/// Search Docker Hub, or the registry that TERM begins with, for images
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for, e.g. debian or localhost:5000/app
    #[arg(value_name = "TERM")]
    pub term: String,
    /// Filter output: stars=N, is-official=BOOL, is-automated=BOOL
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Max number of search results
    #[arg(long, value_name = "INT", default_value_t = 0, hide_default_value = true)]
    pub limit: i64,
    /// Don't truncate output
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value_t = false,
        hide_default_value = true,
        value_name = "BOOL"
    )]
    pub no_trunc: bool,
    /// Only images with at least so many stars (deprecated: --filter stars=N)
    #[arg(short, long, value_name = "INT")]
    pub stars: Option<u64>,
    /// Only automated builds (deprecated: --filter is-automated=true)
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide = true,
        value_name = "BOOL"
    )]
    pub automated: Option<bool>,
}

/// Results when no limit is given.
const LIMIT: i64 = 25;
/// Columns of a cut description.
const DESCRIPTION: usize = 45;

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "Name", title: "NAME" },
    Column { field: "Description", title: "DESCRIPTION" },
    Column { field: "StarCount", title: "STARS" },
    Column { field: "IsOfficial", title: "OFFICIAL" },
    Column { field: "IsAutomated", title: "AUTOMATED" },
];

/// Runs the command.
pub fn run(args: &SearchArgs, global: &Global) -> Result<(), CliError> {
    let mut filter = args.filter.clone();
    if let Some(stars) = args.stars {
        output::talk("Flag --stars has been deprecated, use --filter=stars=3 instead");
        filter.push(format!("stars={stars}"));
    }
    if let Some(automated) = args.automated {
        output::talk("Flag --automated has been deprecated, use --filter=is-automated=true instead");
        if automated {
            filter.push("is-automated=true".to_owned());
        }
    }
    let filters = Filters::parse(&filter, FILTERS)?;
    let found = search(&args.term, args.limit, &filters, global)?;
    let rows = found.iter().map(|one| row(one, args.no_trunc)).collect();
    let default: &[&str] = &["Name", "Description", "StarCount", "IsOfficial"];
    output::data(&List { columns: COLUMNS, default, rows }.render(args.format.as_deref())?)
}

/// What results may be narrowed down by.
pub const FILTERS: &[&str] = &["stars", "is-official", "is-automated"];

/// Asks a registry, with the most stars first; a limit of 0 is the usual one.
///
/// # Errors
/// The registry does not say, the limit is out of range, or a filter's value is none.
pub fn search(term: &str, limit: i64, filters: &Filters, global: &Global) -> Result<Vec<Found>, CliError> {
    let keep = keeper(filters)?;
    let limit = if limit == 0 { LIMIT } else { limit };
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
        CliError::new(format!("Error response from daemon: limit {limit} is outside the range of [1, 100]"))
    })?;
    let (domain, term) = split(term);
    let client = registries::client(global)?;
    let mut found = registries::runtime()?.block_on(client.search(&domain, term, limit))?;
    found.retain(keep);
    found.sort_by_key(|one| std::cmp::Reverse(one.star_count));
    Ok(found)
}

/// Returns which registry is asked.
pub fn domain(term: &str) -> String {
    split(term).0
}

/// Splits the registry off, if the first part looks like one.
fn split(term: &str) -> (String, &str) {
    match term.split_once('/') {
        Some((host, rest))
            if !matches!(host, "docker.io" | "index.docker.io")
                && (host.contains(['.', ':']) || host == "localhost") =>
        {
            (host.to_owned(), rest)
        }
        Some(("docker.io" | "index.docker.io", rest)) => ("docker.io".to_owned(), rest),
        _ => ("docker.io".to_owned(), term.strip_prefix("library/").unwrap_or(term)),
    }
}

fn keeper(filters: &Filters) -> Result<impl Fn(&Found) -> bool + use<>, CliError> {
    let mut stars = 0;
    for value in filters.values("stars") {
        let least = value.parse::<u64>().map_err(|_| {
            CliError::new(format!("Error response from daemon: invalid filter 'stars={value}'"))
        })?;
        stars = stars.max(least);
    }
    let (official, automated) = (filters.boolean("is-official")?, filters.boolean("is-automated")?);
    Ok(move |one: &Found| {
        one.star_count >= stars
            && official.is_none_or(|wanted| wanted == one.is_official)
            && automated.is_none_or(|wanted| wanted == one.is_automated)
    })
}

fn row(one: &Found, whole: bool) -> Map<String, Value> {
    fields([&one.name, &one.description], one.star_count, [one.is_official, one.is_automated], whole)
}

/// Returns a row: name and description, stars, whether it is official and automated.
pub fn fields(
    [name, description]: [&str; 2],
    stars: u64,
    [official, automated]: [bool; 2],
    whole: bool,
) -> Map<String, Value> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\u{1b}', "");
    let description = plain(description);
    let description = if whole { description } else { table::ellipsis(&description, DESCRIPTION) };
    let ok = |yes: bool| if yes { "[OK]" } else { "" };
    let row = json!({
        "Name": plain(name), "Description": description, "StarCount": stars.to_string(),
        "IsOfficial": ok(official), "IsAutomated": ok(automated),
    });
    row.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_may_be_a_registry() {
        for (term, domain, rest) in [
            ("debian", "docker.io", "debian"),
            ("library/debian", "docker.io", "debian"),
            ("user/app", "docker.io", "user/app"),
            ("docker.io/app", "docker.io", "app"),
            ("r.test/app/x", "r.test", "app/x"),
            ("localhost:5000/", "localhost:5000", ""),
        ] {
            assert_eq!(split(term), (domain.to_owned(), rest), "{term}");
        }
    }
}
