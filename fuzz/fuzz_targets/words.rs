//! A song can be found by what it is called, whatever that is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use music::Name;

fuzz_target!(|text: &str| {
    let Some(name) = Name::lossy(text) else { return };
    assert_eq!(Name::parse(name.as_str()).as_ref(), Ok(&name));
    let words = music::song_words([name.as_str()]);
    assert!(music::query_words(name.as_str()).iter().all(|word| words.contains(word)));
});
