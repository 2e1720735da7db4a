//! `ID3v2`.

use std::io::Write as _;

use tags::{Field, Format};

use crate::build::{
    VERSIONS, Version, be, id3v1, mpeg, read, read_id3, synchsafe, title, unsynchronise,
};

/// The frames of `ID3v2.3` and 2.4, and some of iTunes.
#[rustfmt::skip]
const FRAMES: [&str; 78] = [
    "AENC", "APIC", "ASPI", "CHAP", "COMM", "COMR", "CTOC", "ENCR", "EQU2", "ETCO", "GEOB", "GRID",
    "GRP1", "IPLS", "LINK", "MCDI", "MLLT", "MVNM", "OWNE", "PCNT", "POPM", "POSS", "PRIV", "RBUF",
    "RVA2", "RVAD", "RVRB", "SEEK", "SIGN", "SYLT", "SYTC", "TALB", "TBPM", "TCMP", "TCOM", "TCON",
    "TCOP", "TDAT", "TDEN", "TDLY", "TDOR", "TDRC", "TDRL", "TDTG", "TENC", "TEXT", "TFLT", "TIME",
    "TIPL", "TIT1", "TIT2", "TIT3", "TKEY", "TLAN", "TLEN", "TMCL", "TMED", "TMOO", "TOAL", "TOLY",
    "TOPE", "TORY", "TPE1", "TPE2", "TPOS", "TPUB", "TRCK", "TSOP", "TSRC", "TXXX", "TYER", "UFID",
    "USER", "USLT", "WCOM", "WOAR", "WPUB", "WXXX",
];

/// Those of 2.2, and some that no standard has.
#[rustfmt::skip]
const FRAMES_2_2: [&str; 78] = [
    "BUF", "CNT", "COM", "CRA", "CRM", "EQU", "ETC", "GEO", "GP1", "IPL", "LNK", "MCI", "MLL", "MVI",
    "MVN", "PCS", "PIC", "POP", "REV", "RVA", "SLT", "STC", "TAL", "TBP", "TCM", "TCO", "TCP", "TCR",
    "TDA", "TDY", "TEN", "TFT", "TIM", "TKE", "TLA", "TLE", "TMT", "TOA", "TOF", "TOL", "TOR", "TOT",
    "TP1", "TP2", "TP3", "TP4", "TPA", "TPB", "TRC", "TRD", "TRK", "TS2", "TSA", "TSC", "TSI", "TSP",
    "TSS", "TST", "TT1", "TT2", "TT3", "TXT", "TXX", "TYE", "UFI", "ULT", "WAF", "WAR", "WAS", "WCM",
    "WCP", "WPB", "WXX", "XYZ", "X00", "Z99", "TZZ", "WZZ",
];

/// Ways in which a frame is damaged, each with its name.
fn damages(version: Version, id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let body = |body: &[u8]| version.frame(id, body);
    let sized = |size| version.frame_sized(id, size, 0, b"\0abcdef");
    let flagged = |flags| version.frame_sized(id, 7, flags, b"\0abcdef");
    let mut damages = vec![
        ("encoding byte 9", body(b"\x09text")),
        ("no encoding byte", body(b"text")),
        ("UTF-16 of odd length", body(b"\x01\xff\xfeA\0B")),
        ("UTF-16 without byte order mark", body(b"\x01A\0B\0")),
        ("lone surrogates", body(b"\x01\xff\xfe\0\xd8\0\xd8")),
        ("a lone byte order mark", body(b"\x01\xff")),
        ("invalid UTF-8", body(b"\x03\xc3\x28\xff\xfe")),
        ("nothing but an encoding", body(b"\x01")),
        ("empty", body(b"")),
        ("one byte", body(b"x")),
        ("cut off", sized(45)),
        ("too short a size", sized(2)),
        ("too large a size", sized(if version == Version::Two { 0xff_ffff } else { 0x0fff_ffff })),
    ];
    if version != Version::Two {
        // The bits for compression, encryption and grouping of either version, and all.
        for flags in [0x80, 0x40, 0x20, 0x08, 0x04, 0x02, 0x01, 0xff] {
            damages.push(("flags without what they promise", flagged(flags)));
        }
        let mut frame = sized(7);
        frame[4..8].fill(0xff);
        damages.push(("a size of 4 GiB", frame));
    }
    damages
}

