//! No spelling of a path and no method gets around the key.

use std::collections::BTreeSet;

use black_box::http_client::Request;
use service::{Access, routes::Declared};

use crate::{
    target::{KEY, Target},
    wire::Wire,
};

const METHODS: [&str; 12] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "LINK",
    "PROPFIND", "get",
];

/// What is sent with every request, so that it succeeds wherever the key is not asked for.
const HEADERS: &str = "Host: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 10\r\n\
                       X-HTTP-Method-Override: HEAD\r\nContent-Length: 0\r\n";

/// Other spellings of a path, some of which servers and proxies take for the path itself.
fn spellings(path: &str) -> Vec<String> {
    let bare = path.trim_start_matches('/');
    let first = bare.as_bytes()[0];
    let (folder, last) = path.rsplit_once('/').expect("begins with a slash");
    vec![
        path.to_owned(),
        format!("/{path}"),
        format!("{folder}//{last}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("/%{first:02x}{}", &bare[1..]),
        format!("/%{first:02X}{}", &bare[1..]),
        format!("/%2f{bare}"),
        format!("{folder}%2f{last}"),
        format!("{folder}%5c{last}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/stream/..{path}"),
        format!("/stream/..%2f{bare}"),
        format!("/stream/%2e%2e{path}"),
        format!("{path}/."),
        format!("{path}/x/.."),
        format!("{path};x=y"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}?/stream/x/outputlist.m3u8"),
        format!("http://localhost{path}"),
        path.to_ascii_uppercase(),
    ]
}

fn needs_key(table: &[Declared], path: &str, method: &str, read_access: &str) -> bool {
    // A path that answers GET answers HEAD.
    let is_it = |declared: &&Declared| {
        let is_get = method == "HEAD" && declared.method == "GET";
        declared.path == path && (declared.method == method || is_get)
    };
    table.iter().find(is_it).is_some_and(|declared| match declared.access {
        Access::Open => false,
        Access::Listen => read_access == "key",
        Access::Add | Access::Manage => true,
    })
}

async fn holds(base_path: &str, read_access: &str) {
    let variables = [("API_KEY", KEY), ("READ_ACCESS", read_access), ("BASE_PATH", base_path)];
    let target = Target::new(&variables).await;
    let create = Request::new("POST", "/uploads")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "10")
        .header("X-Api-Key", KEY);
    let upload = target.gateway.send(&create).await.header("segue-song").to_owned();
    let table = [crud::routes().table(), streaming::routes().table()].concat();
    let paths: BTreeSet<&str> = table.iter().map(|declared| declared.path).collect();
    assert!(paths.len() > 10, "{paths:?}");

    let mut wire = Wire::connect(target.gateway.address()).await;
    let (mut asked, mut guarded) = (0, 0);
    for path in paths {
        let id = if path.starts_with("/uploads") { &upload } else { &target.song.id.to_string() };
        let real = path
            .replace("{id}", id)
            .replace("{revision}", &target.song.revision.to_string())
            .replace("{variant}", "128k")
            .replace("{file}", "0.m4s");
        for prefix in BTreeSet::from(["", base_path, "/s", "/x"]) {
            for spelling in spellings(&format!("{prefix}{real}")) {
                for method in METHODS {
                    let declared = needs_key(&table, path, method, read_access);
                    let request = format!("{method} {spelling} HTTP/1.1\r\n{HEADERS}\r\n");
                    if !wire.send(&request).await {
                        wire = Wire::connect(target.gateway.address()).await;
                        assert!(wire.send(&request).await, "sends");
                    }
                    let Some(reply) = wire.reply(method).await else {
                        wire = Wire::connect(target.gateway.address()).await;
                        continue;
                    };
                    if reply.header("connection") == "close" {
                        wire = Wire::connect(target.gateway.address()).await;
                    }
                    asked += 1;
                    // Without its prefix, a path that begins with the prefix is taken for another.
                    let is_ambiguous =
                        prefix.is_empty() && !base_path.is_empty() && real.starts_with(base_path);
                    let asked_path = spelling.split('?').next().unwrap_or_default();
                    let asked_path = asked_path.trim_start_matches("http://localhost");
                    if is_ambiguous && asked_path.trim_end_matches('/') == base_path {
                        // The page, which is open.
                        continue;
                    }
                    let is_itself = spelling == format!("{prefix}{real}")
                        && !is_ambiguous
                        && (prefix.is_empty() || prefix == base_path);
                    if declared && is_itself {
                        guarded += 1;
                        assert_eq!(reply.status, 401, "{request}");
                    } else if declared {
                        let refused = matches!(reply.status, 400 | 401 | 404 | 405);
                        assert!(refused, "{request}{}", reply.head);
                    } else if method != "OPTIONS" && !["GET", "HEAD"].contains(&method) {
                        assert!(!(200..300).contains(&reply.status), "{request}{}", reply.head);
                    }
                }
            }
        }
    }
    println!(
        "{base_path:?}, {read_access}: {asked} requests, {guarded} of them to what needs the key"
    );
    assert!(guarded > 8, "the table says what needs the key");

    // The key opens what it is for.
    for path in ["/songs".to_owned(), target.song.record(), target.original()] {
        let with_and_without = BTreeSet::from(["", base_path]);
        let clear = |prefix: &&str| {
            !prefix.is_empty() || base_path.is_empty() || !path.starts_with(base_path)
        };
        for prefix in with_and_without.into_iter().filter(clear) {
            let request = Request::get(format!("{prefix}{path}")).header("X-Api-Key", KEY);
            assert_eq!(target.gateway.send(&request).await.status, 200, "{prefix}{path}");
        }
    }
    let upload = Request::new("HEAD", format!("/uploads/{upload}"))
        .header("X-Api-Key", KEY)
        .header("Tus-Resumable", "1.0.0");
    assert_eq!(target.gateway.send(&upload).await.status, 200, "the upload is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_gets_around_the_key() {
    for (base_path, read_access) in
        [("/s", "key"), ("", "key"), ("/songs", "key"), ("/s", "public")]
    {
        holds(base_path, read_access).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_routed_tells_nothing_more_without_the_key() {
    let target = Target::new(&[("API_KEY", KEY), ("READ_ACCESS", "key")]).await;
    for method in ["GET", "POST", "DELETE"] {
        let answer = target.gateway.send(&Request::new(method, "/nowhere")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_end_behind_the_key_is_no_part_of_it() {
    let target = Target::new(&[("API_KEY", "correct-horse-battery-staple\n")]).await;
    let post = Request::new("POST", "/songs");
    assert_eq!(target.gateway.send(&post).await.status, 401);
    assert_eq!(target.gateway.send(&post.header("X-Api-Key", KEY)).await.status, 400);
}
