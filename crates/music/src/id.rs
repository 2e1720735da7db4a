//! Identifiers of songs and revisions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A path or document held something where an id belongs that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: {0:?}")]
pub struct InvalidId(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A `UUIDv7` (RFC 9562 §5.7): ids sort by the time they were made, to the millisecond.
        /// Its one spelling is lower case with hyphens; any other is refused, so that one thing
        /// has one URL.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id of the present moment.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "two new ids are never equal")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text)
                    .ok()
                    .filter(|uuid| uuid.get_version_num() == 7)
                    .map(Self)
                    .filter(|id| id.to_string() == text)
                    .ok_or_else(|| InvalidId(text.chars().take(64).collect()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id! {
    /// Identifies a [`Song`](crate::Song), for as long as it lives.
    SongId
}

id! {
    /// Identifies one attempt to ingest a song and, once it is committed, the
    /// [`Revision`](crate::Revision) that it made.
    RevisionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_own_spelling() {
        let id = SongId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let id = SongId::new().to_string();
        for text in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("{id}/"),
            "67e55044-10b1-426f-9247-bb680e5fe0c8".into(),
            "..".into(),
            String::new(),
        ] {
            assert!(text.parse::<SongId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let ids: Vec<_> = std::iter::repeat_with(SongId::new).take(1000).collect();
        assert!(ids.is_sorted_by(|a, b| a.to_string() < b.to_string()));
    }
}
