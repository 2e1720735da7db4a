//! Lambda, as a function sees it: the Runtime API, on a port of its own.

use std::{
    collections::HashMap,
    fmt::Write,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path as Parameter, State},
    http::{HeaderMap, Response, StatusCode},
    routing::{get, post},
    serve::ListenerExt,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
};

use crate::{binary::binary, process::Process};

/// How large an event and an answer may be, in bytes: "6 MB" in Lambda's list of quotas.
pub const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// How a function is called unless a test says otherwise: by the alias of the template.
pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:segue:live";

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a function reported in place of an answer.
#[derive(Debug)]
pub struct FunctionError {
    /// What it posted to `/error`.
    pub error: Value,
}

/// A function under the Runtime API. It ends with this value.
pub struct Function {
    process: Process,
    events: mpsc::UnboundedSender<Invocation>,
    first_poll: watch::Receiver<Option<Instant>>,
}

struct Invocation {
    arn: String,
    event: Bytes,
    answer: oneshot::Sender<Result<Bytes, Bytes>>,
}

struct Runtime {
    events: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<Bytes, Bytes>>>>,
    first_poll: watch::Sender<Option<Instant>>,
    number: AtomicU64,
}

impl Function {
    /// Starts one of our functions, with these variables beside those that Lambda sets.
    pub async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_program(&binary(name), &[], variables).await
    }

    /// Starts any program that speaks to the Runtime API.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start_program(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a port");
        let address = listener.local_addr().expect("is bound");
        let (events, queue) = mpsc::unbounded_channel();
        let (poll, first_poll) = watch::channel(None);
        let runtime = Arc::new(Runtime {
            events: AsyncMutex::new(queue),
            waiting: Mutex::default(),
            first_poll: poll,
            number: AtomicU64::new(1),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(runtime);
        // Without it a small packet waits for the acknowledgement of the one before, 40 ms, and
        // hides whatever a function takes.
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("is a socket"));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "segue".into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "7".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769".into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
            ("AWS_SESSION_TOKEN", "token".into()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin".into()),
        ];
        let mut all: HashMap<String, String> =
            lambda.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let process = Process::start(program, arguments, &all.into_iter().collect::<Vec<_>>());
        Self { process, events, first_poll }
    }

    /// Invokes it, and waits for what it answers.
    ///
    /// # Panics
    /// If the event or the answer is larger than Lambda carries, or no JSON; if the process ends.
    pub async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        self.invoke_as(FUNCTION_ARN, event).await
    }

    /// The same, called by a name of the test's choice.
    ///
    /// # Panics
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_as(&self, arn: &str, event: &Value) -> Result<Value, FunctionError> {
        let json = |bytes: Bytes| serde_json::from_slice(&bytes).expect("the answer is JSON");
        let answer = self.invoke_raw(arn, event.to_string().into()).await;
        answer.map(json).map_err(|error| FunctionError { error: json(error) })
    }

    /// The same, with bytes that may be no event at all.
    ///
    /// # Panics
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_raw(&self, arn: &str, event: Bytes) -> Result<Bytes, Bytes> {
        assert!(event.len() <= PAYLOAD_LIMIT, "Lambda carries no event of {} bytes", event.len());
        let (answer, answered) = oneshot::channel();
        self.events
            .send(Invocation { arn: arn.to_owned(), event, answer })
            .expect("the emulator runs");
        let answer = tokio::select! {
            answer = answered => answer.expect("the emulator runs"),
            status = self.process.ended() => {
                panic!("the function ended with {status}:\n{}", self.process.log())
            }
            () = tokio::time::sleep(PATIENCE) => {
                panic!("the function does not answer:\n{}", self.process.log())
            }
        };
        if let Ok(answer) = &answer {
            assert!(
                answer.len() <= PAYLOAD_LIMIT,
                "Lambda carries no answer of {} bytes",
                answer.len()
            );
        }
        answer
    }

    /// When it first asked for an event.
    ///
    /// # Panics
    /// If it ends before.
    pub async fn first_poll(&self) -> Instant {
        let mut polled = self.first_poll.clone();
        let polled = tokio::select! {
            polled = polled.wait_for(Option::is_some) => *polled.expect("the emulator runs"),
            status = self.process.ended() => {
                panic!("the function ended with {status}:\n{}", self.process.log())
            }
        };
        polled.expect("has polled")
    }

    /// The process that it is.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response<Body> {
    runtime.first_poll.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert_with(Instant::now);
        is_first
    });
    let Some(invocation) = runtime.events.lock().await.recv().await else {
        // The test is over, and so is the function.
        return std::future::pending().await;
    };
    let mut id = String::new();
    let number = runtime.number.fetch_add(1, Ordering::Relaxed);
    write!(id, "8476a536-e9f4-11e8-9739-{number:012x}").expect("is a text");
    let deadline = SystemTime::now() + Duration::from_mins(15);
    let deadline = deadline.duration_since(UNIX_EPOCH).expect("is later").as_millis();
    runtime.waiting().insert(id.clone(), invocation.answer);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", invocation.arn)
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
        .body(Body::from(invocation.event))
        .expect("is a response")
}

async fn response(
    State(runtime): State<Arc<Runtime>>,
    Parameter(id): Parameter<String>,
    body: Bytes,
) -> StatusCode {
    runtime.answer(&id, Ok(body))
}

async fn error(
    State(runtime): State<Arc<Runtime>>,
    Parameter(id): Parameter<String>,
    body: Bytes,
) -> StatusCode {
    runtime.answer(&id, Err(body))
}

async fn init_error(headers: HeaderMap, body: Bytes) -> StatusCode {
    let kind = headers.get("lambda-runtime-function-error-type");
    eprintln!("a function did not start: {kind:?}: {}", String::from_utf8_lossy(&body));
    StatusCode::ACCEPTED
}

impl Runtime {
    fn waiting(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Result<Bytes, Bytes>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: &str, answer: Result<Bytes, Bytes>) -> StatusCode {
        let Some(waiting) = self.waiting().remove(id) else { return StatusCode::NOT_FOUND };
        // A test need not wait for the answer.
        let _ = waiting.send(answer);
        StatusCode::ACCEPTED
    }
}
