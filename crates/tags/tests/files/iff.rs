//! WAV, Wave64 and AIFF.

use tags::{Field, Format};

use crate::build::{
    Version, aiff, chunk, chunk_be, comments, flac, flac_block, ilst, item, le, mp4, opus, read,
    title, wav,
};

fn info(items: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"LIST", &[b"INFO".to_vec(), items.concat()].concat())
}

fn items() -> [Vec<u8>; 6] {
    [
        chunk(b"INAM", b"Caf\xe9\0"),
        chunk(b"IART", "Björk".as_bytes()),
        chunk(b"IPRD", b"Album\0\0 left over"),
        chunk(b"ICRD", b"2001/05/04"),
        chunk(b"IPRT", b"3"),
        chunk(b"IGNR", b"Rock"),
    ]
}

/// taglib#1451.
#[test]
fn info_is_latin1_unless_it_is_utf8() {
    let tags = read(&wav(&[info(&items())]), Format::Wav);
    assert_eq!((title(&tags), tags.artists()), (Some("Café"), &["Björk".to_owned()][..]));
    assert_eq!((tags.first(Field::Album), tags.year()), (Some("Album"), Some(2001)));
    assert_eq!((tags.track().number, tags.first(Field::Genre)), (Some(3), Some("Rock")));
}

#[test]
fn an_item_that_cannot_be_read_costs_itself_only() {
    for bad in [
        chunk(b"IKEY", &vec![0x55; 2_000_000]),
        chunk(b"IPRD", b"\0\0"),
        chunk(b"IPRD", b""),
        chunk(b"ICRD", b"unknown"),
        // An odd size without the byte that should follow.
        chunk(b"ICMT", b"odd")[..11].to_vec(),
    ] {
        let [title_item, artist, ..] = items();
        let tags = read(&wav(&[info(&[title_item, bad.clone(), artist])]), Format::Wav);
        assert_eq!(title(&tags), Some("Café"), "{bad:?}");
        assert_eq!(tags.artists(), ["Björk"], "{bad:?}");
    }
}

#[test]
fn an_id3_chunk_speaks_before_the_format_s_own() {
    let version = Version::Three;
    let cover = version.frame("APIC", &vec![0x55; 2_000_000]);
    let tag = version.tag(&[cover, version.text("TIT2", "ID3")]);
    for id in [b"id3 ", b"ID3 "] {
        let tags = read(&wav(&[info(&items()), chunk(id, &tag)]), Format::Wav);
        assert_eq!((title(&tags), tags.artists()), (Some("ID3"), &["Björk".to_owned()][..]));
    }
    let own = [chunk_be(b"NAME", b"Own"), chunk_be(b"AUTH", b"Artist"), chunk_be(b"ANNO", b"x")];
    let tags = read(&aiff(&own), Format::Aiff);
    assert_eq!((title(&tags), tags.artists()), (Some("Own"), &["Artist".to_owned()][..]));
    let tags = read(&aiff(&[own.concat(), chunk_be(b"ID3 ", &tag)]), Format::Aiff);
    assert_eq!((title(&tags), tags.artists()), (Some("ID3"), &["Artist".to_owned()][..]));
}

#[test]
fn chunks_behind_data_of_64_bits_are_found() {
    let mut ds64 = 0_u64.to_le_bytes().to_vec();
    ds64.extend(64_u64.to_le_bytes());
    ds64.extend([0; 12]);
    let data = [&b"data\xff\xff\xff\xff"[..], &[0; 64]].concat();
    let file = [b"RF64\xff\xff\xff\xffWAVE".to_vec(), chunk(b"ds64", &ds64), data, info(&items())];
    assert_eq!(title(&read(&file.concat(), Format::Wav)), Some("Café"));

    let guid = |id: &[u8; 4], body: &[u8]| {
        let rest = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
        let rest =
            if id == b"list" { b"\x2f\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" } else { rest };
        let pad = vec![0; (8 - body.len() % 8) % 8];
        [&id[..], rest, &(24 + body.len() as u64).to_le_bytes(), body, &pad].concat()
    };
    let mut head = vec![0; 40];
    head[..4].copy_from_slice(b"riff");
    let list = info(&items())[8..].to_vec();
    let file = [head, guid(b"data", &[0; 61]), guid(b"list", &list)].concat();
    assert_eq!(title(&read(&file, Format::W64)), Some("Café"));
}

#[test]
fn an_id3_tag_in_front_of_anything_fills_in_what_is_lacking() {
    let version = Version::Three;
    let tag = version.tag(&[version.text("TIT2", "ID3"), version.text("TALB", "Album")]);
    let own = [chunk(b"INAM", b"Own")];
    let items = [item(b"\xa9nam", 1, &[b"Own"])];
    let comment = [b"TITLE=Own".to_vec()];
    for (file, format) in [
        (wav(&[info(&own)]), Format::Wav),
        (aiff(&[chunk_be(b"NAME", b"Own")]), Format::Aiff),
        (mp4(&ilst(&items)), Format::Mp4),
        (opus(&comment), Format::Ogg),
        (flac(&[flac_block(4, &comments(&comment))]), Format::Flac),
    ] {
        let tags = read(&[tag.clone(), file].concat(), format);
        assert_eq!((title(&tags), tags.first(Field::Album)), (Some("Own"), Some("Album")));
    }
}

#[test]
fn a_summary_of_wave64_is_read() {
    let text: Vec<u8> = "Jóga".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let body = [&le(1), &b"INAM"[..], &le(text.len()), &text].concat();
    let guid = b"\xbc\x94\x5f\x92\x5a\x52\xd2\x11\x86\xdc\x00\xc0\x4f\x8e\xdb\x8a";
    let size = (24 + body.len() as u64).to_le_bytes();
    let file = [&[0; 40][..], guid, &size, &body].concat();
    assert_eq!(title(&read(&file, Format::W64)), Some("Jóga"));
}
