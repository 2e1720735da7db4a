//! The keys of chunks: `{song id}/{group}/{name}`.

use std::fmt;

use music::{RevisionId, SongId};

/// How large one chunk may be, in bytes. Within MongoDB's 16 MB document and what one Lambda
/// answer can carry.
pub const CHUNK_LIMIT: usize = 4 * 1024 * 1024;

/// Chunks of a song that come and go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChunkGroup {
    /// The segments of a revision, or of an attempt at one.
    Revision(RevisionId),
    /// The file that the song was made from.
    Original,
}

impl fmt::Display for ChunkGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(id) => id.fmt(formatter),
            Self::Original => formatter.write_str("original"),
        }
    }
}

/// What a chunk is found by.
///
/// Keys compare as their text does. A song's chunks, and a group's, are each one range of keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    song: SongId,
    group: ChunkGroup,
    name: String,
}

impl ChunkKey {
    /// The key of a variant's initialization section: `init.mp4`.
    #[must_use]
    pub fn init(song: SongId, revision: RevisionId, variant: &str) -> Self {
        Self { song, group: ChunkGroup::Revision(revision), name: format!("{variant}/init.mp4") }
    }

    /// The key of a variant's media segment, numbered from 0.
    #[must_use]
    pub fn segment(song: SongId, revision: RevisionId, variant: &str, number: u32) -> Self {
        Self {
            song,
            group: ChunkGroup::Revision(revision),
            name: format!("{variant}/{number}.m4s"),
        }
    }

    /// The key of the part of a song's original that begins at `offset`, in bytes. Padded, so that
    /// keys sort as offsets do.
    #[must_use]
    pub fn original(song: SongId, offset: u64) -> Self {
        Self { song, group: ChunkGroup::Original, name: format!("{offset:016}") }
    }

    /// Whose chunk it is.
    #[must_use]
    pub fn song(&self) -> SongId {
        self.song
    }

    /// Which of the song's chunks it is, without the song's id: `{group}/{name}`.
    #[must_use]
    pub fn chunk_name(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }
}

/// Which song's group the chunk of a key's text is in; nothing where the text is no key.
pub(crate) fn group_of(key: &str) -> Option<(SongId, ChunkGroup)> {
    let mut parts = key.splitn(3, '/');
    let song = parts.next()?.parse().ok()?;
    let group = match parts.next()? {
        "original" => ChunkGroup::Original,
        revision => ChunkGroup::Revision(revision.parse().ok()?),
    };
    parts.next().map(|_| (song, group))
}

/// The name that a key's text has without its song, as [`ChunkKey::chunk_name`] gives it.
pub(crate) fn name_of(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, name)| name)
}

/// The offset that the part of an original under a key's text begins at, in bytes.
pub(crate) fn offset_of(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.parse().ok()
}

/// The texts of keys from `first` until before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) first: String,
    pub(crate) end: String,
}

impl KeyRange {
    /// Every chunk of a song.
    pub(crate) fn song(id: SongId) -> Self {
        Self::under(&id)
    }

    /// Every chunk of a group.
    pub(crate) fn group(id: SongId, group: ChunkGroup) -> Self {
        Self::under(&format_args!("{id}/{group}"))
    }

    fn under(prefix: &dyn fmt::Display) -> Self {
        // `0` is the character after `/`.
        Self { first: format!("{prefix}/"), end: format!("{prefix}0") }
    }
}

impl fmt::Display for ChunkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.song, self.group, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_group() {
        let (song, revision) = (SongId::new(), RevisionId::new());
        let segment = ChunkKey::segment(song, revision, "64k", 7).to_string();
        assert_eq!(group_of(&segment), Some((song, ChunkGroup::Revision(revision))));
        assert_eq!(name_of(&segment), ChunkKey::segment(song, revision, "64k", 7).chunk_name());
        let original = ChunkKey::original(song, 4_194_304).to_string();
        assert_eq!(group_of(&original), Some((song, ChunkGroup::Original)));
        assert_eq!(offset_of(&original), Some(4_194_304));
        for other in [
            "",
            "original",
            &song.to_string(),
            &format!("{song}/original"),
            &format!("{song}/cover/1"),
        ] {
            assert_eq!(group_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_range_holds_the_keys_of_its_group_and_of_no_other() {
        let (song, revision) = (SongId::new(), RevisionId::new());
        let range = KeyRange::group(song, ChunkGroup::Revision(revision));
        let holds = |key: &ChunkKey| {
            (range.first.as_str()..range.end.as_str()).contains(&key.to_string().as_str())
        };
        assert!(holds(&ChunkKey::init(song, revision, "64k")));
        assert!(holds(&ChunkKey::segment(song, revision, "256k", u32::MAX)));
        assert!(!holds(&ChunkKey::init(song, RevisionId::new(), "64k")));
        assert!(!holds(&ChunkKey::original(song, 0)));
        assert!(!holds(&ChunkKey::init(SongId::new(), revision, "64k")));
    }
}
