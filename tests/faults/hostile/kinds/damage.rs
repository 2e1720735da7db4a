//! Real files that something happened to.

use crate::{hostile::samples::Samples, random::Random};

pub(super) fn truncated(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let whole = any(samples, random);
    let length = if random.below(3) == 0 { random.below(200) } else { random.below(whole.len()) };
    whole[..length.min(whole.len())].to_vec()
}

pub(super) fn flipped(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    for _ in 0..=file.len() / [2000, 200, 20][random.below(3)] {
        let at = random.below(file.len());
        file[at] ^= 1 << random.below(8);
    }
    file
}

pub(super) fn damaged_head(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    let head = file.len().min(600);
    for _ in 0..=random.below(12) {
        // What a container is told by stays.
        let at = 12 + random.below(head - 12);
        file[at] = *random.pick(&[0, 0xff, 0x7f, 0x80, 1]);
    }
    file
}

pub(super) fn spliced(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..2 + random.below(4) {
        let piece = any(samples, random);
        let from = if file.is_empty() { 0 } else { random.below(piece.len()) };
        let to = from + 1 + random.below(piece.len() - from);
        file.extend(&piece[from..to]);
    }
    file
}

pub(super) fn zeroed(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let mut file = any(samples, random).to_vec();
    let from = random.below(file.len());
    let to = from + random.below(file.len() - from);
    file[from..to].fill(*random.pick(&[0, 0xff]));
    file
}

pub(super) fn ogg_chain(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

pub(super) fn ogg_pages(samples: &Samples, random: &mut Random) -> Vec<u8> {
    let name = *random.pick(&["ogg", "opus", "oga"]);
    let mut file = samples.clip(name).to_vec();
    for at in positions(&file.clone(), b"OggS") {
        if random.below(2) == 0 {
            // Flags, serial, sequence, or the number of lacing values.
            let field = at + *random.pick(&[5, 14, 18, 22, 26]);
            file[field] = random.byte();
        }
    }
    file
}

pub(super) fn mpeg_frames(samples: &Samples, random: &mut Random) -> Vec<u8> {
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

fn any<'a>(samples: &'a Samples, random: &mut Random) -> &'a [u8] {
    &random.pick(samples.clips()).1
}

pub(super) fn positions(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let all = bytes.windows(text.len() + 24).enumerate();
    all.filter(|(_, window)| window.starts_with(text)).map(|(at, _)| at).collect()
}
