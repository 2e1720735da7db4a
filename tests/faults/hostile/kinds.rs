//! The kinds of hostile file: one function each, from samples and chance to bytes.

use std::iter::repeat_n;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    boxes::{
        aiff, boxed, find_box, flac_block, flac_with, id3, id3_frame, replace_box, synchsafe, wav,
    },
    samples::Samples,
};
use crate::random::Random;

pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Whether it must be refused.
    pub(super) is_no_audio: bool,
    pub(super) make: fn(&Samples, &mut Random) -> Vec<u8>,
}

const fn no_audio(name: &'static str, make: fn(&Samples, &mut Random) -> Vec<u8>) -> Kind {
    Kind { name, is_no_audio: true, make }
}

const fn perhaps(name: &'static str, make: fn(&Samples, &mut Random) -> Vec<u8>) -> Kind {
    Kind { name, is_no_audio: false, make }
}

pub(super) const ALL: [Kind; 30] = [
    no_audio("playlist", playlist),
    no_audio("playlist in a tag's clothes", tagged_playlist),
    no_audio("playlist in a container's clothes", clothed_playlist),
    perhaps("mp4 whose media is elsewhere", mp4_elsewhere),
    perhaps("mp3 with a cover bomb", mp3_cover),
    perhaps("flac with a cover bomb", flac_cover),
    perhaps("claim of hours", claims),
    perhaps("truncated", truncated),
    perhaps("bits flipped", flipped),
    perhaps("beginning damaged", damaged_head),
    perhaps("spliced", spliced),
    perhaps("zeros overwritten", zeroed),
    no_audio("filler", filler),
    no_audio("text", text),
    no_audio("archive or program", archive),
    no_audio("another container", stranger),
    perhaps("video", video),
    perhaps("endless ogg chain", ogg_chain),
    perhaps("ogg pages that lie", ogg_pages),
    perhaps("strange tags", strange_tags),
    perhaps("vorbis comments that lie", comments),
    perhaps("mp4 sizes", mp4_sizes),
    perhaps("mp4 tables", mp4_tables),
    no_audio("mp4 nested", mp4_nested),
    perhaps("wav header", wav_header),
    perhaps("aiff header", aiff_header),
    perhaps("id3 nested", id3_nested),
    perhaps("flac metadata", flac_metadata),
    perhaps("mpeg frames that change", mpeg_frames),
    no_audio("json", json_body),
];

fn playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let target = if random.below(2) == 0 { format!("file://{}", samples.canary) } else { samples.url.clone() };
    let host = samples.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let (address, port) = host.split_once(':').unwrap_or((host, "80"));
    let forms = [
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n"),
        format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"),
        format!("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{target}\"\n#EXTINF:1,\n{target}\n"),
        format!("#EXTM3U\n#EXT-X-MAP:URI=\"{target}\"\n#EXTINF:1,\nconcat:{target}|{target}\n"),
        format!("ffconcat version 1.0\nfile '{target}'\n"),
        format!("ffconcat version 1.0\nfile 'subfile,,start,0,end,0,,:{}'\n", samples.canary),
        format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet mimeType=\"audio/mp4\"><Representation id=\"a\" bandwidth=\"1\"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"),
        format!("v=0\no=- 0 0 IN IP4 {address}\ns=x\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0\n"),
        format!("[playlist]\nFile1={target}\nNumberOfEntries=1\n"),
        format!("<asx version=\"3.0\"><entry><ref href=\"{target}\"/></entry></asx>"),
        format!("RTSPtextRTSP://{host}/x"),
        format!("[Reference]\nRef1={target}\n"),
        format!("FILE \"{}\" WAVE\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n", samples.canary),
        format!("<smil><body><audio src=\"{target}\"/></body></smil>"),
    ];
    random.pick(&forms).clone().into_bytes()
}

fn tagged_playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..=random.below(4) {
        let padding = random.below(3000);
        file.extend(id3(&vec![0; padding]));
    }
    file.extend(playlist(samples, random));
    file
}

