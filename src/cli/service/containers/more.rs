//! Requests that show what is in containers, and change what they may use.

use std::io::Write as _;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::super::super::container::commit::Commit;
use super::super::super::container::diff;
use super::super::super::container::top::rows;
use super::super::super::container::update::Change;
use super::super::super::filter::Filters;
use super::super::super::prune::{CONTAINER_FILTERS, remove_containers};
use super::super::Service;
use super::create::resources;
use super::fields::Fields;
use super::find;
use crate::causes::chain;
use crate::containers::view;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;
use crate::layers::{PackOptions, pack_tree};

/// `GET /containers/ID/top`
///
/// # Errors
/// It does not run, or ps(1) fails.
pub fn top(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let options = request.query.text("ps_args").unwrap_or("-ef");
    let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    let mut rows = rows(&find(service, id)?, &options)?.into_iter();
    let titles = rows.next().unwrap_or_default();
    Ok(Answer::json(json!({ "Titles": titles, "Processes": rows.collect::<Vec<_>>() })))
}

/// `GET /containers/ID/changes`
///
/// # Errors
/// There is no such container.
pub fn changes(service: &Service, id: &str) -> Result<Answer, ApiError> {
    let found = diff::changes(&find(service, id)?, service.global.store()?)?;
    let shown = found.iter().map(|(path, kind)| {
        let kind = match kind {
            'A' => 1,
            'D' => 2,
            _ => 0,
        };
        json!({ "Path": format!("/{}", path.display()), "Kind": kind })
    });
    Ok(Answer::json(shown.collect()))
}

/// `GET /containers/ID/export`
///
/// # Errors
/// There is no such container, or a layer of its is missing.
pub fn export(service: &Service, id: &str) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    let root = view(&container, service.global.store()?)?;
    Ok(Answer::stream("application/octet-stream", move |output| {
        let mut out = std::io::BufWriter::with_capacity(64 << 10, output);
        pack_tree(&root, &mut out, &PackOptions::default()).map_err(|e| std::io::Error::other(chain(&e)))?;
        out.flush()?;
        container.event("export", &[]);
        Ok(())
    }))
}

/// `POST /commit`
///
/// # Errors
/// There is no such container, a change is none, or the name is.
pub fn commit(service: &Service, mut request: Request) -> Result<Answer, ApiError> {
    let body: Option<Value> = request.json_or_none()?;
    let query = &request.query;
    let Some(id) = query.text("container") else { return Err(ApiError::bad("no container specified")) };
    let container = find(service, id)?;
    let name = query.text("repo").map(|repo| match query.text("tag") {
        Some(tag) => Reference::parse(&format!("{repo}:{tag}")),
        None => Reference::parse(repo),
    });
    let name = name.transpose().map_err(|error| ApiError::bad(error.to_string()))?;
    let text = |key| query.text(key).unwrap_or_default().to_owned();
    let lines = query.all("changes").flat_map(str::lines).filter(|line| !line.trim().is_empty());
    let given = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let config: Map<String, Value> = match body {
        Some(Value::Object(map)) => map.into_iter().filter(|(_, value)| given(value)).collect(),
        _ => Map::new(),
    };
    let wanted = Commit {
        name: name.map(Reference::or_latest),
        author: text("author"),
        comment: text("comment"),
        changes: lines.map(str::to_owned).collect(),
        config,
        pause: query.flag_or("pause", true),
    };
    let made = wanted.make(&container, service.global.store()?)?;
    Ok(Answer::Json(StatusCode::CREATED, json!({ "Id": made.id.to_string() })))
}

/// `POST /containers/ID/update`
///
/// # Errors
/// A value is none, or the container can't be changed so.
pub fn update(service: &Service, id: &str, mut request: Request) -> Result<Answer, ApiError> {
    let body: Value = request.json()?;
    let fields = Fields::of(&body, "UpdateConfig")?;
    let container = find(service, id)?;
    let policy = resources::restart(&fields.object("RestartPolicy")?)?;
    let change = Change::new(&resources::limits(&fields)?, policy.as_deref()).map_err(super::wrong)?;
    Ok(Answer::json(json!({ "Warnings": change.carry_out(container)? })))
}

/// `POST /containers/prune`
///
/// # Errors
/// A filter is unknown.
pub fn prune(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let filters = Filters::of(request.query.filters()?, CONTAINER_FILTERS)?;
    let (ids, bytes) = remove_containers(&service.global, &filters, false)?;
    Ok(Answer::json(json!({ "ContainersDeleted": ids, "SpaceReclaimed": bytes })))
}
