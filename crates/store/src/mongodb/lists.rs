//! Lists of songs: which index each goes along, and how it is asked for.

use futures_util::StreamExt;
use mongodb::{
    bson::{Document, doc},
    options::{FindOptions, Hint},
};
use music::Song;

use super::{
    MongoDb, code, document,
    gate::{Collections, READ_LIMIT},
};
use crate::{Error, Query, Result, SCHEMA};

/// The longest list there is; the protocol counts in 32 bits.
const LIMIT: u32 = 1_000_000;

/// What a server says of an index that it does not have.
const BAD_VALUE: i32 = 2;

/// Which songs, in which order, along which index, how many.
pub(super) struct Find {
    pub(super) filter: Document,
    pub(super) sort: Option<Document>,
    pub(super) along: Option<Document>,
    pub(super) limit: usize,
}

/// The newest of a status.
pub(super) fn by_status() -> Document {
    doc! { "status": 1, "_id": 1 }
}

/// An album in its order.
pub(super) fn by_album() -> Document {
    doc! { "status": 1, "album": 1, "album_position": 1, "_id": 1 }
}

/// The newest that have a word with this beginning.
///
/// What several conditions of a search are on comes first: the server tries which of them is met by
/// the fewest songs for the first field of an index only.
pub(super) fn by_prefix() -> Document {
    doc! { "prefixes": 1, "status": 1, "_id": 1 }
}

/// The songs of a list, and one more than its page holds.
///
/// There is one right index for each shape of a list, one that has its order, and it is named. Left
/// to choose, the server now and then repeats for one search what was best for another: with a word
/// of every song and a word of one, it went through every song.
pub(super) fn of(query: &Query) -> Result<Find> {
    let mut filter =
        doc! { "status": mongodb::bson::serialize_to_bson(&query.status).map_err(Error::backend)? };
    if !query.words.is_empty() {
        filter.insert("prefixes", doc! { "$all": &query.words });
    }
    let (sort, along) = if let Some(album) = &query.album {
        filter.insert("album", album.as_str());
        if let Some(after) = query.after {
            // The first condition says nothing that the second does not; it is where the index is
            // entered.
            filter.insert("album_position", doc! { "$gte": after.album_position });
            let later = doc! { "album_position": { "$gt": after.album_position } };
            filter.insert("$or", [later, doc! { "_id": { "$gt": after.id.to_string() } }]);
        }
        (doc! { "album_position": 1, "_id": 1 }, by_album())
    } else {
        if let Some(after) = query.after {
            filter.insert("_id", doc! { "$lt": after.id.to_string() });
        }
        (doc! { "_id": -1 }, if query.words.is_empty() { by_status() } else { by_prefix() })
    };
    Ok(Find { filter, sort: Some(sort), along: Some(along), limit: query.limit.saturating_add(1) })
}

impl MongoDb {
    /// Songs, in one round trip.
    pub(super) async fn find(&self, mut find: Find) -> Result<Vec<Song>> {
        if find.limit == 0 {
            // To the server it would mean all.
            return Ok(Vec::new());
        }
        // Not the predecessor's; a newer one is found, and refused.
        find.filter.insert("schema", doc! { "$gte": SCHEMA });
        let found = self.gate.read(|db| async move {
            match try_find(&db, &find).await {
                // Nobody has written a song yet, or the server did not make the index.
                Err(error) if code(&error) == Some(BAD_VALUE) && find.along.is_some() => {
                    try_find(&db, &Find { along: None, ..find }).await
                }
                found => found,
            }
        });
        found.await?.into_iter().collect()
    }
}

async fn try_find(db: &Collections, find: &Find) -> mongodb::error::Result<Vec<Result<Song>>> {
    let limit = limit_of(find.limit);
    let options = FindOptions::builder()
        .sort(find.sort.clone())
        .hint(find.along.clone().map(Hint::Keys))
        .limit(i64::from(limit))
        // All in one reply.
        .batch_size(limit)
        // The server gives up where we do.
        .max_time(READ_LIMIT)
        .build();
    let mut cursor = db.songs.find(find.filter.clone()).with_options(options).batch().await?;
    let mut found = Vec::new();
    while let Some(batch) = cursor.next().await {
        for document in batch?.doc_slices()? {
            let document = document?
                .as_document()
                .ok_or_else(|| mongodb::error::Error::custom("not a document".to_owned()))?;
            found.extend(document::song(document).transpose());
        }
    }
    Ok(found)
}

/// A limit as the protocol has it.
pub(super) fn limit_of(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX).min(LIMIT)
}
