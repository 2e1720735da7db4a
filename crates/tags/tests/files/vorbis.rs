//! Vorbis comments in FLAC and in Ogg.

use tags::{Field, Format, Tags};

use crate::build::{Version, comments, flac, flac_block, ogg, opus, read, title, vorbis};

fn list(comments: &[&str]) -> Vec<Vec<u8>> {
    comments.iter().map(|comment| comment.as_bytes().to_vec()).collect()
}

fn speex(list: &[Vec<u8>]) -> Vec<u8> {
    ogg(7, &[b"Speex   1.2 and the rest".to_vec(), comments(list), vec![0; 10]])
}

fn ogg_flac(list: &[Vec<u8>]) -> Vec<u8> {
    let file = flac(&[]);
    let head = [b"\x7fFLAC\x01\0\0\x01", &file[..42]].concat();
    ogg(7, &[head, flac_block(0x84, &comments(list)), vec![0; 10]])
}

fn plain_flac(list: &[Vec<u8>]) -> Vec<u8> {
    flac(&[flac_block(4, &comments(list))])
}

/// Every format that holds the comments, with them read.
fn each(list: &[Vec<u8>], check: impl Fn(&str, &Tags)) {
    check("FLAC", &read(&plain_flac(list), Format::Flac));
    check("Vorbis", &read(&vorbis(list), Format::Ogg));
    check("Opus", &read(&opus(list), Format::Ogg));
    check("Speex", &read(&speex(list), Format::Ogg));
    check("FLAC in Ogg", &read(&ogg_flac(list), Format::Ogg));
}

/// MPD#1643 is about FLAC in Ogg.
#[test]
fn every_field_is_read_from_every_format() {
    let comments = [
        "title=Jóga",
        "ARTIST=Alice",
        "Artist=Bob",
        "ALBUM=Album",
        "ALBUM ARTIST=Band",
        "TRACKNUMBER=03",
        "TRACKTOTAL=12",
        "DISCNUMBER=1/2",
        "GENRE=Rock",
        "GENRE=Pop",
        "COMPOSER=Composer",
        "COMPILATION=1",
        "DATE=2001-05-04",
        "ORIGINALDATE=1966",
    ];
    each(&list(&comments), |format, tags| {
        assert_eq!(title(tags), Some("Jóga"), "{format}");
        assert_eq!(tags.artists(), ["Alice", "Bob"], "{format}");
        assert_eq!(tags.first(Field::Album), Some("Album"), "{format}");
        assert_eq!(tags.first(Field::AlbumArtist), Some("Band"), "{format}");
        assert_eq!(tags.first(Field::Composer), Some("Composer"), "{format}");
        assert_eq!((tags.track().number, tags.track().total), (Some(3), Some(12)), "{format}");
        assert_eq!((tags.disc().number, tags.disc().total), (Some(1), Some(2)), "{format}");
        assert_eq!(tags.all(Field::Genre), ["Rock", "Pop"], "{format}");
        assert_eq!((tags.year(), tags.first(Field::Original)), (Some(2001), Some("1966")));
        assert!(tags.is_compilation(), "{format}");
        let bits = format.contains("FLAC").then_some(24);
        assert_eq!(tags.bits(), bits, "{format}");
    });
}

#[test]
fn of_several_names_of_one_field_one_is_taken() {
    let comments = ["ALBUMARTISTS=Alice", "ALBUMARTISTS=Bob", "ALBUMARTIST=A & B", "YEAR=1999"];
    each(&list(&[&comments[..], &["ALBUM ARTIST=A & B", "DATE=2001"]].concat()), |format, tags| {
        assert_eq!(tags.all(Field::AlbumArtist), ["A & B"], "{format}");
        assert_eq!(tags.year(), Some(2001), "{format}");
    });
    each(&list(&comments[..2]), |format, tags| {
        assert_eq!(tags.all(Field::AlbumArtist), ["Alice", "Bob"], "{format}");
    });
}

#[test]
fn a_comment_that_cannot_be_read_costs_itself_only() {
    let mut comments = list(&["no sign", "=", "", "TITLE=", "DATE=unknown", "TRACKNUMBER=A1"]);
    comments.extend([b"GENRE=\xff\xfe\xff".to_vec(), b"ALBUM=Caf\xe9".to_vec()]);
    comments.push([b"METADATA_BLOCK_PICTURE=".to_vec(), vec![b'A'; 3_000_000]].concat());
    comments.extend(list(&["TITLE=Title", "ARTIST=Artist", "DATE=May 2001"]));
    each(&comments, |format, tags| {
        assert_eq!((title(tags), tags.year()), (Some("Title"), Some(2001)), "{format}");
        assert_eq!(tags.artists(), ["Artist"], "{format}");
        assert_eq!(tags.all(Field::Genre), [""; 0], "{format}");
        assert_eq!(tags.first(Field::Album), Some("Caf\u{fffd}"), "{format}");
    });
}

#[test]
fn comments_before_a_wrong_length_or_count_are_kept() {
    let good = comments(&list(&["TITLE=Title", "ARTIST=Artist"]));
    let mut too_many = good.clone();
    too_many[8..12].fill(0xff);
    let mut too_long = good.clone();
    let at = good.len() - 13 - 4;
    too_long[at + 3] = 0xff;
    for (packet, artists) in [(too_many, 1), (too_long, 1)] {
        let tags = read(&flac(&[flac_block(4, &packet)]), Format::Flac);
        assert_eq!((title(&tags), tags.artists().len()), (Some("Title"), artists));
        let packet = [b"OpusTags".to_vec(), packet].concat();
        let tags = read(&ogg(1, &[b"OpusHead".to_vec(), packet, vec![0; 9]]), Format::Ogg);
        assert_eq!((title(&tags), tags.artists().len()), (Some("Title"), artists));
    }
}

#[test]
fn flac_may_follow_id3_and_have_a_picture_of_many_megabytes() {
    let version = Version::Three;
    let tag = version.tag(&[version.text("TIT2", "ID3"), version.text("TCON", "Rock")]);
    let blocks =
        [flac_block(6, &vec![0x55; 5_000_000]), flac_block(4, &comments(&list(&["TITLE=Vorbis"])))];
    let tags = read(&[tag, flac(&blocks)].concat(), Format::Flac);
    assert_eq!((title(&tags), tags.first(Field::Genre)), (Some("Vorbis"), Some("Rock")));
    assert_eq!(tags.bits(), Some(24));
}

#[test]
fn pages_of_other_streams_do_not_disturb() {
    let sound = vorbis(&list(&["TITLE=Title", &format!("X={}", "x".repeat(100_000)), "ARTIST=A"]));
    let other = ogg(9, &[b"fishead\0 and more".to_vec(), vec![7; 300]]);
    // Both begin, then the pages alternate.
    let pages = |file: &[u8]| {
        let starts = file.windows(5).enumerate().filter(|(_, it)| it == b"OggS\0");
        let mut starts = starts.map(|(at, _)| at).collect::<Vec<_>>();
        starts.push(file.len());
        starts.windows(2).map(|it| file[it[0]..it[1]].to_vec()).collect::<Vec<_>>()
    };
    let (sound, other) = (pages(&sound), pages(&other));
    let mut file = [other[0].clone(), sound[0].clone()].concat();
    for page in &sound[1..] {
        file.extend(&other[1]);
        file.extend(page);
    }
    let tags = read(&file, Format::Ogg);
    assert_eq!((title(&tags), tags.artists()), (Some("Title"), &["A".to_owned()][..]));
}
