//! A plain HTTP server, for laptops and for platforms that speak HTTP themselves.
//!
//! Its clients may be hostile: a connection that does not send its request, that sends or takes
//! bytes too slowly, or that is one too many, is closed.

mod connections;
mod hosts;
mod linger;
mod pace;
mod stream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::hosts::Hosts;
use self::{
    connections::{Connections, Place},
    linger::linger,
    stream::Stream,
};
use crate::{
    BoxError, HttpConfig, Jobs, Problem, Result, app::no_sniffing, background, problem::chain,
};

/// How often the sweep runs.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// How long requests may take to be answered with 503 once their time to finish is over, and then
/// how long it may take to undo what they began.
const UNDOING: Duration = Duration::from_secs(5);

/// How long heads that are under way may take to arrive once the process was asked to end: a client
/// that sent half of one must not delay it.
const HEADS: Duration = Duration::from_secs(1);

/// How long the server waits after a connection could not be accepted, for want of descriptors or
/// of memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The answer to a connection that is one too many, without reading what it asks.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// Listens where `config` says, unless that would let strangers write.
pub async fn bind(config: &HttpConfig) -> std::result::Result<TcpListener, BoxError> {
    let host = config.host;
    if !host.is_loopback() && config.api_key.is_none() && !config.allow_anonymous_writes {
        return Err(format!(
            "refusing to listen on {host} without API_KEY: anyone who reaches the port could delete \
             every song (ALLOW_ANONYMOUS_WRITES=true if that is meant)"
        )
        .into());
    }
    let address = SocketAddr::new(host, config.port);
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// Serves `app` over HTTP until the process is asked to end (SIGTERM or SIGINT).
///
/// Then no connection is accepted any more. Requests under way have `config.shutdown` to finish;
/// those that need longer are answered with 503, and what they began is undone.
///
/// Adds `/_/health` (the process is up) and `/_/ready` (the store answers), and sweeps every hour.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    jobs: Arc<dyn Jobs>,
    store: Arc<dyn Store>,
    config: &HttpConfig,
) -> std::result::Result<(), BoxError> {
    let most = connections::most(config.max_connections);
    tracing::info!(address = %listener.local_addr()?, connections = most, "listening");
    let stopping = CancellationToken::new();
    let mut app = Router::new()
        .route("/_/health", get(StatusCode::NO_CONTENT))
        .route("/_/ready", get(ready).with_state(store))
        .fallback_service(app)
        .layer(from_fn_with_state(config.client_timeout, linger));
    // With a key, a page that has its name resolve to this machine gains nothing.
    let hosts = config.allowed_hosts.clone();
    let hosts = match config.api_key {
        Some(_) => hosts.unwrap_or(Hosts::Any),
        None => hosts.unwrap_or(Hosts::Only(Vec::new())),
    };
    app = app
        .layer(from_fn_with_state(Arc::new(hosts), hosts::check))
        .layer(middleware::map_response(no_sniffing))
        .layer(from_fn_with_state(stopping.clone(), until_stopped));
    let server = Server {
        app,
        http: {
            let mut http = http1::Builder::new();
            // Also how long a connection may stay open between two requests.
            http.timer(TokioTimer::new()).header_read_timeout(config.client_timeout);
            http
        },
        connections: Connections::new(most, config.max_connections_per_address),
        patience: config.client_timeout,
        graceful: GracefulShutdown::new(),
    };
    let sweeper = tokio::spawn(sweep(jobs));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        () = server.accept(&listener) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    drop(listener);
    let mut finished = Box::pin(server.graceful.shutdown());
    let for_heads = config.shutdown.min(HEADS);
    if timeout(for_heads, &mut finished).await.is_err() {
        server.connections.close_idle();
        if timeout(config.shutdown.saturating_sub(for_heads), &mut finished).await.is_err() {
            tracing::warn!("requests are under way that take too long: they are answered with 503");
            stopping.cancel();
            if timeout(UNDOING, finished).await.is_err() {
                tracing::warn!("connections are closed in the middle of an answer");
            }
        }
    }
    sweeper.abort();
    background::finish(UNDOING).await;
    Ok(())
}

