//! Songs by parts, through every door.

use black_box::{
    doors::{API_KEY, Door, Doors},
    http_client::{Answer, Request},
    songs,
};

const LIMIT: usize = 4 * 1024 * 1024;

fn request(method: &'static str, target: &str) -> Request {
    Request::new(method, target).header("X-Api-Key", API_KEY).header("Tus-Resumable", "1.0.0")
}

fn part(target: &str, offset: usize, bytes: &[u8]) -> Request {
    request("PATCH", target)
        .header("Upload-Offset", offset.to_string())
        .body("application/offset+octet-stream", bytes.to_vec())
}

async fn begin(door: &Door, length: usize) -> String {
    let create = request("POST", "/uploads")
        .header("Upload-Length", length.to_string())
        .header("Upload-Metadata", "filename dG9uZS53YXY=");
    let answer = door.send(&create).await;
    assert_eq!(answer.status, 201, "{door:?}");
    answer.header("location").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_of_more_than_a_request_may_carry_comes_in_by_parts() {
    let doors = Doors::open(&[]).await;
    let audio = songs::wav(LIMIT + 1_000_000);
    for door in doors.each() {
        let path = begin(door, audio.len()).await;
        assert_eq!(door.send(&part(&path, 0, &audio[..LIMIT])).await.status, 204, "{door:?}");
        let head = door.send(&request("HEAD", &path)).await;
        let told = (head.status, head.header("upload-offset"), head.header("cache-control"));
        assert_eq!(told, (200, "4194304", "no-store"), "{door:?}");
        assert_eq!(door.send(&part(&path, 0, &audio[..10])).await.problem(), "wrong-offset");
        let last = door.send(&part(&path, LIMIT, &audio[LIMIT..])).await;
        assert_eq!(last.status, 204, "{door:?}");
        // Where nobody performs jobs here, the song still is there from now on.
        let song = format!("/songs/{}", last.header("segue-song"));
        let song: Answer = door.send(&Request::get(song)).await;
        assert_eq!(song.status, 200, "{door:?}");
        assert_eq!(song.json()["source"]["bytes"], audio.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_says_the_same_of_the_protocol() {
    let doors = Doors::open(&[]).await;
    let options = doors.ask(Request::new("OPTIONS", "/uploads")).await;
    assert_eq!((options.status, options.header("tus-max-size")), (204, "1073741824"));
    for (request, status) in [
        (Request::new("POST", "/uploads").header("X-Api-Key", API_KEY), 412),
        (request("POST", "/uploads"), 400),
        (request("POST", "/uploads").header("Upload-Length", "1073741825"), 413),
        (request("HEAD", "/uploads/none"), 404),
        (part("/uploads/none", 0, b"x"), 404),
        (request("DELETE", "/uploads/none"), 404),
        (Request::new("HEAD", "/uploads/none"), 401),
    ] {
        let answer = doors.ask(request).await;
        assert_eq!(answer.status, status);
    }
    for door in doors.each() {
        let path = begin(door, 2 * LIMIT).await;
        let answer = door.send(&part(&path, 0, &vec![0; LIMIT + 1])).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "part-too-large"), "{door:?}");
        assert!(answer.text().contains("4194304"));
    }
}
