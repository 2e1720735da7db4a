//! Lambda: HTTP events go to the app, all others to the jobs, told apart by their shape.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use lambda_http::request::LambdaRequest;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::ServiceExt;

use crate::{
    BoxError, HttpConfig, Jobs, Problem,
    app::RequestId,
    background,
    lambda_answer::{self, Format},
    lambda_invoke::called_as,
};

/// How long an answer waits for what else is to be done: the gateway waits longer than the function.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How much of an invocation's time is left when no further part of a sweep begins.
const SWEEP_RESERVE: Duration = Duration::from_mins(2);

/// An event that is not HTTP, as far as it must be read to tell what it is.
#[derive(Deserialize)]
struct Shape<'a> {
    /// A job of ours, as [`Dispatch`](crate::Dispatch) sends it.
    #[serde(borrow)]
    segue_job: Option<&'a RawValue>,
    /// What EventBridge calls a scheduled event.
    #[serde(rename = "detail-type")]
    detail_type: Option<&'a str>,
}

pub(crate) async fn run(
    app: Router,
    jobs: Arc<dyn Jobs>,
    config: &HttpConfig,
) -> Result<(), BoxError> {
    keep_memory();
    let limit = config.request_timeout;
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let (app, jobs) = (app.clone(), Arc::clone(&jobs));
        async move { handle(event, app, jobs, limit).await }
    });
    lambda_runtime::run(handler).await
}

/// Has the allocator keep what one answer took for the next.
///
/// glibc gives a free end of the heap back once it is twice as large as the largest block that was
/// taken from the system and freed so far (mallopt(3), "dynamic mmap threshold"). A segment's
/// buffers are larger than what a function has freed before: without this, the system gets the same
/// pages back after each answer and clears them for the next.
fn keep_memory() {
    const LARGEST_ANSWER: usize = 6 * 1024 * 1024;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST_ANSWER)));
}

/// The answer to an HTTP event, `null` to one whose answer nobody waits for.
async fn handle(
    event: LambdaEvent<Box<RawValue>>,
    app: Router,
    jobs: Arc<dyn Jobs>,
    limit: Option<Duration>,
) -> Result<Option<Box<RawValue>>, BoxError> {
    let LambdaEvent { payload, context } = event;
    called_as(&context.invoked_function_arn);
    if let Ok(shape) = serde_json::from_str::<Shape<'_>>(payload.get()) {
        if let Some(job) = shape.segue_job {
            jobs.perform(serde_json::from_str(job.get())?).await?;
            return Ok(None);
        }
        if shape.detail_type == Some("Scheduled Event") {
            // The next one may come to another process, which would begin anew.
            while !jobs.sweep().await? && time_left(&context) > SWEEP_RESERVE {}
            return Ok(None);
        }
    }
    let mut request: LambdaRequest = serde_json::from_str(payload.get())?;
    straighten(&mut request);
    let format = match &request {
        LambdaRequest::ApiGatewayV1(_) => Format::Rest,
        _ => Format::Http,
    };
    let Ok(request) = catch_unwind(AssertUnwindSafe(|| request.into())) else {
        let problem = Problem::bad_request("the request cannot be read");
        return lambda_answer::answer(format, problem.into_response()).await.map(Some);
    };
    let answered = answer(app, request, RequestId(context.request_id), limit).await;
    // The process may be frozen as soon as it has answered.
    background::finish(AFTERMATH).await;
    lambda_answer::answer(format, answered).await.map(Some)
}

fn time_left(context: &Context) -> Duration {
    context.deadline().duration_since(SystemTime::now()).unwrap_or_default()
}

/// Makes the path what the client asked for, in the form that a URI has, and the query as well.
///
/// - REST APIs leave the stage out of the path and `lambda_http` puts it in, although the path of a
///   custom domain has none. Without a stage it leaves the path alone; HTTP APIs have it there.
/// - HTTP APIs decode the path, so that it may hold what no URI can; it panics on some of that.
fn straighten(request: &mut LambdaRequest) {
    let (path, stage) = match request {
        LambdaRequest::ApiGatewayV1(event) => (&mut event.path, &mut event.request_context.stage),
        LambdaRequest::ApiGatewayV2(event) => {
            if let Some(query) = &mut event.raw_query_string {
                *query = encoded(query, b"?");
            }
            (&mut event.raw_path, &mut event.request_context.stage)
        }
        _ => return,
    };
    *stage = None;
    if let Some(path) = path {
        *path = encoded(path, b"");
    }
}

/// `part` of a URI with every byte encoded that stands for itself in no path (RFC 3986 §3.3), save
/// those of `more`. What is encoded already stays as it is.
fn encoded(part: &str, more: &[u8]) -> String {
    let mut uri = String::with_capacity(part.len());
    for (index, byte) in part.bytes().enumerate() {
        let is_encoded = || {
            part.as_bytes()
                .get(index + 1..index + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        if byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@/".contains(&byte)
            || more.contains(&byte)
            || (byte == b'%' && is_encoded())
        {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

async fn answer(
    app: Router,
    request: lambda_http::Request,
    id: RequestId,
    limit: Option<Duration>,
) -> Response {
    let mut request = request.map(|body| match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    });
    request.extensions_mut().insert(id);
    let answer = app.oneshot(request);
    let answer = match limit {
        Some(limit) => tokio::time::timeout(limit, answer).await,
        None => Ok(answer.await),
    };
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(impossible)) => match impossible {},
        Err(_) => Problem::unavailable("this took longer than the gateway waits").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_path_is_encoded_and_an_encoded_one_left_alone() {
        for (path, expected) in [
            ("/songs/a b", "/songs/a%20b"),
            ("/songs/a%20b", "/songs/a%20b"),
            ("/songs?q=1#2", "/songs%3Fq=1%232"),
            ("/100%", "/100%25"),
            ("/100%zz", "/100%25zz"),
            ("/ü", "/%C3%BC"),
        ] {
            assert_eq!(encoded(path, b""), expected);
        }
        assert_eq!(encoded("q=a b&c=<?>", b"?"), "q=a%20b&c=%3C?%3E");
    }
}
