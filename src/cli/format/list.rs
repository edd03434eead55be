//! Rows of a list command: a table, JSON lines, or a template per row.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Missing, Template, TemplateError};
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
    pub fn render(self, format: Option<&str>) -> Result<String, CliError> {
        self.render_labelled(format, &[])
    }

    /// Returns the list as [`Self::render`] does, with the rows' labels for the method `Label` of templates.
    ///
    /// # Errors
    /// The template does not parse or run.
    pub fn render_labelled(self, format: Option<&str>, labels: &[&Labels]) -> Result<String, CliError> {
        match format.map(str::trim) {
            None | Some("" | "table") => {
                let fields: Vec<String> =
                    self.default.iter().map(|field| format!("{{{{.{field}}}}}")).collect();
                self.table(&fields.join("\t"), labels)
            }
            Some("json") => {
                let lines =
                    self.rows.iter().map(|row| serde_json::to_string(row).expect("JSON serialises") + "\n");
                Ok(lines.collect())
            }
            Some(format) => {
                match format.strip_prefix("table").filter(|rest| rest.starts_with([' ', '\t', '{'])) {
                    Some(template) => self.table(template.trim(), labels),
                    None => {
                        let lines = self.each(&parse(format)?, labels)?;
                        Ok(lines.into_iter().map(|line| line + "\n").collect())
                    }
                }
            }
        }
    }

    fn table(self, template: &str, labels: &[&Labels]) -> Result<String, CliError> {
        let parsed = parse(template)?;
        let titles: Map<String, Value> =
            self.columns.iter().map(|c| (c.field.to_owned(), Value::from(c.title))).collect();
        let titles = match labels {
            [] => parsed.render(&titles.into(), Missing::Error),
            _ => parsed.render_row(&titles.into(), &label_title),
        };
        let mut rows = vec![titles.map_err(|e| failed(&e))?];
        rows.extend(self.each(&parsed, labels)?);
        Ok(table::layout(&rows))
    }

    fn each(self, template: &Template, labels: &[&Labels]) -> Result<Vec<String>, CliError> {
        let line = |(n, row): (usize, Map<String, Value>)| {
            let row = Value::Object(row);
            let line = match labels.get(n) {
                None => template.render(&row, Missing::Error),
                Some(labels) => {
                    template.render_row(&row, &|key| labels.get(key).cloned().unwrap_or_default())
                }
            };
            line.map_err(|e| failed(&e))
        };
        self.rows.into_iter().enumerate().map(line).collect()
    }
}

/// The labels of a row.
pub type Labels = BTreeMap<String, String>;

/// The title of a column with a label: the last part of its name.
fn label_title(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " ")
}

fn parse(template: &str) -> Result<Template, CliError> {
    Template::parse(template).map_err(|error| CliError::new(format!("failed to parse template: {error}")))
}

fn failed(error: &TemplateError) -> CliError {
    CliError::new(format!("failed to execute template: {error}"))
}
