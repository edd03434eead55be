//! `GET /containers/json`

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::super::container::{Images, Listing, command_line, mounts, places, ports, status};
use super::super::super::containers::size_below;
use super::super::super::filter::Filters;
use super::super::Service;
use crate::containers::{Container, State, in_parallel};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::store::Store;

/// Answers a request.
///
/// # Errors
/// A filter is unknown or its value none.
pub fn list(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    let mut filters = query.filters()?;
    // Older clients have them beside the others.
    for key in ["before", "since"] {
        filters.entry(key.to_owned()).or_default().extend(query.text(key).map(str::to_owned));
    }
    filters.retain(|_, values| !values.is_empty());
    let last = query.number::<i64>("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let filters = Filters::of(filters, Listing::FILTERS)?;
    let store = service.global.store()?;
    let found = Listing { all: query.flag("all"), last, filters }.found(&service.global)?;
    let images = Images::of(store)?;
    let sizes = query.flag("size").then_some(store);
    let entries =
        in_parallel(found.iter().collect(), |(container, state)| entry(container, state, &images, sizes));
    Ok(Answer::json(entries.into()))
}

/// Returns all containers with the place that each takes.
///
/// # Errors
/// The store can't be read.
pub fn with_sizes(service: &Service) -> Result<Value, ApiError> {
    let store = service.global.store()?;
    let found = Listing { all: true, last: None, filters: Filters::default() }.found(&service.global)?;
    let images = Images::of(store)?;
    let one = |(container, state): &(Container, State)| entry(container, state, &images, Some(store));
    Ok(in_parallel(found.iter().collect(), one).into())
}

fn entry(container: &Container, state: &State, images: &Images, sizes: Option<&Store>) -> Value {
    let config = &container.config;
    let image = images.shown(container);
    // What stands for a name that means something else now is the whole id here.
    let short = config.image.trim_start_matches("sha256:").get(..12).unwrap_or_default();
    let image = if image == short && config.image_name != image { config.image.clone() } else { image };
    let mut shown = json!({
        "Id": config.id,
        "Names": [format!("/{}", config.name)],
        "Image": image,
        "ImageID": config.image,
        "Command": command_line(container),
        "Created": config.created.as_second(),
        "Ports": if state.status.is_running() { entry_ports(container, state) } else { json!([]) },
        "Labels": config.labels,
        "State": state.status.word(),
        "Status": status(state),
        "HostConfig": { "NetworkMode": config.network.mode },
        "NetworkSettings": { "Networks": places(config, state) },
        "Mounts": mounts(container),
    });
    if let Some(store) = sizes {
        let own = container.dir().dir("upper").map_or(0, |upper| size_below(&upper, 0));
        let image = config.image.parse().ok().and_then(|id| store.image(id).ok().flatten());
        shown["SizeRw"] = json!(own);
        shown["SizeRootFs"] = json!(own + image.map_or(0, |image| image.size));
    }
    shown
}

/// Returns an object for each place that leads to a port, and for each port that is only exposed.
fn entry_ports(container: &Container, state: &State) -> Value {
    let published = ports::published(state);
    let mut all: Vec<Value> = Vec::new();
    for port in &published {
        let address: IpAddr = port.address;
        all.push(json!({ "IP": address.to_string(), "PrivatePort": port.container, "PublicPort": port.host,
                         "Type": port.protocol.to_string() }));
    }
    for text in &container.config.network.exposed {
        for (port, protocol) in crate::net::parse_exposed(text).unwrap_or_default() {
            if !published.iter().any(|known| (known.container, known.protocol) == (port, protocol)) {
                all.push(json!({ "PrivatePort": port, "Type": protocol.to_string() }));
            }
        }
    }
    all.into()
}