/// lofty-rs#458, #492, #613: one bad frame must not cost the others.
#[test]
fn whatever_frame_is_damaged_the_other_fields_are_read() {
    let mut cases = 0;
    for version in VERSIONS {
        let ids = if version == Version::Two { FRAMES_2_2 } else { FRAMES };
        for id in ids {
            for (damage, frame) in damages(version, id) {
                let good = [("TIT2", "Title"), ("TPE1", "Artist"), ("TALB", "Album")];
                let good = [&good[..], &[("TCON", "Genre"), ("TRCK", "3/12"), ("TDRC", "2001")]];
                let good = good.concat();
                for place in [0, 3, 6] {
                    let frames = good.iter().map(|(id, text)| version.text(id, text));
                    let mut frames = frames.collect::<Vec<_>>();
                    frames.insert(place, frame.clone());
                    let tags = read_id3(&version.tag(&frames));
                    for ((good_id, text), field) in good.iter().zip([
                        Field::Title,
                        Field::Artist,
                        Field::Album,
                        Field::Genre,
                        Field::Track,
                        Field::Recorded,
                    ]) {
                        let text = text.split('/').next().unwrap();
                        let is_same =
                            version.id(good_id) == id || matches!((*good_id, id), ("TDRC", "TYER"));
                        // A damaged frame of the same field may say more, not less.
                        let read = tags.all(field).iter().any(|value| value == text)
                            || is_same && !tags.all(field).is_empty();
                        assert!(
                            read,
                            "{version:?} {id} {damage} at {place}: {field:?} is {:?}",
                            tags.all(field)
                        );
                    }
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 3 * 78 * (13 + 22 + 22));
}

#[test]
fn text_in_every_encoding_is_read() {
    for version in VERSIONS {
        for body in [
            &b"\0J\xf3ga"[..],
            "\0Jóga".as_bytes(),
            b"\x01\xff\xfeJ\0\xf3\0g\0a\0",
            b"\x01\xfe\xff\0J\0\xf3\0g\0a\0\0",
            b"\x01J\0\xf3\0g\0a\0",
            b"\x02\0J\0\xf3\0g\0a",
            "\x03Jóga\0".as_bytes(),
            "\x07Jóga".as_bytes(),
            "Jóga".as_bytes(),
        ] {
            let tags = read_id3(&version.tag(&[version.frame(version.id("TIT2"), body)]));
            assert_eq!(title(&tags), Some("Jóga"), "{version:?} {body:?}");
        }
    }
}

#[test]
fn a_text_that_shows_nothing_gives_way_to_the_next() {
    let version = Version::Four;
    let frames = [version.frame("TIT2", b"\x03\xff\xfe\xff"), version.text("TIT2", "Title")];
    assert_eq!(title(&read_id3(&version.tag(&frames))), Some("Title"));
}

/// navidrome#2623, lofty-rs#265.
#[test]
fn several_artists_are_several_values_and_a_slash_separates_none() {
    for version in VERSIONS {
        for body in [&b"\0Alice\0Bob"[..], b"\x01\xff\xfeA\0l\0i\0c\0e\0\0\0\xff\xfeB\0o\0b\0\0\0"]
        {
            let tags = read_id3(&version.tag(&[version.frame(version.id("TPE1"), body)]));
            assert_eq!(tags.artists(), ["Alice", "Bob"], "{version:?}");
        }
        let tags = read_id3(&version.tag(&[version.text("TPE1", "AC/DC")]));
        assert_eq!(tags.artists(), ["AC/DC"]);
    }
}

#[test]
fn a_credit_is_kept_beside_the_artists_that_it_names() {
    let version = Version::Four;
    let user = |text: &str| version.text("TXXX", text);
    let frames = [version.text("TPE1", "Alice feat. Bob"), user("ARTISTS\0Alice\0Bob")];
    let tags = read_id3(&version.tag(&frames));
    assert_eq!(tags.artists(), ["Alice", "Bob"]);
    assert_eq!(tags.credit(), ["Alice feat. Bob"]);
}

#[test]
fn a_frame_of_its_own_is_believed_before_a_text_of_the_user() {
    let version = Version::Three;
    let frames = [version.text("TXXX", "artist\0Other"), version.text("TPE1", "Artist")];
    assert_eq!(read_id3(&version.tag(&frames)).artists(), ["Artist"]);
    assert_eq!(read_id3(&version.tag(&frames[..1])).artists(), ["Other"]);
}

#[test]
fn the_artist_of_the_album_stands_in_for_that_of_the_song() {
    let version = Version::Three;
    let tags = read_id3(&version.tag(&[version.text("TPE2", "Band")]));
    assert_eq!((tags.artists(), tags.all(Field::Artist)), (&["Band".to_owned()][..], &[][..]));
    let both = [version.text("TPE2", "Band"), version.text("TPE1", "Singer")];
    assert_eq!(read_id3(&version.tag(&both)).artists(), ["Singer"]);
}

#[test]
fn genres_are_named() {
    let version = Version::Three;
    for (text, genres) in [
        ("(4)Eurodisco", &["Eurodisco"][..]),
        ("(4)", &["Disco"]),
        ("17", &["Rock"]),
        ("Rock\0Pop", &["Rock", "Pop"]),
        ("17\x0013", &["Rock", "Pop"]),
    ] {
        let tags = read_id3(&version.tag(&[version.text("TCON", text)]));
        assert_eq!(tags.all(Field::Genre), genres, "{text:?}");
    }
}

/// navidrome#63, navidrome#3800, slimserver#1650.
#[test]
fn the_year_is_that_of_the_recording_else_the_release_else_the_original() {
    for version in [Version::Three, Version::Four] {
        let dates = [
            ("TORY", "1961"),
            ("TDOR", "1962"),
            ("TDRL", "1963"),
            ("TYER", "1964"),
            ("TDRC", "1965"),
        ];
        let year = |dates: &[(&str, &str)]| {
            let frames = dates.iter().map(|(id, date)| version.text(id, date)).collect::<Vec<_>>();
            read_id3(&version.tag(&frames)).year()
        };
        for (id, date) in dates {
            assert_eq!(year(&[(id, date)]), date.parse().ok(), "{version:?} {id}");
        }
        assert_eq!(year(&dates[..3]), Some(1963));
        assert_eq!(year(&dates[..4]), Some(1964));
        assert_eq!(year(&[("TDRC", "unknown"), ("TDOR", "1962")]), Some(1962));
        assert_eq!(year(&[("TDRC", "unknown\x002001/05/04")]), Some(2001));
    }
}

/// `SDL_mixer#476`.
#[test]
fn extended_headers_are_skipped_whatever_size_they_claim() {
    for version in [Version::Three, Version::Four] {
        let frames = [version.text("TIT2", "Title"), version.text("TPE1", "Artist")].concat();
        let headers: [Vec<u8>; 9] = [
            [&be(6)[..], &[0; 6]].concat(),
            [&be(10)[..], &[0x80, 0, 0, 0, 0, 0, 1, 2, 3, 4]].concat(),
            [&synchsafe(6)[..], &[1, 0]].concat(),
            [&synchsafe(12)[..], &[1, 0x20, 5, 1, 2, 3, 4, 5]].concat(),
            [&be(10)[..], &[0; 6]].concat(),
            [&be(0)[..], &[0; 6]].concat(),
            [&be(0x7fff_ffff)[..], &[0; 6]].concat(),
            [&[0xff; 4][..], &[0; 6]].concat(),
            Vec::new(),
        ];
        for header in headers {
            let tags =
                read_id3(&version.tag_flagged(0x40, &[header.clone(), frames.clone()].concat()));
            let read = (title(&tags), tags.artists().first().map(String::as_str));
            assert_eq!(read, (Some("Title"), Some("Artist")), "{version:?} {header:?}");
        }
    }
}

#[test]
fn unsynchronised_tags_and_frames_are_read_as_they_were() {
    let picture = [&b"\0image/jpeg\0\x03\0"[..], &b"\xff\xe0\xff\0\xff".repeat(60_000)].concat();
    let text = b"\x01\xff\xfeJ\0\xf3\0g\0a\0";
    for version in [Version::Two, Version::Three] {
        let cover = version.frame(if version == Version::Two { "PIC" } else { "APIC" }, &picture);
        let frames =
            [cover, version.frame(version.id("TIT2"), text), version.text("TPE1", "Artist")];
        let tag = version.tag_flagged(0x80, &unsynchronise(&frames.concat()));
        let tags = read_id3(&tag);
        assert_eq!((title(&tags), tags.artists()), (Some("Jóga"), &["Artist".to_owned()][..]));
    }
    let version = Version::Four;
    for (tag_flags, frame_flags) in [(0x80, 2), (0, 2), (0x80, 0)] {
        let [picture, text] = [&picture[..], text].map(unsynchronise);
        let frames = [
            version.frame_sized("APIC", picture.len(), frame_flags, &picture),
            version.frame_sized("TIT2", text.len(), frame_flags, &text),
            version.text("TPE1", "Artist"),
        ];
        let tags = read_id3(&version.tag_flagged(tag_flags, &frames.concat()));
        assert_eq!((title(&tags), tags.artists()), (Some("Jóga"), &["Artist".to_owned()][..]));
    }
}

/// node-taglib-sharp#102.
#[test]
fn plain_sizes_in_2_4_are_understood() {
    let version = Version::Four;
    // Zeros where the size, read as it should be, ends: what looks like padding is the picture.
    for fill in [0x55, 0] {
        let picture = [&b"\0image/jpeg\0\x03\0"[..], &vec![fill; 40_000]].concat();
        let mut cover = version.frame("APIC", &picture);
        cover[4..8].copy_from_slice(&be(picture.len()));
        let frames = [version.text("TIT2", "Title"), cover, version.text("TPE1", "Artist")];
        let tags = read_id3(&version.tag(&frames));
        assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["Artist".to_owned()][..]));
    }
}

#[test]
fn old_ids_in_a_newer_tag_are_understood() {
    let version = Version::Three;
    let frames = [version.frame("TT2\0", b"\0Title"), version.frame("TP1 ", b"\0Artist")];
    let tags = read_id3(&version.tag(&frames));
    assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["Artist".to_owned()][..]));
}

