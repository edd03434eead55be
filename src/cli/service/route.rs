//! Which family of requests a path belongs to.

use hyper::Method;

use super::{Service, containers, images, networks, system, volumes};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Handler, Request};

/// What only managers of a swarm answer.
const SWARM: &[&str] = &["swarm", "nodes", "services", "tasks", "secrets", "configs"];

impl Handler for Service {
    fn answer(&self, request: Request) -> Result<Answer, ApiError> {
        match request.path.first().map_or("", String::as_str) {
            "containers" | "exec" | "commit" => containers::answer(self, request),
            "images" | "distribution" | "build" | "session" | "grpc" | "auth" => {
                images::answer(self, request)
            }
            "networks" => networks::answer(self, request),
            "volumes" => volumes::answer(self, request),
            first if SWARM.contains(&first) => Err(ApiError::new(
                hyper::StatusCode::SERVICE_UNAVAILABLE,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
                 this node to swarm and try again.",
            )),
            _ => system::answer(self, request),
        }
    }
}

/// The answer to a path that nobody knows.
pub fn not_found() -> ApiError {
    ApiError::not_found("page not found")
}

/// Returns a request's path as words to match, with its method as one.
pub fn words(request: &Request) -> (&'static str, Vec<String>) {
    let method = match request.method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "",
    };
    (method, request.path.clone())
}
