//! MP4 and `QuickTime`.

use tags::{Field, Format};

use crate::build::{be, ilst, item, mp4, mp4_box, read, title};

fn text(kind: &[u8; 4], text: &str) -> Vec<u8> {
    item(kind, 1, &[text.as_bytes()])
}

fn freeform(name: &str, value: &str) -> Vec<u8> {
    let data = mp4_box(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], value.as_bytes()].concat());
    let name = mp4_box(b"name", &[&[0; 4], name.as_bytes()].concat());
    mp4_box(b"----", &[mp4_box(b"mean", b"\0\0\0\0com.apple.iTunes"), name, data].concat())
}

#[test]
fn every_item_is_read() {
    let items = [
        item(b"covr", 13, &[&vec![0x55; 3_000_000]]),
        text(b"\xa9nam", "Jóga"),
        item(b"\xa9ART", 1, &[b"Alice", b"Bob"]),
        text(b"aART", "Band"),
        item(b"\xa9alb", 2, &[b"\0A\0l\0b\0u\0m"]),
        text(b"\xa9wrt", "Composer"),
        text(b"\xa9day", "2001-05-04T07:00:00Z"),
        item(b"gnre", 0, &[&[0, 18]]),
        item(b"trkn", 0, &[&[0, 0, 0, 3, 0, 12, 0, 0]]),
        item(b"disk", 0, &[&[0, 0, 0, 1, 0, 2]]),
        item(b"cpil", 21, &[&[1]]),
        freeform("ARTISTS", "Alice"),
        freeform("originaldate", "1966"),
        freeform("unknown", "x"),
    ];
    let tags = read(&mp4(&ilst(&items)), Format::Mp4);
    assert_eq!((title(&tags), tags.credit().join(",")), (Some("Jóga"), "Alice,Bob".into()));
    assert_eq!(tags.artists(), ["Alice"]);
    assert_eq!(tags.first(Field::AlbumArtist), Some("Band"));
    assert_eq!(tags.first(Field::Album), Some("Album"));
    assert_eq!(tags.first(Field::Composer), Some("Composer"));
    assert_eq!((tags.year(), tags.first(Field::Original)), (Some(2001), Some("1966")));
    assert_eq!(tags.all(Field::Genre), ["Rock"]);
    assert_eq!((tags.track().number, tags.track().total), (Some(3), Some(12)));
    assert_eq!((tags.disc().number, tags.disc().total), (Some(1), Some(2)));
    assert!(tags.is_compilation());
}

/// shaka-packager#110, slimserver#270.
#[test]
fn the_metadata_is_found_wherever_it_is() {
    let inside = ilst(&[text(b"\xa9nam", "Title")]);
    let moov = mp4_box(b"moov", &inside);
    let mdat = mp4_box(b"mdat", &[0; 1000]);
    let wide_mdat = [&be(1), &b"mdat"[..], &1016_u64.to_be_bytes(), &[0; 1000]].concat();
    let wide_moov =
        [&be(1), &b"moov"[..], &(16 + inside.len() as u64).to_be_bytes(), &inside].concat();
    let mut last_moov = moov.clone();
    last_moov[..4].fill(0);
    let meta = mp4_box(b"moov", &inside[8..]);
    for parts in [
        vec![mdat.clone(), moov.clone()],
        vec![mp4_box(b"wide", b""), mdat.clone(), moov.clone()],
        vec![mp4_box(b"free", &[0; 99]), mp4_box(b"ftyp", b"M4A "), moov.clone()],
        vec![wide_mdat.clone(), moov],
        vec![wide_mdat, wide_moov],
        vec![mdat.clone(), last_moov],
        vec![mdat, meta],
    ] {
        assert_eq!(title(&read(&parts.concat(), Format::Mp4)), Some("Title"));
    }
}

