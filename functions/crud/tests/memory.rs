//! What a song as JSON costs in memory. One test in a process of its own: it reads the peak of that
//! process, in which the client is as well.

mod support;

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{future::join_all, stream};
use support::{Stage, wav};

const MIB: usize = 1 << 20;

/// A body of `begin`, then `block` until there are `size` bytes, then `end`.
fn body(begin: &str, block: &str, size: usize, end: &str) -> Body {
    let block = Bytes::copy_from_slice(block.as_bytes());
    let count = size / block.len();
    let pieces = std::iter::once(Bytes::copy_from_slice(begin.as_bytes()))
        .chain(std::iter::repeat_n(block, count))
        .chain([Bytes::copy_from_slice(end.as_bytes())]);
    Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)))
}

/// The resident memory of this process, in bytes: at its peak since [`forget_peak`], and now.
fn memory() -> [usize; 2] {
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    ["VmHWM:", "VmRSS:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("is told");
        let kib = line.trim().trim_end_matches(" kB").parse::<usize>().expect("is a number");
        kib * 1024
    })
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("resets the peak");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_takes_no_more_memory_for_being_large_or_hostile() {
    let stage = Stage::new().await;
    let post = |body: Body| {
        let call = stage.call(Method::POST, "/songs").header("content-type", "application/json");
        call.header("prefer", "respond-async").send(body)
    };
    stage.add("name=n&author=a").await;

    let hostile = [
        (r#"{"x":["#, r#"{"":0},"#),
        (r#"{"name":["#, r#"{"":0},"#),
        (r#"{"artists":["#, r#""","#),
        (r#"{"artists":["#, "["),
        (r#"{"name":""#, "aaaaaaaa"),
        (r#"{"name":{"a":"#, r#"{"a":"#),
        (r#"{""#, "aaaaaaaa"),
        ("{", " "),
    ];
    let [_, before] = memory();
    forget_peak();
    let bodies = hostile.map(|(begin, item)| body(begin, &item.repeat(8192), 8 * MIB, "0]}"));
    for answer in join_all(bodies.map(post)).await {
        assert!([400, 413].contains(&answer.status.as_u16()), "{}", answer.text());
    }
    let [peak, _] = memory();
    assert!(peak < before + 16 * MIB, "{before} became {peak}");

    // 45 MB of silence, first as what is no song, which is received and no more, then as a song,
    // which is stored as well, by parts and on several threads.
    let bytes = 45 * MIB;
    let mut header = wav(0.0);
    header[40..44].copy_from_slice(&u32::try_from(bytes).expect("fits").to_le_bytes());
    header.push(0);
    let block = BASE64_STANDARD.encode(vec![0; 48 * 1024]);
    for (header, status, more) in [
        (vec![0; 45], StatusCode::UNPROCESSABLE_ENTITY, 16 * MIB),
        (header, StatusCode::ACCEPTED, 60 * MIB),
    ] {
        let begin = format!(r#"{{"name":"n","song_base64":"{}"#, BASE64_STANDARD.encode(header));
        let [_, before] = memory();
        forget_peak();
        let answer = post(body(&begin, &block, 60 * MIB, r#"","author":"a"}"#)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let [peak, _] = memory();
        assert!(peak < before + more, "{before} became {peak}");
    }
}
