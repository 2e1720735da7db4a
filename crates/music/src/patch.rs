//! Changes to a description: RFC 7396 merge patches, and what a request gives beside a file's tags.

use serde::{Deserialize, Deserializer};

use crate::{Description, DescriptionError, Name, StandIn};

/// The author of a song of which nobody said who made it.
const UNKNOWN: &str = "Unknown";

/// What a merge patch says of one field (RFC 7396 §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Absent: stays as it is.
    #[default]
    Keep,
    /// `null`: goes.
    Remove,
    /// A value: becomes this.
    Set(T),
}

impl<T> Change<T> {
    fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Remove => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// `None` keeps the field: whoever did not give a value said nothing of it.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

/// A change to any of the descriptive fields. Other fields are refused by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Description")]
pub struct Patch {
    pub name: Change<Name>,
    pub author: Change<Name>,
    pub album: Change<Name>,
    pub album_artist: Change<Name>,
    pub track: Change<u16>,
    pub disc: Change<u16>,
    pub year: Change<u16>,
    pub genre: Change<Name>,
}

impl Patch {
    /// What `self` leaves as it is, as `later` has it; what `later` speaks of, as `later` says.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        fn pick<T>(first: Change<T>, later: Change<T>) -> Change<T> {
            if matches!(later, Change::Keep) { first } else { later }
        }
        Self {
            name: pick(self.name, later.name),
            author: pick(self.author, later.author),
            album: pick(self.album, later.album),
            album_artist: pick(self.album_artist, later.album_artist),
            track: pick(self.track, later.track),
            disc: pick(self.disc, later.disc),
            year: pick(self.year, later.year),
            genre: pick(self.genre, later.genre),
        }
    }

    /// The description that `self` makes of nothing.
    ///
    /// # Errors
    /// [`DescriptionError::Missing`] if it has no name or no author.
    pub fn describe(self) -> Result<Description, DescriptionError> {
        self.complete(None)
    }

    /// `description` with `self` applied to it.
    ///
    /// # Errors
    /// [`DescriptionError::Missing`] if its name or author would go.
    pub fn apply(self, description: Description) -> Result<Description, DescriptionError> {
        self.complete(Some(description))
    }

    /// The description that `self` makes of nothing before the file's tags are known, and what in it
    /// stands in for what they may say: the file's name, without its ending, for the song's, and
    /// `Unknown` for the author.
    #[must_use]
    pub fn describe_meanwhile(self, filename: Option<&str>) -> (Description, Option<StandIn>) {
        let stem = filename.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let unknown = || Name::lossy(UNKNOWN);
        let mut stand_in = StandIn { name: None, author: None };
        let mut meanwhile = self;
        if !matches!(meanwhile.name, Change::Set(_)) {
            stand_in.name = stem.and_then(Name::lossy).or_else(unknown);
            meanwhile.name = stand_in.name.clone().into();
        }
        if !matches!(meanwhile.author, Change::Set(_)) {
            stand_in.author = unknown();
            meanwhile.author = stand_in.author.clone().into();
        }
        let Ok(description) = meanwhile.describe() else {
            unreachable!("it has a name and an author");
        };
        let stands_in = stand_in.name.is_some() || stand_in.author.is_some();
        (description, stands_in.then_some(stand_in))
    }

    /// What a song is called once its file's tags, which `self` is, are known: they say what the
    /// description lacks and what something stands in for.
    #[must_use]
    pub fn complete_from_tags(
        self,
        description: Description,
        stand_in: Option<&StandIn>,
    ) -> Description {
        fn fill<T>(field: &mut Option<T>, change: Change<T>) {
            if field.is_none() {
                change.apply(field);
            }
        }
        let mut complete = description;
        // Whoever changed it since meant what they said.
        if let Change::Set(name) = self.name
            && stand_in.is_some_and(|it| it.name.as_ref() == Some(&complete.name))
        {
            complete.name = name;
        }
        if let Change::Set(author) = self.author
            && stand_in.is_some_and(|it| it.author.as_ref() == Some(&complete.author))
        {
            complete.author = author;
        }
        fill(&mut complete.album, self.album);
        fill(&mut complete.album_artist, self.album_artist);
        fill(&mut complete.track, self.track);
        fill(&mut complete.disc, self.disc);
        fill(&mut complete.year, self.year);
        fill(&mut complete.genre, self.genre);
        complete
    }

    fn complete(self, base: Option<Description>) -> Result<Description, DescriptionError> {
        let (mut name, mut author, mut album, mut album_artist, mut genre) = Default::default();
        let (mut track, mut disc, mut year) = Default::default();
        if let Some(base) = base {
            (name, author) = (Some(base.name), Some(base.author));
            (album, album_artist, genre) = (base.album, base.album_artist, base.genre);
            (track, disc, year) = (base.track, base.disc, base.year);
        }
        self.name.apply(&mut name);
        self.author.apply(&mut author);
        self.album.apply(&mut album);
        self.album_artist.apply(&mut album_artist);
        self.track.apply(&mut track);
        self.disc.apply(&mut disc);
        self.year.apply(&mut year);
        self.genre.apply(&mut genre);
        Ok(Description {
            name: name.ok_or(DescriptionError::Missing("name"))?,
            author: author.ok_or(DescriptionError::Missing("author"))?,
            album,
            album_artist,
            track,
            disc,
            year,
            genre,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("is a name")
    }

    #[test]
    fn a_patch_sets_removes_and_keeps() {
        let base = Patch {
            name: Change::Set(name("Jóga")),
            author: Change::Set(name("Björk")),
            album: Change::Set(name("Homogenic")),
            track: Change::Set(2),
            ..Patch::default()
        };
        let patch = Patch { album: Change::Remove, track: Change::Set(3), ..Patch::default() };
        let description = patch.apply(base.describe().expect("complete")).expect("complete");
        assert_eq!(description.album, None);
        assert_eq!(description.track, Some(3));
        assert_eq!(description.author, name("Björk"));
    }

    #[test]
    fn the_later_patch_wins_where_it_speaks() {
        let tags =
            Patch { name: Change::Set(name("tag")), year: Change::Set(1997), ..Patch::default() };
        let given = Patch {
            name: Change::Set(name("given")),
            author: Change::Set(name("a")),
            ..Patch::default()
        };
        let description = tags.then(given).describe().expect("complete");
        assert_eq!((description.name, description.year), (name("given"), Some(1997)));
    }

    #[test]
    fn tags_take_the_place_of_stand_ins_and_of_nothing_else() {
        let given = Patch { album: Change::Set(name("Given")), ..Patch::default() };
        let (meanwhile, stand_in) = given.describe_meanwhile(Some("03 Jóga.v2.flac"));
        assert_eq!((meanwhile.name.as_str(), meanwhile.author.as_str()), ("03 Jóga.v2", "Unknown"));
        let tags = || Patch {
            name: Change::Set(name("Jóga")),
            author: Change::Set(name("Björk")),
            album: Change::Set(name("Homogenic")),
            year: Change::Set(1997),
            ..Patch::default()
        };
        let complete = tags().complete_from_tags(meanwhile.clone(), stand_in.as_ref());
        assert_eq!((complete.name, complete.author), (name("Jóga"), name("Björk")));
        assert_eq!((complete.album, complete.year), (Some(name("Given")), Some(1997)));

        let renamed = Description { name: name("Mine"), ..meanwhile.clone() };
        let complete = tags().complete_from_tags(renamed, stand_in.as_ref());
        assert_eq!((complete.name, complete.author), (name("Mine"), name("Björk")));

        let same = Patch { name: Change::Set(meanwhile.name.clone()), ..Patch::default() };
        let (meanwhile, stand_in) = same.describe_meanwhile(Some("03 Jóga.v2.flac"));
        let complete = tags().complete_from_tags(meanwhile, stand_in.as_ref());
        assert_eq!(complete.name, name("03 Jóga.v2"), "it was given, not made of the file's name");
    }

    #[test]
    fn a_file_whose_name_says_nothing_still_has_one() {
        for filename in [None, Some(""), Some(".flac"), Some("\u{0}.mp3")] {
            let (meanwhile, _) = Patch::default().describe_meanwhile(filename);
            assert_eq!(meanwhile.name.as_str(), "Unknown", "{filename:?}");
        }
    }

    #[test]
    fn a_song_cannot_lose_its_name_or_author() {
        let whole = Patch {
            name: Change::Set(name("n")),
            author: Change::Set(name("a")),
            ..Patch::default()
        };
        let description = whole.describe().expect("complete");
        let patch = Patch { author: Change::Remove, ..Patch::default() };
        assert_eq!(patch.apply(description), Err(DescriptionError::Missing("author")));
        assert_eq!(Patch::default().describe(), Err(DescriptionError::Missing("name")));
    }
}
