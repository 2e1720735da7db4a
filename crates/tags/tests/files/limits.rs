//! What reading may cost. Bytes and items are counted, not time.

use std::io::Write as _;

use tags::{Field, Format, Limits, Stopped};

use crate::build::{
    Counted, Version, aiff, chunk, chunk_be, comments, flac, flac_block, ilst, item, mp4, mpeg,
    opus, title, unsynchronise, vorbis, wav,
};

fn read_counted(file: Vec<u8>, format: Format, limits: &Limits) -> (tags::Tags, u64) {
    let mut file = Counted::new(file);
    let tags = tags::read(&mut file, format, limits);
    (tags, file.bytes)
}

/// Holds that all of a file was read about once, up to its last item.
fn assert_linear(file: Vec<u8>, format: Format) {
    let length = file.len() as u64;
    let (tags, bytes) = read_counted(file, format, &Limits::default());
    assert!(tags.stopped().is_none(), "{:?}", tags.stopped());
    assert_eq!(title(&tags), Some("Last"));
    assert!(bytes <= length + length / 10 + 100_000, "{bytes} bytes of {length}");
}

#[test]
fn half_a_million_frames_are_read_once() {
    for version in [Version::Two, Version::Three, Version::Four] {
        let mut frames = Vec::new();
        for _ in 0..500_000 {
            frames.extend(version.text("TXXX", "x\0y"));
        }
        frames.extend(version.text("TIT2", "Last"));
        assert_linear([version.tag_flagged(0, &frames), mpeg()].concat(), Format::Mpeg);
        if version == Version::Three {
            let tag = version.tag_flagged(0x80, &unsynchronise(&frames));
            assert_linear([tag, mpeg()].concat(), Format::Mpeg);
        }
    }
}

#[test]
fn a_million_comments_are_read_once() {
    let mut list = vec![b"x=y".to_vec(); 1_000_000];
    list.push(b"TITLE=Last".to_vec());
    assert_linear(vorbis(&list), Format::Ogg);
    assert_linear(flac(&[flac_block(4, &comments(&list))]), Format::Flac);
}

#[test]
fn a_hundred_thousand_damaged_frames_are_searched_through_once() {
    let version = Version::Three;
    let mut frames = Vec::new();
    for _ in 0..100_000 {
        frames.extend(version.frame_sized("TXXX", 0x0fff_ffff, 0, b"\0x\0y"));
    }
    frames.extend(version.text("TIT2", "Last"));
    assert_linear([version.tag_flagged(0, &frames), mpeg()].concat(), Format::Mpeg);
}

#[test]
fn pictures_are_skipped_and_not_read() {
    let picture = vec![0x55; 8_000_000];
    let (three, four) = (Version::Three, Version::Four);
    let tag = three.tag(&[three.frame("APIC", &picture), three.text("TIT2", "Last")]);
    let list = [[b"METADATA_BLOCK_PICTURE=", &picture[..]].concat(), b"TITLE=Last".to_vec()];
    let info = chunk(b"LIST", &[b"INFO".to_vec(), chunk(b"INAM", b"Last")].concat());
    for (file, format) in [
        ([tag.clone(), mpeg()].concat(), Format::Mpeg),
        (four.tag(&[four.frame("APIC", &picture), four.text("TIT2", "Last")]), Format::Mpeg),
        (
            mp4(&ilst(&[item(b"covr", 13, &[&picture]), item(b"\xa9nam", 1, &[b"Last"])])),
            Format::Mp4,
        ),
        (opus(&list), Format::Ogg),
        (flac(&[flac_block(6, &picture), flac_block(4, &comments(&list[1..]))]), Format::Flac),
        (wav(&[chunk(b"id3 ", &tag)]), Format::Wav),
        (wav(&[chunk(b"junk", &picture), info]), Format::Wav),
        (aiff(&[chunk_be(b"ID3 ", &tag)]), Format::Aiff),
    ] {
        let (tags, bytes) = read_counted(file, format, &Limits::default());
        assert_eq!(title(&tags), Some("Last"), "{format:?}");
        // Of Ogg, the header of each page of 64 KiB is read, with the window around it.
        assert!(bytes < 1_200_000, "{format:?}: {bytes} bytes");
    }
}