fn clothed_playlist(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

/// The data reference of a track names another file (ISO/IEC 14496-12 §8.7.2, and `QuickTime`'s
/// aliases), as a demuxer may be made to open it.
fn mp4_elsewhere(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let path = samples.canary.as_bytes();
    let target = if random.below(2) == 0 { path } else { samples.url.as_bytes() };
    let entry = match random.below(3) {
        0 => boxed(*b"url ", &[&[0; 4], target, &[0]].concat()),
        1 => boxed(*b"urn ", &[&[0; 4], &b"x\0"[..], target, &[0]].concat()),
        _ => {
            // Absolute path and file name, as an alias record has them.
            let mut alias = vec![0; 150];
            alias.extend([0, 2]);
            alias.extend(u16::try_from(path.len()).expect("is short").to_be_bytes());
            alias.extend(path);
            alias.extend([0xff, 0xff, 0, 0]);
            boxed(*b"alis", &[&[0; 4], alias.as_slice()].concat())
        }
    };
    let dref = boxed(*b"dref", &[&[0, 0, 0, 0, 0, 0, 0, 1], entry.as_slice()].concat());
    let way = [*b"moov", *b"trak", *b"mdia", *b"minf", *b"dinf", *b"dref"];
    replace_box(samples.clip("m4a"), &way, &dref)
}

/// A picture of 60,000 pixels either way, in few bytes.
fn bomb(random: &mut Random) -> Vec<u8> {
    let side = [60_000_u32, u32::MAX, 0x7fff_ffff, 0][random.below(4)].to_be_bytes();
    let ihdr = [&b"IHDR"[..], &side, &side, &[16, 6, 0, 0, 1]].concat();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", ihdr.as_slice(), &random.bytes(4000)].concat()
}

fn mp3_cover(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut body = b"\0image/png\0\x03\0".to_vec();
    body.extend(bomb(random));
    body.resize(body.len() + random.below(3) * 1_000_000, 0x55);
    let frames = id3_frame(*b"APIC", &body).repeat(1 + random.below(3));
    [id3(&frames).as_slice(), samples.clip("mp3")].concat()
}

fn flac_cover(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let picture = bomb(random);
    let mut body = 3_u32.to_be_bytes().to_vec();
    body.extend(9_u32.to_be_bytes());
    body.extend(b"image/png");
    body.extend([0; 4]);
    body.extend([0xff; 16]);
    let length = [u32::try_from(picture.len()).expect("is small"), u32::MAX, 0][random.below(3)];
    body.extend(length.to_be_bytes());
    body.extend(picture);
    let block = flac_block(6, body.len(), &body).repeat(1 + random.below(5));
    flac_with(samples.clip("flac"), &block)
}

fn claims(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let far = random.next().to_be_bytes();
    match random.below(5) {
        0 => {
            let mut flac = samples.clip("flac").to_vec();
            flac[21] |= 0x0f;
            flac[22..26].copy_from_slice(&far[..4]);
            flac
        }
        1 => wav(1, 2, 44_100, 4, 16, u32::MAX),
        2 => {
            let mut mp3 = samples.clip("mp3").to_vec();
            if let Some(at) = mp3.windows(4).position(|it| it == b"Xing" || it == b"Info") {
                mp3[at + 8..at + 12].copy_from_slice(&far[..4]);
            }
            mp3
        }
        3 => {
            let mut ogg = samples.clip("ogg").to_vec();
            for at in positions(&ogg, b"OggS") {
                ogg[at + 6..at + 14].copy_from_slice(&far);
            }
            ogg
        }
        _ => {
            let mut mp4 = samples.clip("m4a").to_vec();
            for name in [b"mvhd", b"mdhd", b"tkhd"] {
                for at in positions(&mp4, name) {
                    mp4[at + 16..at + 24].copy_from_slice(&far);
                }
            }
            mp4
        }
    }
}

fn positions(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let all = bytes.windows(text.len() + 24).enumerate();
    all.filter(|(_, window)| window.starts_with(text)).map(|(at, _)| at).collect()
}

fn any<'a>(samples: &'a Samples, random: &mut Random) -> &'a [u8] {
    &random.pick(samples.clips()).1
}

fn truncated(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let whole = any(samples, random);
    let length = if random.below(3) == 0 { random.below(200) } else { random.below(whole.len()) };
    whole[..length.min(whole.len())].to_vec()
}

fn flipped(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    for _ in 0..file.len() / [2000, 200, 20][random.below(3)] + 1 {
        let at = random.below(file.len());
        file[at] ^= 1 << random.below(8);
    }
    file
}

fn damaged_head(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    let head = file.len().min(600);
    for _ in 0..=random.below(12) {
        // What a container is told by stays.
        let at = 12 + random.below(head - 12);
        file[at] = *random.pick(&[0, 0xff, 0x7f, 0x80, 1]);
    }
    file
}

fn spliced(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..2 + random.below(4) {
        let piece = any(samples, random);
        let from = if file.is_empty() { 0 } else { random.below(piece.len()) };
        let to = from + 1 + random.below(piece.len() - from);
        file.extend(&piece[from..to]);
    }
    file
}

fn zeroed(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    let from = random.below(file.len());
    let to = from + random.below(file.len() - from);
    file[from..to].fill(*random.pick(&[0, 0xff]));
    file
}

