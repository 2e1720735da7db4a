//! Files that are no audio, and say they are.

use std::iter::repeat_n;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::hostile::boxes::id3;
use crate::{hostile::samples::Samples, random::Random};

pub(super) fn playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let target = if random.below(2) == 0 {
        format!("file://{}", samples.canary)
    } else {
        samples.url.clone()
    };
    let host = samples.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let (address, port) = host.split_once(':').unwrap_or((host, "80"));
    let forms = [
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n"),
        format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"),
        format!("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{target}\"\n#EXTINF:1,\n{target}\n"),
        format!("#EXTM3U\n#EXT-X-MAP:URI=\"{target}\"\n#EXTINF:1,\nconcat:{target}|{target}\n"),
        format!("ffconcat version 1.0\nfile '{target}'\n"),
        format!("ffconcat version 1.0\nfile 'subfile,,start,0,end,0,,:{}'\n", samples.canary),
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet mimeType=\"audio/mp4\"><Representation id=\"a\" bandwidth=\"1\"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ),
        format!(
            "v=0\no=- 0 0 IN IP4 {address}\ns=x\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0\n"
        ),
        format!("[playlist]\nFile1={target}\nNumberOfEntries=1\n"),
        format!("<asx version=\"3.0\"><entry><ref href=\"{target}\"/></entry></asx>"),
        format!("RTSPtextRTSP://{host}/x"),
        format!("[Reference]\nRef1={target}\n"),
        format!("FILE \"{}\" WAVE\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n", samples.canary),
        format!("<smil><body><audio src=\"{target}\"/></body></smil>"),
    ];
    random.pick(&forms).clone().into_bytes()
}

pub(super) fn tagged_playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..=random.below(4) {
        let padding = random.below(3000);
        file.extend(id3(&vec![0; padding]));
    }
    file.extend(playlist(samples, random));
    file
}

pub(super) fn clothed_playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let heads: [&[u8]; 8] = [
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02\0\0\0\0\0\0\0\0",
        b"\0\0\0\x14ftypM4A \0\0\0\0M4A ",
        b"FORM\0\0\x10\0AIFF",
        b"RIFF\0\0\x10\0WAVEfmt ",
        b"RF64\xff\xff\xff\xffWAVEds64",
        b"\xff\xfb\x90\x64",
        b"\xff\xf1\x4c\x80\x02\x1f\xfc",
    ];
    [random.pick(&heads), playlist(samples, random).as_slice()].concat()
}

pub(super) fn filler(_: &Samples, random: &mut Random) -> Vec<u8> {
    let length = [0, 1, 3, 100, 70_000, 3_000_000][random.below(6)];
    match random.below(3) {
        0 => vec![0; length],
        1 => vec![0xff; length],
        // Random bytes that are seven bits wide hold no frame.
        _ => random.bytes(length).into_iter().map(|byte| byte & 0x7e).collect(),
    }
}

pub(super) fn text(_: &Samples, random: &mut Random) -> Vec<u8> {
    let texts = [
        "a text that says it is a song\n",
        "<!doctype html><title>404</title><audio src=x>",
        "file:///etc/passwd\r\n",
        "#!/bin/sh\nreboot\n",
        "\u{feff}RIFF WAVE fLaC OggS ID3 ftyp",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    random.pick(&texts).repeat(1 + random.below(5000)).into_bytes()
}

pub(super) fn archive(_: &Samples, random: &mut Random) -> Vec<u8> {
    let heads: [&[u8]; 9] = [
        b"PK\x03\x04\x14\0\0\0\x08\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"\x89PNG\r\n\x1a\n",
        b"\x7fELF\x02\x01\x01\0",
        b"MZ\x90\0\x03\0\0\0",
        b"%PDF-1.7\n",
        b"\xfd7zXZ\0",
        b"GIF89a\x01\0\x01\0",
        b"SQLite format 3\0",
    ];
    let length = random.below(50_000);
    let body = random.bytes(length).into_iter().map(|byte| byte & 0x7e);
    random.pick(&heads).iter().copied().chain(body).collect()
}

pub(super) fn stranger(samples: &Samples, random: &mut Random) -> Vec<u8> {
    random.pick(samples.strangers()).clone()
}

pub(super) fn video(samples: &Samples, random: &mut Random) -> Vec<u8> {
    random.pick(samples.films()).clone()
}

pub(super) fn json_body(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let song = BASE64_STANDARD.encode(playlist(samples, random));
    let nested: String = repeat_n("[", 100_000).collect();
    let forms = [
        json!({ "name": "n", "author": "a", "song_base64": song }).to_string(),
        json!({ "name": "n", "author": "a", "song_base64": "%%%" }).to_string(),
        json!({ "name": "n", "author": "a", "song_base64": "A".repeat(1001) }).to_string(),
        json!({ "name": "n", "author": "a", "song_base64": "" }).to_string(),
        json!({ "name": "n", "author": ["a"], "song_base64": song }).to_string(),
        json!({ "name": "n", "author": "a", "year": 1e300, "song_base64": song }).to_string(),
        format!("{{\"name\": {nested}"),
        format!("{{\"song_base64\": \"{song}\", \"song_base64\": 1}}"),
        format!("{{\"name\": \"{}\"}}", "x".repeat(2_000_000)),
        "{\"name\": \"\\ud800\"}".to_owned(),
        "{".to_owned(),
        format!(
            "  \n{{\"name\": \"n\", \"author\": \"a\", \"song_base64\": \"{}",
            "QUFB".repeat(100_000)
        ),
    ];
    random.pick(&forms).clone().into_bytes()
}
