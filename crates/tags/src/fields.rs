//! The values that tags give, and which of several tags is believed.

use crate::{Result, Stopped, date, genre, text};

/// How many values of one field are kept.
const VALUE_LIMIT: usize = 64;

/// How many bytes of text are kept of one field. A longer value is cut, further values are dropped.
const TEXT_LIMIT: usize = 64 * 1024;

/// A field that tags give. Values of each are in [`Tags::all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The name of the song.
    Title,
    /// The performers, one value each, or one value that credits them all.
    Artist,
    /// The performers one by one, where [`Field::Artist`] is a credit (as Picard writes them).
    Artists,
    /// The name of the release.
    Album,
    /// Who the release is by.
    AlbumArtist,
    /// Who wrote the music.
    Composer,
    /// Genres by name.
    Genre,
    /// The number of the song on its disc, from 1, in digits.
    Track,
    /// How many songs the disc has, in digits.
    TrackTotal,
    /// The number of the disc, from 1, in digits.
    Disc,
    /// How many discs the release has, in digits.
    DiscTotal,
    /// When it was recorded or, in formats with only one date, that date. Has a year in it.
    Recorded,
    /// When this release came out. Has a year in it.
    Released,
    /// When the first release came out. Has a year in it.
    Original,
    /// `1` if the release is a compilation of several artists.
    Compilation,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 15] = [
        Self::Title,
        Self::Artist,
        Self::Artists,
        Self::Album,
        Self::AlbumArtist,
        Self::Composer,
        Self::Genre,
        Self::Track,
        Self::TrackTotal,
        Self::Disc,
        Self::DiscTotal,
        Self::Recorded,
        Self::Released,
        Self::Original,
        Self::Compilation,
    ];
}

/// A number and the number of all, as in `2/10`. Neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the type says it")]
pub struct Position {
    pub number: Option<u32>,
    pub total: Option<u32>,
}

/// What the tags of a file say.
#[derive(Debug, Default)]
pub struct Tags {
    fields: Fields,
    bits: Option<u8>,
    stopped: Option<Stopped>,
}

impl Tags {
    /// The values of a field, in the file's order, each once and without white space around it.
    /// None is empty.
    #[must_use]
    pub fn all(&self, field: Field) -> &[String] {
        self.fields.get(field)
    }

    /// The first value of a field.
    #[must_use]
    pub fn first(&self, field: Field) -> Option<&str> {
        self.all(field).first().map(String::as_str)
    }

    /// The artists, one by one if the tags have them so. Where no tag names an artist of the song,
    /// they are those of the album.
    #[must_use]
    pub fn artists(&self) -> &[String] {
        let fields = [Field::Artists, Field::Artist, Field::AlbumArtist];
        fields.map(|field| self.all(field)).into_iter().find(|it| !it.is_empty()).unwrap_or(&[])
    }

    /// How the song credits its artists: the values of [`Field::Artist`], or of the fields that
    /// stand in for it. More than one if no tag has a credit of its own.
    #[must_use]
    pub fn credit(&self) -> &[String] {
        match self.all(Field::Artist) {
            [] => self.artists(),
            credit => credit,
        }
    }

    /// The place of the song on its disc.
    #[must_use]
    pub fn track(&self) -> Position {
        self.position(Field::Track, Field::TrackTotal)
    }

    /// The place of the disc in the release.
    #[must_use]
    pub fn disc(&self) -> Position {
        self.position(Field::Disc, Field::DiscTotal)
    }

    /// The year of the recording, else of this release, else of the original release; from 1000 to
    /// 2999.
    #[must_use]
    pub fn year(&self) -> Option<u16> {
        let dates = [Field::Recorded, Field::Released, Field::Original];
        dates.into_iter().find_map(|field| date::year(self.first(field)?))
    }

    /// Whether the tags call the release a compilation.
    #[must_use]
    pub fn is_compilation(&self) -> bool {
        self.first(Field::Compilation) == Some("1")
    }

    /// Bits per sample, where the container tells: FLAC, and ALAC and FLAC in MP4.
    #[must_use]
    pub fn bits(&self) -> Option<u8> {
        self.bits
    }

