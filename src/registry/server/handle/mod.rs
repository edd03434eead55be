//! What each place of the API does.

mod blobs;
mod lists;
mod manifests;
mod range;
mod uploads;

use std::net::IpAddr;

pub use blobs::{describe, serve as serve_blob};

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{Answered, Body, Failure, full, set, status};
use super::auth::Need;
use super::names::{Query, percent_decoded};
use super::registry::Registry;
use super::route::{self, BadRoute, Route};
use super::source::Source;
use super::token;

/// A request, taken apart.
pub struct Ask {
    /// GET, HEAD, ...
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its query.
    pub query: Query,
    /// Its body.
    pub body: Source,
    /// Whether the body is said to have no bytes.
    pub is_empty: bool,
    /// Who asks.
    pub peer: IpAddr,
}

impl Ask {
    fn new(request: Request<hyper::body::Incoming>, peer: IpAddr) -> (Self, String) {
        use hyper::body::Body as _;
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let is_empty = body.is_end_stream();
        (
            Self {
                method: parts.method,
                headers: parts.headers,
                query,
                body: Source::body(body),
                is_empty,
                peer,
            },
            path,
        )
    }

    /// Returns a header's text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the number of bytes that the body is said to have.
    pub fn length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }

    /// Whether the answer's body is wanted.
    pub fn wants_body(&self) -> bool {
        self.method != Method::HEAD
    }
}

/// Answers a request.
pub async fn answer(
    registry: &Registry,
    request: Request<hyper::body::Incoming>,
    peer: IpAddr,
) -> Response<Body> {
    let (ask, path) = Ask::new(request, peer);
    let is_head = ask.method == Method::HEAD;
    let mut response = match dispatch(registry, ask, &path).await {
        Ok(response) => response,
        Err(failure) => failure.response(),
    };
    if is_head && response.status().is_client_error() {
        *response.body_mut() = super::answer::no_body();
    }
    set(&mut response, HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    response
}

async fn dispatch(registry: &Registry, ask: Ask, path: &str) -> Answered {
    let decoded = percent_decoded(path).ok_or_else(not_found)?;
    if let Some(users) = registry.token_users().filter(|_| decoded == token::PATH) {
        return match ask.method {
            Method::GET => users.token(&ask).await,
            _ => Err(Failure::unsupported("tokens are asked for with GET")),
        };
    }
    let route = route::parse(&decoded);
    let writes = !matches!(ask.method, Method::GET | Method::HEAD);
    let is_base = matches!(route, Ok(Route::Base));
    let need = Need { writes, base: is_base, name: route.as_ref().ok().and_then(Route::repository) };
    registry.authorize(&ask, &need).await?;
    let route = route.map_err(|why| match why {
        // What can't be there is not there, for those who only look.
        BadRoute::Tag if !writes => Failure::manifest_unknown("invalid tag name"),
        why => bad_route(why),
    })?;
    if writes {
        registry.check_writable(&ask.method, &route)?;
    }
    match (route, ask.method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(base()),
        (Route::Catalog, "GET" | "HEAD") => lists::catalog(registry, &ask).await,
        (Route::Tags(name), "GET" | "HEAD") => lists::tags(registry, &ask, &name).await,
        (Route::Referrers(name, digest), "GET" | "HEAD") => {
            lists::referrers(registry, &ask, &name, &digest).await
        }
        (Route::Manifest(name, what), "GET" | "HEAD") => manifests::get(registry, &ask, &name, what).await,
        (Route::Manifest(name, what), "PUT") => manifests::put(registry, ask, &name, what).await,
        (Route::Manifest(name, what), "DELETE") => manifests::delete(registry, &name, what).await,
        (Route::Blob(name, digest), "GET" | "HEAD") => blobs::get(registry, &ask, &name, &digest).await,
        (Route::Blob(name, digest), "DELETE") => blobs::delete(registry, &name, &digest).await,
        (Route::Uploads(name), "POST") => uploads::begin(registry, ask, &name).await,
        (Route::Upload(name, id), "GET" | "HEAD") => uploads::state(registry, &name, &id).await,
        (Route::Upload(name, id), "PATCH") => uploads::patch(registry, ask, &name, &id).await,
        (Route::Upload(name, id), "PUT") => uploads::put(registry, ask, &name, &id).await,
        (Route::Upload(name, id), "DELETE") => uploads::cancel(registry, &name, &id).await,
        (_, method) => Err(Failure::unsupported(format!("{method} is not supported here"))),
    }
}

fn base() -> Response<Body> {
    let mut response = Response::new(full("{}"));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such place in the registry's API")
}

fn bad_route(why: BadRoute) -> Failure {
    match why {
        BadRoute::Unknown => not_found(),
        BadRoute::Name => Failure::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name"),
        BadRoute::Digest => Failure::digest_invalid("invalid digest"),
        BadRoute::Tag => Failure::new(StatusCode::BAD_REQUEST, "TAG_INVALID", "invalid tag name"),
    }
}

/// Returns an answer that something is accepted and gone.
fn accepted() -> Response<Body> {
    status(StatusCode::ACCEPTED)
}
