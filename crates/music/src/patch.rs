//! Changes to a description: RFC 7396 merge patches, and what a request gives beside a file's tags.

use serde::{Deserialize, Deserializer};

use crate::{ARTIST_LIMIT, Credit, Description, DescriptionError, Name, StandIn, filename};

/// The credit of a song whose request and tags name no artist.
const UNKNOWN_ARTIST: &str = "Unknown artist";

/// The name of a song of which neither request, tags nor file name say one.
const UNTITLED: &str = "Untitled";

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
///
/// The credit can be given as `artist` or as `author`, the individual artists as `artists`, a list of
/// at most [`ARTIST_LIMIT`]. A patch that changes one of the two only makes the other follow it: a
/// new credit is the one artist, and new artists are credited by their names with commas between
/// them. What is set to the value that it has already makes nothing follow it. An empty list of
/// artists counts as `null`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Fields")]
#[expect(missing_docs, reason = "the fields are those of Description and its credit")]
pub struct Patch {
    pub name: Change<Name>,
    pub author: Change<Name>,
    pub artists: Change<Vec<Name>>,
    pub album: Change<Name>,
    pub album_artist: Change<Name>,
    pub track: Change<u16>,
    pub disc: Change<u16>,
    pub year: Change<u16>,
    pub genre: Change<Name>,
}

/// A patch as it is written: the credit has two names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    name: Change<Name>,
    #[serde(default)]
    artist: Change<Name>,
    #[serde(default)]
    author: Change<Name>,
    #[serde(default)]
    artists: Change<Vec<Name>>,
    #[serde(default)]
    album: Change<Name>,
    #[serde(default)]
    album_artist: Change<Name>,
    #[serde(default)]
    track: Change<u16>,
    #[serde(default)]
    disc: Change<u16>,
    #[serde(default)]
    year: Change<u16>,
    #[serde(default)]
    genre: Change<Name>,
}

impl TryFrom<Fields> for Patch {
    type Error = DescriptionError;

    fn try_from(fields: Fields) -> Result<Self, DescriptionError> {
        let author = match (fields.artist, fields.author) {
            (artist, Change::Keep) => artist,
            (Change::Keep, author) => author,
            (artist, author) if artist == author => author,
            _ => return Err(DescriptionError::TwoCredits),
        };
        if matches!(&fields.artists, Change::Set(artists) if artists.len() > ARTIST_LIMIT) {
            return Err(DescriptionError::TooManyArtists);
        }
        Ok(Self {
            name: fields.name,
            author,
            artists: fields.artists,
            album: fields.album,
            album_artist: fields.album_artist,
            track: fields.track,
            disc: fields.disc,
            year: fields.year,
            genre: fields.genre,
        })
    }
}