#[test]
fn what_comes_before_a_limit_is_kept() {
    let version = Version::Four;
    let mut frames = version.text("TIT2", "Title");
    for _ in 0..100_000 {
        frames.extend(version.text("TXXX", "x\0y"));
    }
    frames.extend(version.text("TPE1", "Artist"));
    let file = [version.tag_flagged(0, &frames), mpeg()].concat();
    for limits in [
        Limits { bytes: 100_000, ..Limits::default() },
        Limits { reads: 1000, ..Limits::default() },
    ] {
        let (tags, bytes) = read_counted(file.clone(), Format::Mpeg, &limits);
        assert!(matches!(tags.stopped(), Some(Stopped::Limit)), "{limits:?}");
        assert_eq!((title(&tags), tags.artists().len()), (Some("Title"), 0), "{limits:?}");
        assert!(bytes <= 100_000, "{bytes}");
    }
}

#[test]
fn what_comes_before_the_file_fails_is_kept() {
    let version = Version::Four;
    let padding = version.frame("PRIV", &vec![0x55; 20_000]);
    let frames = [version.text("TIT2", "Title"), padding, version.text("TPE1", "Artist")];
    let mut file = Counted::new(version.tag(&frames));
    file.limit = 8_000;
    let tags = tags::read(&mut file, Format::Mpeg, &Limits::default());
    assert!(matches!(tags.stopped(), Some(Stopped::Io(_))));
    assert_eq!((title(&tags), tags.artists().len()), (Some("Title"), 0));
}

/// `length` zeros, which zlib makes a thousandth of.
fn bomb(length: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"\0Title").unwrap();
    for _ in 0..length / 4096 {
        encoder.write_all(&[b'x'; 4096]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn frames_that_are_not_wanted_are_not_inflated_and_the_others_within_limits() {
    let bomb = bomb(100_000_000);
    for (version, flags) in [(Version::Three, 0x80), (Version::Four, 0x09)] {
        let body = [&[0; 4], &bomb[..]].concat();
        let compressed = |id| version.frame_sized(id, body.len(), flags, &body);
        let limits = Limits { inflated: 64 * 1024, ..Limits::default() };
        let frames =
            [compressed("PRIV"), compressed("APIC"), compressed("TIT2"), compressed("TALB")];
        let frames = [frames.concat(), version.text("TPE1", "Artist")];
        let (tags, _) = read_counted(version.tag(&frames), Format::Mpeg, &limits);
        // Pictures took nothing of the limit, the title all of it, and so the album has none.
        let title = title(&tags).unwrap();
        assert!(title.starts_with("Titlexxx") && title.len() < 64 * 1024, "{}", title.len());
        assert_eq!((tags.artists().len(), tags.all(Field::Album).len()), (1, 0));
    }
}

#[test]
fn long_texts_are_cut_and_few_values_kept() {
    let version = Version::Four;
    let long = "x".repeat(2_000_000);
    let frames = [version.text("TIT2", &long), version.text("TPE1", &"a\0b\0".repeat(10_000))];
    let many = (0..100_000).map(|number| format!("g{number}")).collect::<Vec<_>>().join("\0");
    let frames = [frames.concat(), version.text("TCON", &many), version.text("TALB", "Album")];
    let (tags, _) = read_counted(version.tag(&frames), Format::Mpeg, &Limits::default());
    let comment = [format!("TITLE={}", "é".repeat(1_000_000)).into_bytes()];
    let items = [item(b"\xa9nam", 1, &["é".repeat(1_000_000).as_bytes()])];
    for (file, format) in [(vorbis(&comment), Format::Ogg), (mp4(&ilst(&items)), Format::Mp4)] {
        let (tags, _) = read_counted(file, format, &Limits::default());
        let title = title(&tags).unwrap();
        assert!(title.starts_with("éé") && title.len() <= 64 * 1024, "{format:?}: {}", title.len());
    }
    assert!(title(&tags).is_some_and(|title| title.len() <= 64 * 1024));
    assert_eq!(tags.artists(), ["a", "b"]);
    assert_eq!(tags.all(Field::Genre).len(), 64);
    assert_eq!(tags.first(Field::Album), Some("Album"));
}
