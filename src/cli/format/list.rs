//! Rows of a list command: a table, JSON lines, or a template per row.

use serde_json::{Map, Value};

use super::{Missing, Template};
use crate::cli::error::CliError;
use crate::cli::table;

/// A field of a list command's rows.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in templates and JSON.
    pub field: &'static str,
    /// Title in a table's header.
    pub title: &'static str,
}

/// Rows to print.
#[derive(Debug)]
pub struct List<'a> {
    /// All fields that rows have.
    pub columns: &'a [Column],
    /// Fields of the default table.
    pub default: &'a [&'a str],
    /// Objects with the fields.
    pub rows: Vec<Map<String, Value>>,
}

impl List<'_> {
    /// Returns the list in the format of `--format`: none or `table` the default table, `json`
    /// an object a line, `table TEMPLATE` a table of one's own, else a template per row.
    ///
    /// # Errors
    /// The template does not parse or run.
    pub fn render(&self, format: Option<&str>) -> Result<String, CliError> {
        match format.map(str::trim) {
            None | Some("" | "table") => {
                let fields: Vec<String> =
                    self.default.iter().map(|field| format!("{{{{.{field}}}}}")).collect();
                self.table(&fields.join("\t"))
            }
            Some("json") => {
                let lines =
                    self.rows.iter().map(|row| serde_json::to_string(row).expect("JSON serialises") + "\n");
                Ok(lines.collect())
            }
            Some(format) => {
                match format.strip_prefix("table").filter(|rest| rest.starts_with([' ', '\t', '{'])) {
                    Some(template) => self.table(template.trim()),
                    None => self.each(format).map(|lines| lines.concat()),
                }
            }
        }
    }

    fn table(&self, template: &str) -> Result<String, CliError> {
        let parsed = parse(template)?;
        let titles: Map<String, Value> =
            self.columns.iter().map(|c| (c.field.to_owned(), Value::from(c.title))).collect();
        let mut rows = vec![run(&parsed, Value::Object(titles))?];
        for row in &self.rows {
            rows.push(run(&parsed, Value::Object(row.clone()))?);
        }
        Ok(table::layout(&rows))
    }

    fn each(&self, template: &str) -> Result<Vec<String>, CliError> {
        let parsed = parse(template)?;
        self.rows.iter().map(|row| Ok(run(&parsed, Value::Object(row.clone()))? + "\n")).collect()
    }
}

fn parse(template: &str) -> Result<Template, CliError> {
    Template::parse(template)
        .map_err(|error| CliError::new(format!("failed to parse template: {error}")).code(64))
}

fn run(template: &Template, row: Value) -> Result<String, CliError> {
    template
        .render(&row, Missing::Error)
        .map_err(|error| CliError::new(format!("failed to execute template: {error}")))
}
