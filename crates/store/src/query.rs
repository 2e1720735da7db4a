//! Which songs a list asks for, and how it goes on.

use std::collections::BTreeSet;

use music::{Description, Name, Song, SongId, Status};

/// Which songs, in which order, how many.
///
/// Songs of an album come by disc, track and id; all others newest first (by id, descending).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only songs with this status.
    pub status: Status,
    /// Only songs in which every one of these begins some word; see [`music::query_words`].
    pub words: Vec<String>,
    /// Only songs of this album, to the letter.
    pub album: Option<Name>,
    /// Only songs after this one.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// The place in a list after which it goes on: the keys that it is sorted by.
///
/// It stays good when the song it was made of is changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// See [`music::Description::album_position`]; not looked at where no album is asked for.
    pub album_position: i64,
    /// The last song's id.
    pub id: SongId,
}

/// Songs, and whether there are more after them.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The songs, in order.
    pub songs: Vec<Song>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl Page {
    /// The page made of what was found when one more than `limit` songs were asked for.
    pub(crate) fn of(mut songs: Vec<Song>, limit: usize) -> Self {
        let more = songs.len() > limit;
        songs.truncate(limit);
        let next = songs
            .last()
            .filter(|_| more)
            .map(|song| Cursor { album_position: song.description.album_position(), id: song.id });
        Self { songs, next }
    }
}

/// What a song is searched by: every beginning of every one of its words, each once.
///
/// An index of them finds the songs with a word that begins so, in the order of their ids. An index
/// of the words themselves has them in the order of the words: a list of the newest would wait for
/// all matches to be found and sorted, and take the longer the larger the library.
pub(crate) fn prefixes(description: &Description) -> BTreeSet<String> {
    let words = description.words();
    let beginnings = words.iter().flat_map(|word| {
        let ends = word.char_indices().map(|(index, character)| index + character.len_utf8());
        ends.map(|end| word[..end].to_owned())
    });
    beginnings.collect()
}

#[cfg(test)]
mod tests {
    use music::Name;

    use super::*;

    #[test]
    fn every_beginning_of_every_word_is_there_once() {
        let name = |text| Name::parse(text).expect("is a name");
        let description = Description {
            name: name("Jó jo"),
            credit: music::Credit::of(name("Яна")),
            album: Some(name("Job")),
            album_artist: Some(name("Unsearched")),
            track: None,
            disc: None,
            year: None,
            genre: None,
        };
        let found: Vec<_> = prefixes(&description).into_iter().collect();
        assert_eq!(found, ["j", "jo", "job", "я", "ян", "яна"]);
    }
}
