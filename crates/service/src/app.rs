//! What stands around the routes of either function, or of both in one process.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    Router,
    body::to_bytes,
    extract::{OriginalUri, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    HttpConfig, Problem, Routes,
    auth::{self, Guard},
    budget::{self, Budget},
    cors,
    routes::Entry,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that the platform gave a request. Without one, it gets one of ours.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// `routes` with everything that an answer needs: the base path, problems for what is not routed,
/// the access that each route declares, CORS, a request id and its log line, and 500 in place of a
/// panic.
///
/// `key` is the secret of `config.api_key`, found out.
pub fn app(routes: Routes, config: &HttpConfig, key: Option<&str>) -> Router {
    let guard = Arc::new(Guard::new(key, config.read_access, config.on_lambda));
    // Without a key, only players may ask from pages of other origins.
    let any_origin = !matches!(*guard, Guard::SameOrigin);
    // On Lambda, the gateway before this process takes every answer at once.
    let memory = (!config.on_lambda).then(|| Memory::new(&routes, config.response_memory));
    let mut router = Router::new();
    for Entry { path, is_collection, methods } in routes.into_entries() {
        let is_open = methods.are_open();
        let methods = methods.into_router(|handler, access, holds_chunks| {
            let handler = match &memory {
                Some(memory) => memory.around(handler, holds_chunks),
                None => handler,
            };
            let guard = (Arc::clone(&guard), access);
            handler.route_layer(middleware::from_fn_with_state(guard, auth::check))
        });
        let methods = methods.fallback(method_not_allowed);
        let methods = match any_origin {
            true => methods,
            false if is_open => cors::around(methods, cors::any_origin()),
            false => cors::around(methods, cors::no_origin()),
        };
        if is_collection {
            router = router.route(&format!("{path}/"), methods.clone());
        }
        router = router.route(path, methods);
    }
    let routes = router.fallback(not_found);
    // A custom domain may strip the prefix that a stage's own URL carries: both are the same place.
    let routes = match config.base_path() {
        "" => routes,
        base_path => Router::new().nest(base_path, routes.clone()).fallback_service(routes),
    };
    let routes = routes.layer(middleware::map_response(explained));
    let routes = routes.layer(CatchPanicLayer::custom(panicked));
    let routes = if any_origin { cors::around_all(routes) } else { routes };
    routes.layer(middleware::map_response(no_sniffing)).layer(middleware::from_fn(log))
}

/// The room for bodies: a part for each endpoint that sends chunks, so that slow downloads of one
/// kind take nothing from another, and one part for all other endpoints.
struct Memory {
    part: u64,
    others: Budget,
}

impl Memory {
    fn new(routes: &Routes, bytes: u64) -> Self {
        let part = bytes / (routes.holding_chunks() as u64 + 1);
        Self { part, others: Budget::new(part) }
    }

    fn around(&self, handler: MethodRouter, holds_chunks: bool) -> MethodRouter {
        if holds_chunks {
            let own = Budget::new(self.part);
            handler.route_layer(middleware::from_fn_with_state(own, budget::chunks))
        } else {
            let others = self.others.clone();
            handler.route_layer(middleware::from_fn_with_state(others, budget::whole))
        }
    }
}

/// Browsers take an answer for what its `Content-Type` says, and guess nothing from its bytes.
pub(crate) async fn no_sniffing(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// What the router itself refuses, and says in plain text, as a problem.
async fn explained(response: Response) -> Response {
    const LIMIT: usize = 4096;
    let status = response.status();
    let is_plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || !is_plain {
        return response;
    }
    let text = to_bytes(response.into_body(), LIMIT).await.unwrap_or_default();
    let kind = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        _ => "bad-request",
    };
    Problem::new(status, kind, String::from_utf8_lossy(&text).into_owned()).into_response()
}

async fn not_found(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed(method: Method) -> Problem {
    let detail = format!("{method} is not possible here");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal(std::io::Error::other(message.unwrap_or("panicked").to_owned()))
        .into_response()
}

async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = match request.extensions().get::<RequestId>() {
        Some(RequestId(id)) => id.clone(),
        None => Uuid::now_v7().to_string(),
    };
    let span =
        tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    let status = response.status().as_u16();
    span.in_scope(|| tracing::info!(status, milliseconds, "answered"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
