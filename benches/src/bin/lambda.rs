//! What a function on Lambda takes, cold and warm, beside a Python function that does the same.
//!
//! Both are run by the emulator of the black-box tests, in turns, so that what else the machine
//! does falls on both. The database is on loopback.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use black_box::{
    binary::{binary, root},
    emulator::{FUNCTION_ARN, Function},
    events,
    http_client::Request,
    songs::{self, Stored},
};
use bytes::Bytes;
use mongodb::bson::{RawDocumentBuf, doc};
use service::BoxError;
use store::testing::TestDatabase;

/// What 6 s at 256 kb/s take.
const SEGMENT_BYTES: usize = 199_000;
const COLD_STARTS: usize = 20;
const ROUNDS: usize = 5;
const INVOCATIONS: usize = 200;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let database = TestDatabase::mongodb();
    let store = store::open(database.url()).await?;
    let song = songs::put(store.as_ref(), "Song", SEGMENT_BYTES).await;
    let request = Request::get(song.under_variant("0.m4s"));
    let event = Bytes::from(events::http_api(&request, "$default").to_string());
    cold(&database, &event, &song).await?;
    warm(&database, &event, &song).await
}

/// The Python function, under the runtime that Lambda has for Python.
async fn python(database: &TestDatabase) -> Function {
    let program = root().join("target/venv/bin/python");
    let folder = root().join("benches/python").display().to_string();
    let variables = [("DATABASE_URL", database.url()), ("PYTHONPATH", &folder)];
    Function::start_program(&program, &["-m", "awslambdaric", "function.handler"], &variables).await
}

async fn streaming(database: &TestDatabase, program: &Path) -> Function {
    let variables = [("DATABASE_URL", database.url()), ("LOG", "warn")];
    Function::start_program(program, &[], &variables).await
}

async fn invoke(function: &Function, event: &Bytes) -> Result<Bytes, BoxError> {
    let answer = function.invoke_raw(FUNCTION_ARN, event.clone()).await;
    answer.map_err(|error| String::from_utf8_lossy(&error).into_owned().into())
}

fn check(answer: &Bytes, song: &Stored) -> Result<(), BoxError> {
    let answer = events::answer(&serde_json::from_slice(answer)?);
    if answer.status != 200 || answer.body != song.segment {
        return Err("the segment is another".into());
    }
    Ok(())
}

/// From the start of the process until it asks for an event, and until it has answered one.
async fn cold(database: &TestDatabase, event: &Bytes, song: &Stored) -> Result<(), BoxError> {
    let program = binary("streaming");
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    for _ in 0..COLD_STARTS {
        for (index, [polled, answered]) in times.iter_mut().enumerate() {
            let started = Instant::now();
            let function = if index == 0 {
                streaming(database, &program).await
            } else {
                python(database).await
            };
            let answer = invoke(&function, event).await?;
            answered.push(started.elapsed());
            polled.push(function.first_poll().await - started);
            check(&answer, song)?;
        }
    }
    let [[our_poll, ours], [their_poll, theirs]] = times.map(|times| times.map(median));
    println!(
        "cold start, median of {COLD_STARTS}, ms: until the first poll, until the first answer"
    );
    println!("  streaming  {our_poll:>8.1} {ours:>8.1}   (aim 15 and 60)");
    println!(
        "  Python     {their_poll:>8.1} {theirs:>8.1}   streaming takes {:.2} of it",
        ours / theirs
    );
    Ok(())
}

/// One segment after the other, by the bare driver, by us and by Python.
async fn warm(database: &TestDatabase, event: &Bytes, song: &Stored) -> Result<(), BoxError> {
    let driver = mongodb::Client::with_uri_str(database.url()).await?;
    let driver = driver.default_database().ok_or("the URL names no database")?;
    let chunks = driver.collection::<RawDocumentBuf>("chunks");
    let key = song.under_variant("0.m4s").trim_start_matches("/stream/").to_owned();
    let ours = streaming(database, &binary("streaming")).await;
    let theirs = python(database).await;
    for function in [&ours, &theirs] {
        for _ in 0..20 {
            check(&invoke(function, event).await?, song)?;
        }
    }
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for _ in 0..INVOCATIONS {
            let started = Instant::now();
            chunks.find_one(doc! { "_id": &key }).await?.ok_or("the segment is missing")?;
            times[0].push(started.elapsed());
        }
        for (index, function) in [&ours, &theirs].into_iter().enumerate() {
            for _ in 0..INVOCATIONS {
                let started = Instant::now();
                invoke(function, event).await?;
                times[index + 1].push(started.elapsed());
            }
        }
    }
    let [bare, ours, theirs] = times.map(median);
    println!("warm, a segment of {SEGMENT_BYTES} bytes, median of {}, ms:", ROUNDS * INVOCATIONS);
    println!("  bare driver {bare:>8.3}");
    println!("  streaming   {ours:>8.3}   {:.2} times the driver (aim 3)", ours / bare);
    println!("  Python      {theirs:>8.3}   streaming takes {:.2} of it (aim 0.50)", ours / theirs);
    Ok(())
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
