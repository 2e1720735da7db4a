//! Whatever a file's tags are, what they say is fit to be a song's description.
#![no_main]

use fuzz::Container;
use libfuzzer_sys::fuzz_target;
use music::Change;

const CONTAINERS: [Container; 8] = [
    Container::Mp3,
    Container::Adts,
    Container::Mp4,
    Container::Flac,
    Container::Wav,
    Container::W64,
    Container::Aiff,
    Container::Ogg,
];

fuzz_target!(|bytes: &[u8]| {
    let told = fuzz::recognise(bytes).map(|(container, _)| container);
    let chosen = bytes.last().map_or(0, |byte| usize::from(*byte) % CONTAINERS.len());
    let patch = fuzz::tags(bytes, told.unwrap_or(CONTAINERS[chosen]));
    if let Change::Set(year) = patch.year {
        assert!((1000..3000).contains(&year));
    }
    for text in [patch.name, patch.author, patch.album, patch.album_artist, patch.genre] {
        if let Change::Set(name) = text {
            assert!(!name.as_str().is_empty());
            assert!(name.as_str().chars().count() <= music::FIELD_LIMIT);
            assert!(!name.as_str().chars().any(char::is_control));
        }
    }
});
