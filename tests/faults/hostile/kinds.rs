//! The kinds of hostile file: one function each, from samples and chance to bytes.

mod damage;
mod disguises;
mod headers;
mod tags;

use super::samples::Samples;
use crate::random::Random;

pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Whether it must be refused.
    pub(super) is_no_audio: bool,
    pub(super) make: fn(&Samples, &mut Random) -> Vec<u8>,
}

const fn no_audio(name: &'static str, make: fn(&Samples, &mut Random) -> Vec<u8>) -> Kind {
    Kind { name, is_no_audio: true, make }
}

const fn perhaps(name: &'static str, make: fn(&Samples, &mut Random) -> Vec<u8>) -> Kind {
    Kind { name, is_no_audio: false, make }
}

pub(super) const ALL: [Kind; 30] = [
    no_audio("playlist", disguises::playlist),
    no_audio("playlist in a tag's clothes", disguises::tagged_playlist),
    no_audio("playlist in a container's clothes", disguises::clothed_playlist),
    perhaps("mp4 whose media is elsewhere", headers::mp4_elsewhere),
    perhaps("mp3 with a cover bomb", tags::mp3_cover),
    perhaps("flac with a cover bomb", tags::flac_cover),
    perhaps("claim of hours", headers::claims),
    perhaps("truncated", damage::truncated),
    perhaps("bits flipped", damage::flipped),
    perhaps("beginning damaged", damage::damaged_head),
    perhaps("spliced", damage::spliced),
    perhaps("zeros overwritten", damage::zeroed),
    no_audio("filler", disguises::filler),
    no_audio("text", disguises::text),
    no_audio("archive or program", disguises::archive),
    no_audio("another container", disguises::stranger),
    perhaps("video", disguises::video),
    perhaps("endless ogg chain", damage::ogg_chain),
    perhaps("ogg pages that lie", damage::ogg_pages),
    perhaps("strange tags", tags::strange_tags),
    perhaps("vorbis comments that lie", tags::comments),
    perhaps("mp4 sizes", headers::mp4_sizes),
    perhaps("mp4 tables", headers::mp4_tables),
    no_audio("mp4 nested", headers::mp4_nested),
    perhaps("wav header", headers::wav_header),
    perhaps("aiff header", headers::aiff_header),
    perhaps("id3 nested", tags::id3_nested),
    perhaps("flac metadata", tags::flac_metadata),
    perhaps("mpeg frames that change", damage::mpeg_frames),
    no_audio("json", disguises::json_body),
];
