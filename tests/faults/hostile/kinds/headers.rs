//! Headers that claim what is not so.

use super::damage::positions;
use crate::hostile::boxes::{aiff, boxed, find_box, replace_box, wav};
use crate::{hostile::samples::Samples, random::Random};

/// The data reference of a track names another file (ISO/IEC 14496-12 §8.7.2, and `QuickTime`'s
/// aliases), as a demuxer may be made to open it.
pub(super) fn mp4_elsewhere(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn claims(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn mp4_sizes(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn mp4_tables(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn mp4_nested(_: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn wav_header(_: &Samples, random: &mut Random) -> Vec<u8> {
    let format = *random.pick(&[1, 3, 6, 7, 0xfffe, 0, 0x55, 2]);
    let channels = *random.pick(&[0, 1, 2, 3, 8, 255, 65_535]);
    let rate = *random.pick(&[0, 1, 7, 44_100, 192_000, 10_000_000, 0x7fff_ffff, u32::MAX]);
    let block = *random.pick(&[0, 1, 4, 65_535]);
    let bits = *random.pick(&[0, 1, 7, 8, 16, 24, 64, 65_535]);
    let data = *random.pick(&[0, 3, 80_000, u32::MAX]);
    wav(format, channels, rate, block, bits, data)
}

pub(super) fn aiff_header(_: &Samples, random: &mut Random) -> Vec<u8> {
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