#[test]
fn padding_that_is_not_zero_ends_nothing() {
    for version in VERSIONS {
        let frames = [
            version.text("TIT2", "Title"),
            b"not a frame at all, and \xff\xff\xff\xff".to_vec(),
            version.text("TPE1", "Artist"),
            vec![0x55; 300],
        ];
        let tags = read_id3(&version.tag(&frames));
        assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["Artist".to_owned()][..]));
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_grouped_and_measured_frames_are_read() {
    let text = b"\0Title";
    let length = be(text.len());
    let three = [
        (0x80, [&length[..], &zlib(text)].concat()),
        (0x20, [&[7][..], text].concat()),
        (0xa0, [&length[..], &[7], &zlib(text)].concat()),
    ];
    let four = [
        (0x09, [&length[..], &zlib(text)].concat()),
        (0x08, zlib(text)),
        (0x01, [&length[..], text].concat()),
        (0x40, [&[7][..], text].concat()),
        (0x49, [&[7][..], &length, &zlib(text)].concat()),
        (0x4b, [&[7][..], &length, &unsynchronise(&zlib(text))].concat()),
    ];
    let cases = three.map(|it| (Version::Three, it)).into_iter();
    for (version, (flags, body)) in cases.chain(four.map(|it| (Version::Four, it))) {
        let frames =
            [version.frame_sized("TIT2", body.len(), flags, &body), version.text("TPE1", "Artist")];
        let tags = read_id3(&version.tag(&frames));
        assert_eq!(title(&tags), Some("Title"), "{version:?} {flags:x}");
        assert_eq!(tags.artists(), ["Artist"], "{version:?} {flags:x}");
    }
}