fn filler(_: &Samples, random: &mut Random) -> Vec<u8> {
    let length = [0, 1, 3, 100, 70_000, 3_000_000][random.below(6)];
    match random.below(3) {
        0 => vec![0; length],
        1 => vec![0xff; length],
        // Random bytes that are seven bits wide hold no frame.
        _ => random.bytes(length).into_iter().map(|byte| byte & 0x7e).collect(),
    }
}

fn text(_: &Samples, random: &mut Random) -> Vec<u8> {
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

fn archive(_: &Samples, random: &mut Random) -> Vec<u8> {
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

fn stranger(samples: &Samples, random: &mut Random) -> Vec<u8> {
    random.pick(samples.strangers()).clone()
}

fn video(samples: &Samples, random: &mut Random) -> Vec<u8> {
    random.pick(samples.films()).clone()
}

fn ogg_chain(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let links = 2 + random.below(150);
    if random.below(2) == 0 {
        let piece = if random.below(2) == 0 { samples.clip("ogg") } else { samples.clip("opus") };
        return piece.repeat(links.min(4_000_000 / piece.len()));
    }
    // Nothing but beginnings, each of another stream.
    let first = samples.clip("ogg");
    let end = first[1..].windows(4).position(|it| it == b"OggS").map_or(58, |at| at + 1);
    let page = |number: usize| {
        let mut page = first[..end].to_vec();
        page[14..18].copy_from_slice(&u32::try_from(number).expect("is small").to_le_bytes());
        page
    };
    (0..links * 50).flat_map(page).collect()
}

fn ogg_pages(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = samples.clip(*random.pick(&["ogg", "opus", "oga"])).to_vec();
    for at in positions(&file.clone(), b"OggS") {
        if random.below(2) == 0 {
            // Flags, serial, sequence, or the number of lacing values.
            let field = at + *random.pick(&[5, 14, 18, 22, 26]);
            file[field] = random.byte();
        }
    }
    file
}

fn strange_tags(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let texts = [
        "\u{1b}[31m\0\u{7}\u{202e}".repeat(50),
        "long ".repeat(400_000),
        "../../../etc/passwd\0".to_owned(),
        "\u{0301}".repeat(100_000),
        "\u{fdfa}".repeat(50_000),
        "\r\nSet-Cookie: x".to_owned(),
        String::new(),
    ];
    let body = [&[3_u8][..], random.pick(&texts).as_bytes()].concat();
    let mut frames = Vec::new();
    for kind in [b"TIT2", b"TPE1", b"TALB", b"TRCK", b"TDRC", b"TXXX"] {
        frames.extend(id3_frame(*kind, &body));
    }
    let clip = if random.below(2) == 0 { "mp3" } else { *random.pick(&["flac", "wav", "aac"]) };
    [id3(&frames).as_slice(), samples.clip(clip)].concat()
}

fn comments(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let count = *random.pick(&[0_u32, 1, 0x7fff_ffff, u32::MAX]);
    let length = *random.pick(&[3_u32, 0xffff_ff00, u32::MAX]);
    let mut body = 4_u32.to_le_bytes().to_vec();
    body.extend(b"mine");
    body.extend(count.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(b"title=".repeat(random.below(20_000)));
    flac_with(samples.clip("flac"), &flac_block(4, body.len(), &body))
}

fn mp4_sizes(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = samples.clip("m4a").to_vec();
    let names: [&[u8]; 10] =
        [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stsz", b"mdat", b"ftyp", b"esds"];
    for _ in 0..=random.below(3) {
        let name = *random.pick(&names);
        let Some(at) = file.windows(4).position(|it| it == name) else { continue };
        let size = *random.pick(&[0_u32, 1, 7, 8, 9, 0x7fff_ffff, u32::MAX]);
        file[at - 4..at].copy_from_slice(&size.to_be_bytes());
        if size == 1 {
            // The size is in the 64 bits that follow.
            let end = (at + 12).min(file.len());
            file[at + 4..end].fill(0xff);
        }
    }
    file
}

fn mp4_tables(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = samples.clip("m4a").to_vec();
    let names: [&[u8]; 8] =
        [b"stts", b"stsc", b"stsz", b"stco", b"stsd", b"elst", b"sgpd", b"sbgp"];
    for _ in 0..=random.below(3) {
        let name = *random.pick(&names);
        for at in positions(&file, name) {
            let value = *random.pick(&[0_u32, 1, 0xffff, 0x0fff_ffff, 0x7fff_ffff, u32::MAX]);
            let field = at + 8 + 4 * random.below(4);
            file[field..field + 4].copy_from_slice(&value.to_be_bytes());
        }
    }
    file
}

fn mp4_nested(_: &Samples, random: &mut Random) -> Vec<u8> {
    let kinds = [*b"moov", *b"trak", *b"udta", *b"meta", *b"moof"];
    let mut file = Vec::new();
    // Within what tables say, deeper than any stack likes.
    for _ in 0..*random.pick(&[100, 3000, 20_000]) {
        let kind = *random.pick(&kinds);
        let mut outer = u32::MAX.to_be_bytes().to_vec();
        outer.extend(kind);
        file.extend(outer);
    }
    let ftyp = boxed(*b"ftyp", b"M4A \0\0\0\0M4A ");
    debug_assert!(find_box(&ftyp, *b"ftyp").is_some());
    [ftyp, boxed(*b"moov", &file)].concat()
}

fn wav_header(_: &Samples, random: &mut Random) -> Vec<u8> {
    let format = *random.pick(&[1, 3, 6, 7, 0xfffe, 0, 0x55, 2]);
    let channels = *random.pick(&[0, 1, 2, 3, 8, 255, 65_535]);
    let rate = *random.pick(&[0, 1, 7, 44_100, 192_000, 10_000_000, 0x7fff_ffff, u32::MAX]);
    let block = *random.pick(&[0, 1, 4, 65_535]);
    let bits = *random.pick(&[0, 1, 7, 8, 16, 24, 64, 65_535]);
    let data = *random.pick(&[0, 3, 80_000, u32::MAX]);
    wav(format, channels, rate, block, bits, data)
}

fn aiff_header(_: &Samples, random: &mut Random) -> Vec<u8> {
    let rates = [
        [0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0],
        [0; 10],
        [0xff; 10],
        [0x7f, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
        [0xc0, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0],
        [0x3f, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0],
        [0x40, 0x3e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    let channels = *random.pick(&[0, 1, 2, 6, 255, 65_535]);
    let frames = *random.pick(&[0, 1, 20_000, u32::MAX]);
    let bits = *random.pick(&[0, 1, 8, 16, 24, 33, 65_535]);
    aiff(channels, frames, bits, *random.pick(&rates))
}

fn id3_nested(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mp3 = samples.clip("mp3");
    match random.below(4) {
        // One within the other.
        0 => {
            let depth = 1 + random.below(60);
            (0..depth).fold(mp3.to_vec(), |inner, _| id3(&id3_frame(*b"TIT2", &inner)))
        }
        // One after the other.
        1 => [id3(&[0; 20]).repeat(random.below(2000)).as_slice(), mp3].concat(),
        2 => [&b"ID3\x04\0\xff"[..], &synchsafe(0x0fff_ffff), mp3].concat(),
        _ => [&b"ID3\x03\0\xc0"[..], &synchsafe(500), &[0xff; 500], mp3].concat(),
    }
}

fn flac_metadata(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let flac = samples.clip("flac");
    match random.below(5) {
        0 => flac_with(flac, &flac_block(1, 0, &[]).repeat(20_000)),
        1 => flac_with(flac, &flac_block(6, 0x00ff_ffff, &[0; 1000])),
        2 => {
            let body = random.bytes(18 * 200);
            flac_with(flac, &flac_block(3, body.len(), &body))
        }
        3 => {
            let length = random.below(5000);
            let body = random.bytes(length);
            flac_with(flac, &flac_block(u8::try_from(7 + random.below(120)).expect("is small"), body.len(), &body))
        }
        _ => {
            // Block sizes, rate, channels and bits of STREAMINFO (RFC 9639 §8.2).
            let mut file = flac.to_vec();
            for _ in 0..=random.below(6) {
                let at = 8 + random.below(14);
                file[at] = random.byte();
            }
            file
        }
    }
}

fn mpeg_frames(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let clip = if random.below(2) == 0 { "mp3" } else { "aac" };
    let clip = samples.clip(clip);
    let mut file = clip.to_vec();
    let second = [0xf1, 0xf9, 0xfb, 0xf3, 0xe3];
    for at in 0..file.len().saturating_sub(7) {
        if file[at] == 0xff && second.contains(&file[at + 1]) && random.below(4) == 0 {
            let field = at + 2 + random.below(2);
            file[field] = random.byte();
        }
    }
    if random.below(3) == 0 {
        let other = if random.below(2) == 0 { "aac" } else { "mp3" };
        file.extend(samples.clip(other));
    }
    file
}

fn json_body(samples: &Samples, random: &mut Random) -> Vec<u8> {
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
        format!("  \n{{\"name\": \"n\", \"author\": \"a\", \"song_base64\": \"{}", "QUFB".repeat(100_000)),
    ];
    random.pick(&forms).clone().into_bytes()
}