/// lofty-rs#291.
#[test]
fn an_item_that_cannot_be_read_costs_itself_only() {
    let mut long_data = text(b"\xa9alb", "Album");
    long_data[8] = 0x7f;
    let mut no_data = text(b"\xa9gen", "Genre");
    no_data[11] = 3;
    for bad in [
        item(b"\xa9alb", 1, &[b"\xff\xfe\xff"]),
        item(b"\xa9day", 1, &[b"unknown"]),
        item(b"trkn", 0, &[b"\0"]),
        item(b"gnre", 0, &[b""]),
        item(b"gnre", 0, &[&[0xff; 30]]),
        mp4_box(b"\xa9alb", b""),
        mp4_box(b"----", b""),
        mp4_box(b"----", &mp4_box(b"name", b"")),
        long_data,
        no_data,
    ] {
        let items = [text(b"\xa9nam", "Title"), bad.clone(), text(b"\xa9ART", "Artist")];
        let tags = read(&mp4(&ilst(&items)), Format::Mp4);
        assert_eq!(title(&tags), Some("Title"), "{bad:?}");
        assert_eq!(tags.artists(), ["Artist"], "{bad:?}");
    }
    let tags = read(&mp4(&ilst(&[item(b"\xa9nam", 1, &[b"Caf\xe9"])])), Format::Mp4);
    assert_eq!(title(&tags), Some("Caf\u{fffd}"));
}

#[test]
fn quicktime_texts_and_keys_are_read() {
    let old = |kind: &[u8; 4], language: [u8; 2], text: &[u8]| {
        let size = u16::try_from(text.len()).unwrap().to_be_bytes();
        mp4_box(kind, &[&size, &language, text].concat())
    };
    let texts = [
        old(b"\xa9nam", [0, 0], b"Caf\x8e"),
        old(b"\xa9ART", [0x55, 0xc4], "Björk".as_bytes()),
        mp4_box(b"albm", b"\0\0\0\0\x15\xc7Album\0\x07"),
        vec![0; 4],
    ];
    let tags = read(&mp4(&mp4_box(b"udta", &texts.concat())), Format::Mp4);
    assert_eq!((title(&tags), tags.artists()), (Some("Café"), &["Björk".to_owned()][..]));
    assert_eq!(tags.first(Field::Album), Some("Album"));

    let names = ["com.apple.quicktime.title", "x", "artist", "com.apple.quicktime.creationdate"];
    let keys = names.map(|name| mp4_box(b"mdta", name.as_bytes())).concat();
    let keys = mp4_box(b"keys", &[&[0; 4], &be(4)[..], &keys].concat());
    let items = [
        item(&be(1), 1, &[b"Title"]),
        item(&be(2), 1, &[b"other"]),
        item(&be(3), 1, &[b"Artist"]),
        item(&be(4), 1, &[b"2001-05-04T10:00:00+0200"]),
    ];
    let hdlr = mp4_box(b"hdlr", b"\0\0\0\0\0\0\0\0mdta\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let ilst = mp4_box(b"ilst", &items.concat());
    let tags = read(&mp4(&mp4_box(b"meta", &[hdlr, keys, ilst].concat())), Format::Mp4);
    assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["Artist".to_owned()][..]));
    assert_eq!(tags.year(), Some(2001));
}

#[test]
fn the_bits_of_alac_and_flac_are_told_and_of_aac_none() {
    let track = |entry: Vec<u8>| {
        let stsd = mp4_box(b"stsd", &[&[0; 4][..], &be(1), &entry].concat());
        let path = [b"stbl", b"minf", b"mdia", b"trak"];
        path.into_iter().fold(stsd, |inner, kind| mp4_box(kind, &inner))
    };
    let alac = mp4_box(b"alac", &[0, 0, 0, 0, 0, 0, 16, 0, 0, 24, 40, 10, 14, 2]);
    let version_1 = |fields: usize| {
        let mut entry = vec![0; fields];
        entry[9] = u8::from(fields > 28);
        entry
    };
    let mut info = vec![0; 42];
    (info[8 + 12], info[8 + 13]) = (0x00, 0xf0);
    for (entry, bits) in [
        (mp4_box(b"alac", &[version_1(28), alac.clone()].concat()), Some(24)),
        (mp4_box(b"alac", &[version_1(44), alac].concat()), Some(24)),
        (mp4_box(b"fLaC", &[version_1(28), mp4_box(b"dfLa", &info)].concat()), Some(16)),
        (mp4_box(b"mp4a", &version_1(28)), None),
        (mp4_box(b"alac", &version_1(28)), None),
    ] {
        assert_eq!(read(&mp4(&track(entry)), Format::Mp4).bits(), bits);
    }
}
