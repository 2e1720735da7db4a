//! `ID3v1`, APE and Lyrics3 behind MPEG frames.

use tags::{Field, Format};

use crate::build::{Version, ape, id3v1, mpeg, read, title};

fn read_behind(parts: &[Vec<u8>]) -> tags::Tags {
    read(&[mpeg(), parts.concat()].concat(), Format::Mpeg)
}

#[test]
fn id3v1_is_read_with_the_track_of_its_version_1_1() {
    let mut tag = id3v1("J\u{f3}ga", "Bj\u{f6}rk   ", "1997", 17);
    let tags = read_behind(&[tag.clone()]);
    assert_eq!((title(&tags), tags.artists()), (Some("Jóga"), &["Björk".to_owned()][..]));
    assert_eq!((tags.year(), tags.first(Field::Genre)), (Some(1997), Some("Rock")));
    assert_eq!(tags.track().number, None);
    (tag[125], tag[126], tag[127]) = (0, 2, 255);
    let tags = read_behind(&[tag]);
    assert_eq!((tags.track().number, tags.first(Field::Genre)), (Some(2), None));
}

#[test]
fn cut_texts_never_take_the_place_of_longer_ones() {
    let long = "A title that is longer than thirty characters";
    let old = id3v1(long, long, "2001", 255);
    let version = Version::Three;
    let new = version.tag(&[version.text("TIT2", long)]);
    let tags = read(&[new, mpeg(), old.clone()].concat(), Format::Mpeg);
    assert_eq!((title(&tags), tags.artists()), (Some(long), &[long[..30].to_owned()][..]));
    let tags = read_behind(&[ape(&[("Title", long)]), old]);
    assert_eq!((title(&tags), tags.year()), (Some(long), Some(2001)));
}

#[test]
fn ape_is_read_before_and_behind_the_others() {
    let ape = ape(&[
        ("TITLE", "Title"),
        ("Artist", "Alice\0Bob"),
        ("Album Artist", "Band"),
        ("Track", "3/12"),
        ("Year", "2001"),
    ]);
    let mut lyrics = b"LYRICSBEGININD0000200EAL00005Album".to_vec();
    lyrics.extend(format!("{:06}LYRICS200", lyrics.len()).bytes());
    let old_lyrics = b"LYRICSBEGINla la laLYRICSEND".to_vec();
    let v1 = id3v1("Cut", "Cut", "1999", 17);
    for parts in [
        vec![ape.clone()],
        vec![ape.clone(), v1.clone()],
        vec![v1.clone(), ape.clone()],
        vec![ape.clone(), lyrics.clone(), v1.clone()],
        vec![lyrics, ape.clone(), v1.clone()],
        vec![ape.clone(), old_lyrics, v1],
        // Version 1 has no header.
        vec![ape[32..].to_vec()],
    ] {
        let tags = read_behind(&parts);
        assert_eq!((title(&tags), tags.artists().join(",")), (Some("Title"), "Alice,Bob".into()));
        assert_eq!((tags.track().number, tags.track().total), (Some(3), Some(12)));
        assert_eq!((tags.year(), tags.first(Field::AlbumArtist)), (Some(2001), Some("Band")));
    }
}

#[test]
fn an_ape_item_that_is_a_picture_or_too_long_costs_itself_only() {
    let mut tag = ape(&[("Cover Art (Front)", &"x".repeat(2_000_000)), ("Title", "Title")]);
    // The flag for bytes that are no text.
    tag[36] = 2;
    assert_eq!(title(&read_behind(&[tag])), Some("Title"));
    let mut tag = ape(&[("Title", "Title"), ("Artist", "Artist")]);
    // The second item claims more than there is.
    let at = tag.windows(6).position(|it| it == b"Artist").unwrap() - 8;
    tag[at..at + 4].fill(0xff);
    assert_eq!(title(&read_behind(&[tag])), Some("Title"));
}
