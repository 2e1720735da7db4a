//! A plain HTTP server, for laptops and for platforms that speak HTTP themselves.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router, extract::State, http::StatusCode, middleware, routing::get, serve::ListenerExt,
};
use store::Store;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    BoxError, HttpConfig, Jobs, Problem, Result, background, linger::linger, problem::chain,
};

/// How often the sweep runs.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// How long requests under way may take once the process was asked to end.
const GRACE: Duration = Duration::from_secs(20);

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

/// Serves `app` over HTTP until the process is asked to end: requests under way are answered first.
///
/// Adds `/_/health` (the process is up) and `/_/ready` (the store answers), gives up on clients that
/// stop in the middle of a body, and sweeps every hour.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    jobs: Arc<dyn Jobs>,
    store: Arc<dyn Store>,
    config: &HttpConfig,
) -> std::result::Result<(), BoxError> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let app = Router::new()
        .route("/_/health", get(StatusCode::NO_CONTENT))
        .route("/_/ready", get(ready).with_state(store))
        .fallback_service(app)
        .layer(middleware::from_fn_with_state(config.client_timeout, linger));
    let sweeper = tokio::spawn(sweep(jobs));

    // Small answers must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
    });
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        // The receiver is only gone if the server already ended.
        let _ = stopping.send(());
    });
    let server = std::future::IntoFuture::into_future(server);
    tokio::pin!(server);
    let result = tokio::select! {
        result = &mut server => result,
        _ = stopped => timeout(GRACE, server).await.unwrap_or(Ok(())),
    };
    sweeper.abort();
    background::finish(GRACE).await;
    Ok(result?)
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