#[test]
fn encrypted_frames_are_skipped() {
    for (version, flags) in [(Version::Three, 0x40), (Version::Four, 0x04)] {
        let frames =
            [version.frame_sized("TIT2", 7, flags, b"\0secret"), version.text("TPE1", "Artist")];
        let tags = read_id3(&version.tag(&frames));
        assert_eq!((title(&tags), tags.artists()), (None, &["Artist".to_owned()][..]));
    }
}

#[test]
fn tags_in_a_row_and_at_the_end_fill_in_what_the_first_lacks() {
    let version = Version::Four;
    let tag = |frames: &[(&str, &str)]| {
        let frames = frames.iter().map(|(id, text)| version.text(id, text));
        version.tag(&frames.collect::<Vec<_>>())
    };
    let mut last = tag(&[("TIT2", "Last"), ("TALB", "Album"), ("TCON", "Pop")]);
    last[5] = 0x10;
    let footer = [b"3DI", &last[3..10]].concat();
    let file = [
        tag(&[("TIT2", "First")]),
        tag(&[("TIT2", "Second"), ("TPE1", "Artist")]),
        mpeg(),
        last,
        footer,
        id3v1("Cut", "Cut", "2001", 17),
    ];
    let tags = read(&file.concat(), Format::Mpeg);
    assert_eq!(title(&tags), Some("First"));
    assert_eq!(tags.artists(), ["Artist"]);
    assert_eq!(tags.first(Field::Album), Some("Album"));
    assert_eq!((tags.year(), tags.all(Field::Genre)), (Some(2001), &["Pop".to_owned()][..]));
}

#[test]
fn a_seek_frame_leads_to_another_tag() {
    let version = Version::Four;
    let front =
        version.tag(&[version.text("TPE1", "Artist"), version.frame("SEEK", &be(mpeg().len()))]);
    let file = [front, mpeg(), version.tag(&[version.text("TIT2", "Title")]), vec![0x55; 50]];
    let tags = read(&file.concat(), Format::Mpeg);
    assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["Artist".to_owned()][..]));
}
