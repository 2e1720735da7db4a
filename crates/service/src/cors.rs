//! CORS: with a key, any page may read and, if it has the key, write. Without one, a page of
//! another origin may read what players need and nothing else.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};
use tower::{Service, ServiceExt};
use tower_http::cors::{Any, CorsLayer};

/// `*` without credentials: the key travels in a header that a page must hold itself, so no page
/// can borrow a visitor's.
pub(crate) fn any_origin() -> CorsLayer {
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let names = [
        "authorization",
        "content-type",
        "content-disposition",
        "cache-control",
        "pragma",
        "x-api-key",
        "if-match",
        "if-none-match",
        "if-range",
        "range",
        "prefer",
        "idempotency-key",
        "tus-resumable",
        "upload-length",
        "upload-offset",
        "upload-metadata",
        "upload-checksum",
        "upload-defer-length",
        "upload-concat",
        "x-http-method-override",
        "x-requested-with",
        // What tracing adds to the requests of a page.
        "x-request-id",
        "traceparent",
        "tracestate",
    ];
    let exposed = [
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "tus-checksum-algorithm",
        "upload-offset",
        "upload-length",
        "upload-metadata",
        "upload-expires",
        "segue-song",
        "x-request-id",
    ];
    let standard = [
        header::LOCATION,
        header::LINK,
        header::ETAG,
        header::RETRY_AFTER,
        header::CONTENT_RANGE,
        header::CONTENT_LENGTH,
        header::ACCEPT_RANGES,
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(methods)
        .allow_headers(names.map(HeaderName::from_static))
        .expose_headers(
            standard.into_iter().chain(exposed.map(HeaderName::from_static)).collect::<Vec<_>>(),
        )
        .max_age(Duration::from_hours(24))
}

/// No page of another origin is told anything.
pub(crate) fn no_origin() -> CorsLayer {
    CorsLayer::new()
}

/// `layer` around one path.
pub(crate) fn around(methods: MethodRouter, layer: CorsLayer) -> MethodRouter {
    methods.clone().layer(layer).layer(from_fn_with_state(methods, options::<MethodRouter>))
}

/// [`any_origin`] around all paths, and around the answer to paths that are not routed.
pub(crate) fn around_all(routes: Router) -> Router {
    routes.clone().layer(any_origin()).layer(from_fn_with_state(routes, options::<Router>))
}

/// `OPTIONS` that is no preflight, of a route that has something to say of itself: the layer would
/// answer in its place.
async fn options<R>(State(routes): State<R>, request: Request, next: Next) -> Response
where
    R: Service<Request, Response = Response, Error = Infallible>,
    R::Future: Send,
{
    let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || is_preflight {
        return next.run(request).await;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = Method::OPTIONS;
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    let mut response = next.run(request).await;
    let Ok(own) = routes.oneshot(copy).await;
    if own.status().is_success() {
        *response.status_mut() = own.status();
        response.headers_mut().extend(own.headers().clone());
    }
    response
}
