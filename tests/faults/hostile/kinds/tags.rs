//! What is said of the sound, at length.

use crate::hostile::boxes::{flac_block, flac_with, id3, id3_frame, synchsafe};
use crate::{hostile::samples::Samples, random::Random};

pub(super) fn mp3_cover(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut body = b"\0image/png\0\x03\0".to_vec();
    body.extend(bomb(random));
    body.resize(body.len() + random.below(3) * 1_000_000, 0x55);
    let frames = id3_frame(*b"APIC", &body).repeat(1 + random.below(3));
    [id3(&frames).as_slice(), samples.clip("mp3")].concat()
}

pub(super) fn flac_cover(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

/// A picture of 60,000 pixels either way, in few bytes.
fn bomb(random: &mut Random) -> Vec<u8> {
    let side = [60_000_u32, u32::MAX, 0x7fff_ffff, 0][random.below(4)].to_be_bytes();
    let ihdr = [&b"IHDR"[..], &side, &side, &[16, 6, 0, 0, 1]].concat();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", ihdr.as_slice(), &random.bytes(4000)].concat()
}

pub(super) fn strange_tags(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn comments(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let count = *random.pick(&[0_u32, 1, 0x7fff_ffff, u32::MAX]);
    let length = *random.pick(&[3_u32, 0xffff_ff00, u32::MAX]);
    let mut body = 4_u32.to_le_bytes().to_vec();
    body.extend(b"mine");
    body.extend(count.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(b"title=".repeat(random.below(20_000)));
    flac_with(samples.clip("flac"), &flac_block(4, body.len(), &body))
}

pub(super) fn id3_nested(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn flac_metadata(samples: &Samples, random: &mut Random) -> Vec<u8> {
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
            flac_with(
                flac,
                &flac_block(
                    u8::try_from(7 + random.below(120)).expect("is small"),
                    body.len(),
                    &body,
                ),
            )
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
