//! `images --tree`: images with the platforms that they are there for, as docker lays them out.

use serde_json::Value;

use super::{human, output, table};

/// Columns of a terminal where nobody tells how many, and the fewest that are written for.
const WIDTH: usize = 80;
const LEAST: usize = 20;
/// Fewest columns of the names; other columns go before it has fewer.
const NAMES: usize = 12;
/// Blanks between two columns.
const GAP: usize = 3;
/// What an image without a tag is called.
const UNTAGGED: &str = "<untagged>";
/// What stands before a platform, and before the last one.
const BRANCHES: [&str; 2] = ["├─ ", "└─ "];

/// An image and what it is there for.
#[derive(Debug, Default)]
pub struct Image {
    /// Its tags.
    pub names: Vec<String>,
    /// Its numbers.
    pub details: Details,
    /// Its platforms.
    pub platforms: Vec<Child>,
}

/// One platform of an image.
#[derive(Debug, Default)]
pub struct Child {
    /// `os/architecture[/variant]`
    pub platform: String,
    /// Whether it is here.
    pub available: bool,
    /// Its numbers.
    pub details: Details,
}

/// What columns show.
#[derive(Debug, Default)]
pub struct Details {
    /// The first digits of its id.
    pub id: String,
    /// Bytes that it takes here.
    pub disk: u64,
    /// Bytes of what is moved when it is pulled or pushed.
    pub content: u64,
    /// Whether a container uses it.
    pub used: bool,
}

struct Column {
    title: &'static str,
    width: usize,
    right: bool,
}

const COLUMNS: [Column; 4] = [
    Column { title: "ID", width: 12, right: false },
    Column { title: "DISK USAGE", width: 10, right: true },
    Column { title: "CONTENT SIZE", width: 12, right: true },
    Column { title: "EXTRA", width: 5, right: false },
];

impl Image {
    /// Reads an entry of an engine's list; none for one without tag and digest, unless `all` are wanted.
    pub fn of(entry: &Value, all: bool) -> Option<Self> {
        let texts = |key: &str| -> Vec<String> {
            let texts = entry[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.filter(|text| !text.starts_with("<none>")).map(str::to_owned).collect()
        };
        let names = texts("RepoTags");
        if !all && names.is_empty() && texts("RepoDigests").is_empty() {
            return None;
        }
        let bytes = |value: &Value| value.as_u64().unwrap_or(0);
        let manifests = entry["Manifests"].as_array().into_iter().flatten();
        let platforms = manifests.filter(|one| one["Kind"] == "image").map(|one| Child {
            platform: platform(&one["ImageData"]["Platform"]),
            available: one["Available"] == true,
            details: Details {
                id: short(&one["ID"]),
                disk: bytes(&one["Size"]["Total"]),
                content: bytes(&one["Size"]["Content"]),
                used: one["ImageData"]["Containers"].as_array().is_some_and(|all| !all.is_empty()),
            },
        });
        let platforms: Vec<Child> = platforms.collect();
        let details = Details {
            id: short(&entry["Id"]),
            disk: bytes(&entry["Size"]),
            content: platforms.iter().map(|child| child.details.content).sum(),
            used: bytes(&entry["Containers"]) > 0 || platforms.iter().any(|child| child.details.used),
        };
        Some(Self { names, details, platforms })
    }
}

fn short(id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    let bare = id.split_once(':').map_or(id, |(_, digits)| digits);
    bare.get(..12).unwrap_or(bare).to_owned()
}

fn platform(value: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|key| value[key].as_str().unwrap_or_default());
    match parts[0] {
        "" => "unknown".to_owned(),
        _ => parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
    }
}

/// Shows images.
///
/// # Errors
/// Standard output can't be written.
pub fn show(images: &[Image]) -> Result<(), super::error::CliError> {
    use std::io::IsTerminal as _;
    let terminal = std::io::stdout().is_terminal();
    let width = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output::data(&Sheet::new(images, width.filter(|width| *width > 0), terminal && !plain).text(images))
}

/// How a tree is laid out.
struct Sheet {
    /// Columns of the terminal; none where there is none.
    width: Option<usize>,
    coloured: bool,
    names: usize,
    columns: &'static [Column],
}

impl Sheet {
    fn new(images: &[Image], width: Option<usize>, coloured: bool) -> Self {
        let width = width.map(|width| width.max(LEAST));
        let (mut left, mut shown) = (width.unwrap_or(WIDTH), 0);
        for column in &COLUMNS {
            match left.checked_sub(column.width + GAP) {
                Some(rest) if rest >= NAMES => (left, shown) = (rest, shown + 1),
                _ => break,
            }
        }
        let of = |image: &Image| {
            let names = image.names.iter().map(|name| table::width(name));
            // Docker counts the bytes of a branch.
            let platforms = image.platforms.iter().map(|one| one.platform.len() + BRANCHES[0].len());
            names.chain(platforms).max().unwrap_or(UNTAGGED.len())
        };
        let widest = images.iter().map(of).max().unwrap_or(0).max("IMAGE".len());
        Self { width, coloured, names: left.min(widest), columns: &COLUMNS[..shown] }
    }