/// What serves connections.
struct Server {
    app: Router,
    http: http1::Builder,
    connections: Arc<Connections>,
    patience: Duration,
    graceful: GracefulShutdown,
}

impl Server {
    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match self.connections.admit(peer.ip()) {
                Some(place) => self.serve(stream, place),
                None => {
                    tracing::debug!(%peer, "one connection too many");
                    // Closed in any case: the client need not hear why.
                    let _ = stream.try_write(TOO_MANY);
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, place: Place) {
        let connection = place.connection().clone();
        let stream = TokioIo::new(Stream::new(stream, self.patience, connection.clone()));
        let app = TowerToHyperService::new(self.app.clone());
        let client = place.client();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(client);
            let busy = connection.begin();
            let app = app.clone();
            async move {
                let busy = busy.ok_or(io::ErrorKind::ConnectionAborted)?;
                let Ok(response) = app.call(request).await;
                Ok::<_, io::Error>(response.map(|body| busy.with(body)))
            }
        });
        let served = self.graceful.watch(self.http.serve_connection(stream, service));
        tokio::spawn(async move {
            tokio::select! {
                ended = served => if let Err(error) = ended {
                    tracing::debug!(error = chain(&error), "a connection ended");
                },
                () = place.connection().closed() => {
                    tracing::debug!("an idle connection makes room");
                }
            }
        });
    }
}

/// Whether it is the connection that failed, before it was accepted, and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers with 503 once the process cannot wait any longer. The handler is dropped, as it is when
/// its client leaves, and undoes what it began.
async fn until_stopped(
    State(stopping): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = stopping.cancelled() => {
            Problem::unavailable("this process is stopping").into_response()
        }
    }
}

async fn ready(State(store): State<Arc<dyn Store>>) -> Result<StatusCode> {
    match store.ping().await {
        Err(store::Error::Full(_)) => Err(Problem::unavailable("the database has no room left")),
        answer => Ok(answer.map(|()| StatusCode::NO_CONTENT)?),
    }
}

async fn sweep(jobs: Arc<dyn Jobs>) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Each call does a bounded amount of work: it is called until it has looked at everything.
        loop {
            match jobs.sweep().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = chain(error.as_ref()), "sweep failed");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lookup;

    async fn listens(variables: &[(&str, &str)]) -> std::result::Result<TcpListener, BoxError> {
        let lookup = Lookup::new(|name| {
            let given = variables.iter().chain(&[("PORT", "0")]);
            given.into_iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        bind(&HttpConfig::from_lookup(&lookup)?).await
    }

    #[tokio::test]
    async fn strangers_reach_nothing_that_asks_for_no_key_unless_that_is_meant() {
        for host in ["0.0.0.0", "::"] {
            let refused = listens(&[("HOST", host)]).await.expect_err("has no key").to_string();
            assert!(refused.contains("API_KEY"), "{refused}");
            assert!(listens(&[("HOST", host), ("ALLOW_ANONYMOUS_WRITES", "false")]).await.is_err());
        }
        for allowed in [("API_KEY", "a key"), ("ALLOW_ANONYMOUS_WRITES", "true")] {
            listens(&[("HOST", "0.0.0.0"), allowed]).await.expect("is allowed");
        }
        listens(&[("HOST", "127.0.0.1")]).await.expect("is loopback");
    }

    /// Has looked at everything when it was called for the third time.
    struct Large(std::sync::atomic::AtomicUsize);

    #[async_trait::async_trait]
    impl Jobs for Large {
        async fn perform(&self, _: serde_json::Value) -> std::result::Result<(), BoxError> {
            Ok(())
        }

        async fn sweep(&self) -> std::result::Result<bool, BoxError> {
            Ok(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 2)
        }

        async fn catch_up(&self) {}
    }

    #[tokio::test]
    async fn a_sweep_goes_on_until_it_has_looked_at_everything() {
        let jobs = Arc::new(Large(0.into()));
        let sweeping = tokio::spawn(sweep(jobs.clone()));
        // The next one begins in an hour only.
        let third = async {
            while jobs.0.load(std::sync::atomic::Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), third).await.expect("goes on");
        sweeping.abort();
    }
}