impl Patch {
    /// What `self` leaves as it is, as `later` has it; what `later` speaks of, as `later` says. Of the
    /// credit and its artists `later` says both or neither, unless it repeats the credit.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        fn pick<T>(first: Change<T>, later: Change<T>) -> Change<T> {
            if matches!(later, Change::Keep) { first } else { later }
        }
        fn names_any(artists: &Change<Vec<Name>>) -> bool {
            matches!(artists, Change::Set(artists) if !artists.is_empty())
        }
        let repeats = matches!(later.author, Change::Keep) || later.author == self.author;
        let (author, artists) = match (later.author, later.artists) {
            (_, Change::Keep) if repeats => (self.author, self.artists),
            (Change::Keep, artists) if !names_any(&artists) => (self.author, artists),
            said => said,
        };
        Self {
            name: pick(self.name, later.name),
            author,
            artists,
            album: pick(self.album, later.album),
            album_artist: pick(self.album_artist, later.album_artist),
            track: pick(self.track, later.track),
            disc: pick(self.disc, later.disc),
            year: pick(self.year, later.year),
            genre: pick(self.genre, later.genre),
        }
    }

    /// `self` without a name that is the file's, with or without its ending: a client that sends
    /// the one for the other knows no better name, and the tags may.
    #[must_use]
    pub fn without_name_of(mut self, filename: &str) -> Self {
        if let Change::Set(name) = &self.name
            && [filename, filename::stem(filename)]
                .iter()
                .any(|it| Name::lossy(it).as_ref() == Some(name))
        {
            self.name = Change::Keep;
        }
        self
    }

    /// The description that `self` makes of nothing.
    ///
    /// # Errors
    /// [`DescriptionError::Missing`] if it has no name or no credit.
    pub fn describe(self) -> Result<Description, DescriptionError> {
        self.complete(None)
    }

    /// `description` with `self` applied to it.
    ///
    /// # Errors
    /// [`DescriptionError::Missing`] if its name or credit would go.
    pub fn apply(self, description: Description) -> Result<Description, DescriptionError> {
        self.complete(Some(description))
    }

    /// The description that `self` makes of nothing, and what in it stands in for what `self` lacks:
    /// the title in the file's name, else `Untitled`, for the song's name, and `Unknown artist` for
    /// the credit. Tags that are read later take the place of what stands in.
    #[must_use]
    pub fn describe_meanwhile(self, filename: Option<&str>) -> (Description, Option<StandIn>) {
        let mut stand_in = StandIn { name: None, author: None };
        let mut meanwhile = self;
        if !matches!(meanwhile.name, Change::Set(_)) {
            let title = filename.map(filename::title).and_then(Name::lossy);
            stand_in.name = title.or_else(|| Name::lossy(UNTITLED));
            meanwhile.name = stand_in.name.clone().into();
        }
        if meanwhile.credit(None).is_none() {
            stand_in.author = Name::lossy(UNKNOWN_ARTIST);
            meanwhile.author = stand_in.author.clone().into();
        }
        let Ok(description) = meanwhile.describe() else {
            unreachable!("it has a name and a credit");
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
        // A person who changed it since meant what they said.
        if let Some(credit) = self.credit(None)
            && stand_in.is_some_and(|it| it.author.as_ref() == Some(complete.credit.name()))
        {
            complete.credit = credit;
        }
        if let Change::Set(name) = self.name
            && stand_in.is_some_and(|it| it.name.as_ref() == Some(&complete.name))
        {
            complete.name = name;
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
        let (mut name, mut credit, mut album, mut album_artist, mut genre) = Default::default();
        let (mut track, mut disc, mut year) = Default::default();
        if let Some(base) = base {
            (name, credit) = (Some(base.name), Some(base.credit));
            (album, album_artist, genre) = (base.album, base.album_artist, base.genre);
            (track, disc, year) = (base.track, base.disc, base.year);
        }
        let credit = self.credit(credit);
        self.name.apply(&mut name);
        self.album.apply(&mut album);
        self.album_artist.apply(&mut album_artist);
        self.track.apply(&mut track);
        self.disc.apply(&mut disc);
        self.year.apply(&mut year);
        self.genre.apply(&mut genre);
        Ok(Description {
            name: name.ok_or(DescriptionError::Missing("name"))?,
            credit: credit.ok_or(DescriptionError::Missing("artist"))?,
            album,
            album_artist,
            track,
            disc,
            year,
            genre,
        })
    }

    /// The credit that `self` makes of `base`; nothing if there is none or it would go.
    fn credit(&self, base: Option<Credit>) -> Option<Credit> {
        let same = |base: &Credit| {
            let author = match &self.author {
                Change::Keep => true,
                Change::Remove => false,
                Change::Set(name) => name == base.name(),
            };
            let artists = match &self.artists {
                Change::Keep => true,
                Change::Remove => false,
                Change::Set(artists) => artists == base.artists(),
            };
            author && artists
        };
        match (&self.author, &self.artists, base) {
            (_, _, Some(base)) if same(&base) => Some(base),
            (Change::Set(name), Change::Set(artists), _) => {
                Some(Credit::new(name.clone(), artists.clone()))
            }
            (Change::Set(name), _, _) => Some(Credit::of(name.clone())),
            (_, Change::Set(artists), _) if !artists.is_empty() => Credit::joined(artists.clone()),
            (Change::Keep, _, base) => base.map(|base| Credit::of(base.name().clone())),
            (Change::Remove, _, _) => None,
        }
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
        assert_eq!(description.credit, Credit::of(name("Björk")));
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
        let (meanwhile, stand_in) = given.describe_meanwhile(Some("03 Heima.v2.flac"));
        assert_eq!(meanwhile.name.as_str(), "Heima.v2");
        assert_eq!(meanwhile.credit, Credit::of(name("Unknown artist")));
        let tags = || Patch {
            name: Change::Set(name("Jóga")),
            author: Change::Set(name("Björk")),
            album: Change::Set(name("Homogenic")),
            year: Change::Set(1997),
            ..Patch::default()
        };
        let complete = tags().complete_from_tags(meanwhile.clone(), stand_in.as_ref());
        assert_eq!((complete.name, complete.credit), (name("Jóga"), Credit::of(name("Björk"))));
        assert_eq!((complete.album, complete.year), (Some(name("Given")), Some(1997)));

        let renamed = Description { name: name("Mine"), ..meanwhile.clone() };
        let complete = tags().complete_from_tags(renamed, stand_in.as_ref());
        assert_eq!((complete.name, complete.credit), (name("Mine"), Credit::of(name("Björk"))));

        let same = Patch { name: Change::Set(meanwhile.name.clone()), ..Patch::default() };
        let (meanwhile, stand_in) = same.describe_meanwhile(Some("03 Heima.v2.flac"));
        let complete = tags().complete_from_tags(meanwhile, stand_in.as_ref());
        assert_eq!(complete.name, name("Heima.v2"), "it was given, not made of the file's name");
    }

    #[test]
    fn a_file_whose_name_says_nothing_still_has_one() {
        for filename in [None, Some(""), Some(".flac"), Some("\u{0}.mp3")] {
            let (meanwhile, _) = Patch::default().describe_meanwhile(filename);
            assert_eq!(meanwhile.name.as_str(), "Untitled", "{filename:?}");
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
        assert_eq!(patch.apply(description), Err(DescriptionError::Missing("artist")));
        assert_eq!(Patch::default().describe(), Err(DescriptionError::Missing("name")));
    }

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| name(text)).collect()
    }

    fn credited(author: &str, artists: &[&str]) -> Description {
        let credit = Credit::new(name(author), names(artists));
        Description { credit, ..crate::testing::description("n", "a") }
    }

    #[test]
    fn the_credit_and_the_artists_follow_each_other() {
        let duet = || credited("Björk feat. Tricky", &["Björk", "Tricky"]);
        for (author, artists, expected) in [
            (Change::Set("Björk"), Change::Keep, credited("Björk", &["Björk"])),
            (Change::Set("Björk feat. Tricky"), Change::Keep, duet()),
            (Change::Keep, Change::Set(&["Björk", "Tricky"][..]), duet()),
            (Change::Keep, Change::Set(&["A", "B", "A"]), credited("A, B", &["A", "B"])),
            (Change::Remove, Change::Set(&["A"]), credited("A", &["A"])),
            (Change::Set("A & B"), Change::Set(&["A", "B"]), credited("A & B", &["A", "B"])),
            (Change::Keep, Change::Remove, credited("Björk feat. Tricky", &[])),
            (Change::Keep, Change::Set(&[]), credited("Björk feat. Tricky", &[])),
            (Change::Keep, Change::Keep, duet()),
        ] {
            let author = match author {
                Change::Set(text) => Change::Set(name(text)),
                Change::Remove => Change::Remove,
                Change::Keep => Change::Keep,
            };
            let artists = match artists {
                Change::Set(texts) => Change::Set(names(texts)),
                Change::Remove => Change::Remove,
                Change::Keep => Change::Keep,
            };
            let patch = Patch { author, artists, ..Patch::default() };
            assert_eq!(patch.clone().apply(duet()), Ok(expected), "{patch:?}");
        }
    }

    #[test]
    fn a_given_credit_does_not_keep_the_artists_of_the_tags_unless_it_is_theirs() {
        let tags = || Patch {
            author: Change::Set(name("A & B")),
            artists: Change::Set(names(&["A", "B"])),
            ..Patch::default()
        };
        let given = |author: &str| Patch {
            name: Change::Set(name("n")),
            author: Change::Set(name(author)),
            ..Patch::default()
        };
        let described = |author: &str| tags().then(given(author)).describe();
        assert_eq!(described("C"), Ok(credited("C", &["C"])));
        assert_eq!(described("A & B"), Ok(credited("A & B", &["A", "B"])));
        let only = Patch { artists: Change::Set(names(&["C", "D"])), ..Patch::default() };
        let (described, _) = tags().then(only).describe_meanwhile(None);
        assert_eq!(described.credit, Credit::new(name("C, D"), names(&["C", "D"])));
    }

    #[test]
    fn a_name_that_is_the_file_s_gives_way() {
        for (given, kept) in [("03 Jóga.flac", false), ("03 Jóga", false), ("Jóga", true)] {
            let patch = Patch { name: Change::Set(name(given)), ..Patch::default() };
            let patch = patch.without_name_of("03 Jóga.flac");
            assert_eq!(patch.name != Change::Keep, kept, "{given}");
        }
    }
}
