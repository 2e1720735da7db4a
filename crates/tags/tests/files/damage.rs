//! Files that were cut off or have a wrong byte anywhere.

use std::io::Cursor;

use tags::{Format, Limits};

use crate::build::{
    Version, aiff, ape, chunk, chunk_be, comments, flac, flac_block, id3v1, ilst, item, mp4, mpeg,
    opus, unsynchronise, vorbis, wav,
};

fn samples() -> Vec<(Vec<u8>, Format)> {
    let mut samples = Vec::new();
    for version in [Version::Two, Version::Three, Version::Four] {
        let frames = [
            version.text("TIT2", "Title"),
            version.frame(version.id("TPE1"), b"\x01\xff\xfeA\0r\0t\0"),
            version.text("TXXX", "ORIGINALDATE\x001966"),
        ];
        let frames = frames.concat();
        samples.push((version.tag_flagged(0, &frames), Format::Mpeg));
        samples.push((version.tag_flagged(0x80, &unsynchronise(&frames)), Format::Mpeg));
        samples.push((version.tag_flagged(0x40, &frames), Format::Mpeg));
    }
    let version = Version::Three;
    let tag = version.tag(&[version.text("TIT2", "Title")]);
    let list = [b"TITLE=Title".to_vec(), b"ARTIST=Artist".to_vec()];
    let info = chunk(b"LIST", &[b"INFO".to_vec(), chunk(b"INAM", b"Title")].concat());
    let items = [item(b"\xa9nam", 1, &[b"Title"]), item(b"trkn", 0, &[&[0, 0, 0, 1, 0, 2]])];
    let behind = [mpeg()[..40].to_vec(), ape(&[("Title", "Title")]), id3v1("T", "A", "2001", 1)];
    samples.extend([
        (behind.concat(), Format::Mpeg),
        (mp4(&ilst(&items)), Format::Mp4),
        (flac(&[flac_block(4, &comments(&list))]), Format::Flac),
        (vorbis(&list), Format::Ogg),
        (opus(&list), Format::Ogg),
        (wav(&[info, chunk(b"id3 ", &tag)]), Format::Wav),
        (aiff(&[chunk_be(b"NAME", b"Title"), chunk_be(b"ID3 ", &tag)]), Format::Aiff),
    ]);
    samples
}

/// Reads in vain or not, but with little reading: far less than the limits allow.
fn assert_cheap(file: &[u8], format: Format) {
    let limits = Limits { bytes: 1 << 20, reads: 10_000, inflated: 1 << 16 };
    let tags = tags::read(&mut Cursor::new(file), format, &limits);
    assert!(tags.stopped().is_none(), "{format:?} {file:?}");
}

#[test]
fn no_wrong_byte_makes_reading_expensive() {
    for (file, format) in samples() {
        for at in 0..file.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1, file[at].wrapping_add(8)] {
                let mut damaged = file.clone();
                damaged[at] = byte;
                assert_cheap(&damaged, format);
            }
        }
    }
}

#[test]
fn no_cut_makes_reading_expensive() {
    for (file, format) in samples() {
        for end in 0..file.len() {
            assert_cheap(&file[..end], format);
        }
    }
}

#[test]
fn a_file_of_another_format_has_no_tags_or_those_of_both() {
    let formats = [
        Format::Mpeg,
        Format::Mp4,
        Format::Flac,
        Format::Ogg,
        Format::Wav,
        Format::W64,
        Format::Aiff,
    ];
    for (file, _) in samples() {
        for format in formats {
            assert_cheap(&file, format);
        }
    }
}