    /// Why reading ended early, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    fn position(&self, number: Field, total: Field) -> Position {
        let number_of = |field| self.first(field)?.parse().ok();
        Position { number: number_of(number), total: number_of(total) }
    }
}

/// A field under one of the names that a format has for it. Where a tag gives a field under several
/// names, as `ALBUMARTIST` and `ALBUMARTISTS`, the values of one are taken: that of the lowest order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    pub(crate) field: Field,
    pub(crate) order: usize,
}

impl From<Field> for Named {
    fn from(field: Field) -> Self {
        Self { field, order: 0 }
    }
}

/// The values of one tag.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// By the number of the field.
    values: [Values; Field::ALL.len()],
}

#[derive(Debug, Default)]
struct Values {
    texts: Vec<String>,
    /// That of the name under which they were given.
    order: usize,
}

impl Fields {
    fn get(&self, field: Field) -> &[String] {
        &self.values[field as usize].texts
    }

    /// Takes what a tag says of a field. NUL separates values. What says nothing is ignored.
    pub(crate) fn add(&mut self, named: impl Into<Named>, text: &str) {
        let named = named.into();
        for value in text.split('\0').filter_map(text::clean) {
            match named.field {
                Field::Track => self.add_position(named, Field::TrackTotal, value),
                Field::Disc => self.add_position(named, Field::DiscTotal, value),
                Field::TrackTotal | Field::DiscTotal => self.add_number(named, value),
                Field::Genre => {
                    for genre in genre::genres(value) {
                        self.push(named, genre);
                    }
                }
                Field::Recorded | Field::Released | Field::Original => {
                    if date::year(value).is_some() {
                        self.push(named, value);
                    }
                }
                _ => self.push(named, value),
            }
        }
    }

    /// Takes `2`, `02` or `2/10`.
    fn add_position(&mut self, number: Named, total: Field, value: &str) {
        let (first, second) = value.split_once('/').unwrap_or((value, ""));
        self.add_number(number, first);
        self.add_number(Named { field: total, ..number }, second);
    }

    /// Takes the digits that a text begins with, unless they are a zero.
    pub(crate) fn add_number(&mut self, named: impl Into<Named>, text: &str) {
        let text = text.trim_start();
        let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
        if let Some(number) = text[..end].parse::<u32>().ok().filter(|number| *number > 0) {
            self.push(named.into(), &number.to_string());
        }
    }

    fn push(&mut self, named: Named, value: &str) {
        let values = &mut self.values[named.field as usize];
        if values.texts.is_empty() || named.order < values.order {
            *values = Values { texts: Vec::new(), order: named.order };
        }
        if named.order > values.order {
            return;
        }
        let values = &mut values.texts;
        let value = &value[..value.floor_char_boundary(TEXT_LIMIT)];
        let kept: usize = values.iter().map(String::len).sum();
        if values.len() < VALUE_LIMIT
            && kept + value.len() <= TEXT_LIMIT
            && !values.iter().any(|it| it == value)
        {
            values.push(value.to_owned());
        }
    }

    /// Takes the values of fields that have none yet.
    fn fill(&mut self, other: Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            if mine.texts.is_empty() {
                *mine = theirs;
            }
        }
    }
}

/// Which tag is believed where several tags of a file give a field: the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The kind that belongs to the format.
    Own,
    /// Another kind that belongs to the format, and is less exact.
    OwnOld,
    /// A kind that was put before or behind the format, `ID3v2` or APE.
    Foreign,
    /// `ID3v1`, which cuts texts.
    Cut,
}

/// What was found in a file so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    tags: [Fields; 4],
    pub(crate) bits: Option<u8>,
}

impl Found {
    /// Reads one tag. What was read is kept if reading stops. Of several tags of one rank, the first
    /// is believed.
    pub(crate) fn tag<T>(
        &mut self,
        rank: Rank,
        read: impl FnOnce(&mut Fields) -> Result<T>,
    ) -> Result<T> {
        let mut fields = Fields::default();
        let result = read(&mut fields);
        self.tags[rank as usize].fill(fields);
        result
    }

    pub(crate) fn finish(self, stopped: Option<Stopped>) -> Tags {
        let mut fields = Fields::default();
        for tag in self.tags {
            fields.fill(tag);
        }
        Tags { fields, bits: self.bits, stopped }
    }
}