    fn text(&self, images: &[Image]) -> String {
        let mut out = self.legend();
        let titles = self.columns.iter().map(|column| {
            let title = self.coloured(column.title, "1");
            format!("{}{}", " ".repeat(GAP), padded(&title, column.width, column.right))
        });
        out.push_str(&padded(&self.coloured("IMAGE", "1"), self.names, false));
        out.extend(titles);
        out.push('\n');
        for image in images {
            self.image(&mut out, image);
            out.push('\n');
        }
        out
    }

    fn legend(&self) -> String {
        let legend = match self.coloured {
            true => "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m \x1b[96mInfo → \x1b[0m \x1b[30;106m U \x1b[0m In Use ",
            false => "Info ->  U In Use ",
        };
        let width = self.width.unwrap_or(WIDTH);
        format!("{}{legend}\n\n", " ".repeat(width.saturating_sub(table::width(legend))))
    }

    fn image(&self, out: &mut String, image: &Image) {
        let mut names: Vec<&String> = image.names.iter().collect();
        names.sort_by_key(|name| std::cmp::Reverse(table::width(name)));
        match names.split_last() {
            None => self.row(out, &self.name(UNTAGGED, "2"), &image.details, ""),
            Some((last, above)) => {
                // All but the last have lines of their own.
                for name in above {
                    let name =
                        self.width.map_or_else(|| name.to_string(), |width| table::ellipsis(name, width));
                    out.push_str(&(self.coloured(&name, "34;1") + "\n"));
                }
                self.row(out, &self.name(last, "34;1"), &image.details, "");
            }
        }
        for (n, child) in image.platforms.iter().enumerate() {
            let branch = BRANCHES[usize::from(n + 1 == image.platforms.len())];
            let colour = if child.available { "" } else { "2" };
            self.row(out, &self.name(&format!("{branch}{}", child.platform), colour), &child.details, colour);
        }
    }

    /// A text of the first column.
    fn name(&self, text: &str, colour: &str) -> String {
        padded(&self.coloured(&table::ellipsis(text, self.names), colour), self.names, false)
    }

    fn row(&self, out: &mut String, name: &str, details: &Details, colour: &str) {
        out.push_str(name);
        let used = match (details.used, self.coloured) {
            (true, true) => "\x1b[30;106m U \x1b[0m".to_owned(),
            (true, false) => "U".to_owned(),
            (false, _) => String::new(),
        };
        let numbers = [details.id.clone(), human::size(details.disk), human::size(details.content)];
        let cells = numbers.iter().map(|cell| self.coloured(cell, colour)).chain([used]);
        for (column, cell) in self.columns.iter().zip(cells) {
            out.push_str(&" ".repeat(GAP));
            out.push_str(&padded(&cell, column.width, column.right));
        }
        out.push('\n');
    }

    fn coloured(&self, text: &str, colour: &str) -> String {
        match self.coloured && !colour.is_empty() {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// A text on so many columns.
fn padded(text: &str, width: usize, right: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(table::width(text)));
    if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn images() -> Vec<Image> {
        let one = |platform: Value, available: bool, containers: Value| {
            json!({
                "ID": "sha256:0123456789abcdef", "Kind": "image", "Available": available,
                "Size": { "Total": 12_345_678, "Content": 4_567_890 },
                "ImageData": { "Platform": platform, "Containers": containers },
            })
        };
        let entries = [
            json!({
                "Id": "sha256:fedcba9876543210", "RepoTags": ["one:latest", "example.com:5000/some/long/name:1"],
                "Size": 999, "Containers": 0,
                "Manifests": [
                    one(json!({ "os": "linux", "architecture": "amd64" }), true, json!(["c1"])),
                    one(json!({ "os": "linux", "architecture": "arm", "variant": "v7" }), false, json!([])),
                    { "Kind": "attestation" },
                ],
            }),
            json!({ "Id": "sha256:aa", "RepoTags": ["<none>:<none>"], "RepoDigests": ["x@sha256:aa"] }),
        ];
        entries.iter().filter_map(|entry| Image::of(entry, false)).collect()
    }

    #[test]
    fn a_tree_is_laid_out_as_docker_does() {
        let all = images();
        let shown = Sheet::new(&all, None, false).text(&all);
        let expected = "
                                                              Info ->  U In Use |
|
IMAGE                           ID             DISK USAGE   CONTENT SIZE   EXTRA|
example.com:5000/some/long/name:1|
one:latest                      fedcba987654         999B         9.14MB   U    |
├─ linux/amd64                  0123456789ab       12.3MB         4.57MB   U    |
└─ linux/arm/v7                 0123456789ab       12.3MB         4.57MB        |
|
<untagged>                      aa                     0B             0B        |
|
";
        assert_eq!(shown.replace('\n', "|\n"), expected[1..]);
        let narrow = Sheet::new(&all, Some(40), false).text(&all);
        assert!(narrow.contains("\nIMAGE          ID             DISK USAGE\n"), "{narrow}");
        assert!(narrow.contains("\n├─ linux/am…   0123456789ab       12.3MB\n"), "{narrow}");
    }

    #[test]
    fn only_names_and_wishes_show_an_image() {
        let bare = json!({ "Id": "sha256:aa", "RepoTags": [], "RepoDigests": ["<none>@<none>"] });
        assert!(Image::of(&bare, false).is_none() && Image::of(&bare, true).is_some());
    }
}
