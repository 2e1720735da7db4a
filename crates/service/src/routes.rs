//! Routes, each with the access that it needs.
//!
//! A method cannot be added without an [`Access`], and only [`app`](crate::app()) makes a
//! [`Router`](axum::Router) of [`Routes`]. The check is a layer on the handler itself, so it runs exactly when the
//! handler does: no spelling of a path reaches the one without the other.

use std::convert::Infallible;

use axum::{
    extract::Request,
    handler::Handler,
    http::Method,
    response::IntoResponse,
    routing::{self, MethodFilter, MethodRouter, Route},
};
use tower::{Layer, Service};

/// What a request must show to be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Nothing. Any client and any web page may ask, such as a player that has a stream's URL.
    Open,
    /// The key, if `READ_ACCESS` is `key`. The request reads the library.
    Listen,
    /// The key. The request brings songs in, or follows an upload.
    Add,
    /// The key. The request changes or removes songs that are there.
    Manage,
}

/// The methods of one path.
pub struct Methods<S = ()>(Vec<Endpoint<S>>);

/// One method of one path.
struct Endpoint<S> {
    method: Method,
    access: Access,
    holds_chunk: bool,
    handler: MethodRouter<S>,
}

/// The routes of a function. `S` is the state that their handlers still lack.
pub struct Routes<S = ()>(Vec<Entry<S>>);

/// One path with its methods.
pub(crate) struct Entry<S = ()> {
    pub(crate) path: &'static str,
    /// Whether the path answers with a slash at its end as well.
    pub(crate) is_collection: bool,
    pub(crate) methods: Methods<S>,
}

/// One method of one path, and the access that it needs, for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The path, with `{…}` for its parameters.
    pub path: &'static str,
    /// The method. `HEAD` is declared with `GET`.
    pub method: Method,
    /// The access that it needs.
    pub access: Access,
}

/// `GET` and `HEAD`, with the access that they need.
pub fn get<H, T, S>(access: Access, handler: H) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods(Vec::new()).get(access, handler)
}

/// `HEAD` of what has no `GET`, with the access that it needs.
pub fn head<H, T, S>(access: Access, handler: H) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods(Vec::new()).with(Method::HEAD, MethodFilter::HEAD, access, handler)
}

/// `POST`, with the access that it needs.
pub fn post<H, T, S>(access: Access, handler: H) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods(Vec::new()).post(access, handler)
}

impl<S: Clone + Send + Sync + 'static> Methods<S> {
    fn with<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        access: Access,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let handler = routing::on(filter, handler);
        self.0.push(Endpoint { method, access, holds_chunk: false, handler });
        self
    }

    /// Adds `GET` and `HEAD`.
    #[must_use]
    pub fn get<H, T>(self, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::GET, MethodFilter::GET, access, handler)
    }

    /// Adds `POST`.
    #[must_use]
    pub fn post<H, T>(self, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::POST, MethodFilter::POST, access, handler)
    }

    /// Adds `PUT`.
    #[must_use]
    pub fn put<H, T>(self, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::PUT, MethodFilter::PUT, access, handler)
    }

    /// Adds `PATCH`.
    #[must_use]
    pub fn patch<H, T>(self, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::PATCH, MethodFilter::PATCH, access, handler)
    }

    /// Adds `DELETE`.
    #[must_use]
    pub fn delete<H, T>(self, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::DELETE, MethodFilter::DELETE, access, handler)
    }

    /// Adds `OPTIONS`, for a path that says more than CORS does. It is open: RFC 9110 §9.3.7 has it
    /// tell what can be asked for.
    #[must_use]
    pub fn options<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with(Method::OPTIONS, MethodFilter::OPTIONS, Access::Open, handler)
    }

    /// Declares that answers hold chunks of the store in memory while they are sent, one at a time.
    /// Their number is bounded where clients connect to this process themselves.
    #[must_use]
    pub fn holding_chunks(mut self) -> Self {
        for endpoint in &mut self.0 {
            endpoint.holds_chunk = true;
        }
        self
    }

    fn map<R>(self, change: impl Fn(MethodRouter<S>) -> MethodRouter<R>) -> Methods<R> {
        let changed = self.0.into_iter().map(|endpoint| Endpoint {
            method: endpoint.method,
            access: endpoint.access,
            holds_chunk: endpoint.holds_chunk,
            handler: change(endpoint.handler),
        });
        Methods(changed.collect())
    }
}

impl Methods {
    /// Whether every method is [`Access::Open`].
    pub(crate) fn are_open(&self) -> bool {
        self.0.iter().all(|endpoint| endpoint.access == Access::Open)
    }

    /// One router of all methods. `guard` gets each with the access that it needs and whether its
    /// answers hold chunks.
    pub(crate) fn into_router(
        self,
        guard: impl Fn(MethodRouter, Access, bool) -> MethodRouter,
    ) -> MethodRouter {
        self.0.into_iter().fold(MethodRouter::new(), |all, endpoint| {
            all.merge(guard(endpoint.handler, endpoint.access, endpoint.holds_chunk))
        })
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a path, in axum's syntax, with its methods.
    #[must_use]
    pub fn route(mut self, path: &'static str, methods: Methods<S>) -> Self {
        self.0.push(Entry { path, is_collection: false, methods });
        self
    }

    /// Adds the path of a collection, such as `/songs`, with its methods. It answers with and without
    /// a slash at its end: clients put together their URLs in either way, and a redirect would lose
    /// the body of a request.
    #[must_use]
    pub fn collection(mut self, path: &'static str, methods: Methods<S>) -> Self {
        self.0.push(Entry { path, is_collection: true, methods });
        self
    }

    /// Adds all of `other`.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Puts a layer around every handler so far. The access is checked before it runs.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.map(|methods| methods.map(|handler| handler.route_layer(layer.clone())))
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state<R>(self, state: S) -> Routes<R> {
        self.map(|methods| methods.map(|handler| handler.with_state(state.clone())))
    }

    fn map<R>(self, change: impl Fn(Methods<S>) -> Methods<R>) -> Routes<R> {
        let changed = self.0.into_iter().map(|entry| Entry {
            path: entry.path,
            is_collection: entry.is_collection,
            methods: change(entry.methods),
        });
        Routes(changed.collect())
    }

    /// What is declared.
    #[must_use]
    pub fn table(&self) -> Vec<Declared> {
        let routes = self.0.iter().flat_map(|entry| {
            entry.methods.0.iter().map(|endpoint| Declared {
                path: entry.path,
                method: endpoint.method.clone(),
                access: endpoint.access,
            })
        });
        routes.collect()
    }
}

impl Routes {
    /// How many endpoints hold chunks.
    pub(crate) fn holding_chunks(&self) -> usize {
        let endpoints = self.0.iter().flat_map(|entry| &entry.methods.0);
        endpoints.filter(|endpoint| endpoint.holds_chunk).count()
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.0.into_iter()
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}
