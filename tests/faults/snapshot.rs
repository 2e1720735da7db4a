//! All that is in a database, read past the program that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use mp4_atom::{Any, Decode as _, Moof, Moov};
use music::{Revision, Song, SongId, Status, Variant};
use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest as _, Sha256};
use store::Store;

/// The songs and uploads of a database, and every chunk by its key.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) songs: Vec<Song>,
    pub(crate) uploads: Vec<Upload>,
    chunks: BTreeMap<String, Vec<u8>>,
}

/// The record of a file of which parts are still to come.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    length: u64,
    offset: u64,
}

/// What every revision that is made of one file has, by the names of its chunks.
pub(crate) type Chunks = BTreeMap<String, Vec<u8>>;

impl Snapshot {
    pub(crate) async fn take(url: &str, store: &dyn Store) -> Self {
        let Raw { songs: ids, uploads, chunks } = match url.strip_prefix("sqlite:") {
            Some(path) => read_sqlite(path),
            None => read_mongodb(url).await,
        };
        let mut songs = Vec::new();
        for id in ids {
            let id: SongId = id.parse().expect("is an id");
            songs.push(store.get(id).await.expect("answers").expect("is a song of ours"));
        }
        Self { songs, uploads, chunks }
    }

    pub(crate) fn song(&self, id: &str) -> Option<&Song> {
        self.songs.iter().find(|song| song.id.to_string() == id)
    }

    /// Holds that nothing at all is in the database.
    pub(crate) fn assert_empty(&self) {
        assert!(self.songs.is_empty(), "{:#?}", self.songs);
        assert!(self.uploads.is_empty(), "{:#?}", self.uploads);
        let keys: Vec<_> = self.chunks.keys().collect();
        assert!(keys.is_empty(), "{keys:#?}");
    }

    /// Holds that whatever can be played is there as a whole: at any moment.
    pub(crate) fn assert_what_is_seen_is_whole(&self) {
        for song in &self.songs {
            assert_eq!(song.status == Status::Ready, song.revision.is_some(), "{song:#?}");
            if let Some(revision) = &song.revision {
                let chunks = self.revision(song.id, &revision.id.to_string());
                let names: BTreeSet<String> = chunks.keys().cloned().collect();
                assert_eq!(names, names_of(revision), "of {song:#?}");
                for variant in &revision.variants {
                    assert_plays(variant, &chunks);
                }
                assert!(self.original_is_whole(song), "the original of {song:#?}");
            }
        }
        for upload in &self.uploads {
            let received = self.received(upload);
            assert!(received.len() as u64 >= upload.offset, "{upload:?} has less than it says");
        }
    }

    /// What has arrived of an upload.
    ///
    /// # Panics
    /// If its parts do not follow one another from its first byte on.
    pub(crate) fn received(&self, upload: &Upload) -> Vec<u8> {
        let received = self.original_of(&upload.id);
        let received = received.unwrap_or_else(|| panic!("there are holes in {upload:?}"));
        assert!(received.len() as u64 <= upload.length, "{upload:?} has more than it should");
        received
    }

    /// Whether all of an upload has arrived.
    pub(crate) fn is_complete(&self, upload: &Upload) -> bool {
        self.received(upload).len() as u64 == upload.length
    }

    /// Holds that all is settled: nothing is under way or half there, and no chunk is nobody's.
    pub(crate) fn assert_settled(&self) {
        self.assert_what_is_seen_is_whole();
        assert!(self.uploads.is_empty(), "{:#?}", self.uploads);
        let mut known = BTreeSet::new();
        for song in &self.songs {
            assert_ne!(song.status, Status::Processing, "{song:#?}");
            assert_eq!((&song.attempt, song.retired.as_slice()), (&None, &[][..]), "{song:#?}");
            if song.status == Status::Failed {
                assert!(song.error.as_ref().is_some_and(|reason| !reason.is_empty()), "{song:#?}");
            }
            let revision = song.revision.as_ref().map(|revision| revision.id.to_string());
            let original = self.original(song);
            assert!(original.is_empty() || self.original_is_whole(song), "half of {song:#?}");
            known.extend(original.into_iter().map(|(key, _)| key.clone()));
            if let Some(revision) = revision {
                known.extend(
                    self.range(&format!("{}/{revision}/", song.id)).map(|(key, _)| key.clone()),
                );
            }
        }
        let nobodys: Vec<_> = self.chunks.keys().filter(|key| !known.contains(*key)).collect();
        assert!(nobodys.is_empty(), "{nobodys:#?} are nobody's");
    }

    /// The chunks of a song's revision, by their names.
    pub(crate) fn played(&self, song: &Song) -> Option<Chunks> {
        let revision = song.revision.as_ref()?;
        Some(self.revision(song.id, &revision.id.to_string()))
    }

    fn revision(&self, id: SongId, revision: &str) -> Chunks {
        let prefix = format!("{id}/{revision}/");
        self.range(&prefix)
            .map(|(key, bytes)| (key[prefix.len()..].into(), bytes.clone()))
            .collect()
    }

    fn original(&self, song: &Song) -> Vec<(&String, &Vec<u8>)> {
        self.range(&format!("{}/original/", song.id)).collect()
    }

    /// Whether a song's original is there, to the last bit.
    pub(crate) fn original_is_whole(&self, song: &Song) -> bool {
        let Some(original) = self.original_of(&song.id.to_string()) else { return false };
        // The hash of an upload is not known before its song has been looked at.
        let hash = || ingest::hexadecimal(&Sha256::digest(&original));
        original.len() as u64 == song.source.bytes
            && song.source.sha256.as_ref().is_none_or(|expected| *expected == hash())
    }

    /// The parts of an original as one, if each begins where the one before it ends.
    pub(crate) fn original_of(&self, id: &str) -> Option<Vec<u8>> {
        let mut joined = Vec::new();
        let prefix = format!("{id}/original/");
        for (key, bytes) in self.range(&prefix) {
            let offset: usize = key[prefix.len()..].parse().expect("is an offset");
            if offset != joined.len() {
                return None;
            }
            joined.extend_from_slice(bytes);
        }
        Some(joined)
    }

    fn range(&self, prefix: &str) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.chunks.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

fn names_of(revision: &Revision) -> BTreeSet<String> {
    let of_variant = |variant: &Variant| {
        let segments = (0..variant.timeline.len()).map(|number| format!("{number}.m4s"));
        let files = segments.chain(["init.mp4".to_owned()]);
        files.map(|file| format!("{}/{file}", variant.name)).collect::<Vec<_>>()
    };
    revision.variants.iter().flat_map(of_variant).collect()
}

/// Holds that a variant's boxes can be read and follow one another from its first sample to its last.
fn assert_plays(variant: &Variant, chunks: &Chunks) {
    let chunk = |file: &str| chunks[&format!("{}/{file}", variant.name)].as_slice();
    let mut init = chunk("init.mp4");
    assert!(matches!(Any::decode(&mut init), Ok(Any::Ftyp(_))), "an init section has a type");
    let moov = Moov::decode(&mut init).expect("an init section has a movie");
    let frame = moov.mvex.expect("is fragmented").trex[0].default_sample_duration;
    let mut end = 0;
    for number in 0..variant.timeline.len() {
        let bytes = chunk(&format!("{number}.m4s"));
        let mut rest = bytes;
        let moof = Moof::decode(&mut rest).expect("a segment has a fragment");
        let length = u32::from_be_bytes(rest[..4].try_into().expect("has four bytes"));
        assert_eq!((&rest[4..8], length as usize), (&b"mdat"[..], rest.len()), "segment {number}");
        let track = &moof.traf[0];
        let start = track.tfdt.as_ref().expect("is there").base_media_decode_time;
        assert_eq!(start, end, "where segment {number} begins");
        let samples = &track.trun[0].samples;
        end += samples.iter().map(|it| u64::from(it.duration.unwrap_or(frame))).sum::<u64>();
        let size: usize = samples.iter().map(|it| it.size.expect("is there") as usize).sum();
        assert_eq!(size + 8, rest.len(), "segment {number}");
    }
    assert_eq!(end, u64::from(variant.media_time) + variant.timeline.samples());
}

/// What a database holds, as it holds it.
struct Raw {
    /// Ids.
    songs: Vec<String>,
    uploads: Vec<Upload>,
    chunks: BTreeMap<String, Vec<u8>>,
}

fn read_sqlite(path: &str) -> Raw {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).expect("opens");
    // One state of the file, whatever is written meanwhile.
    let state = connection.transaction().expect("begins");
    let mut songs = state.prepare("SELECT id FROM songs").expect("is SQL");
    let songs = songs.query_map([], |row| row.get(0)).expect("answers");
    let uploads = "SELECT id, record ->> 'length', upload_offset FROM uploads";
    let mut uploads = state.prepare(uploads).expect("is SQL");
    let upload = |row: &Row<'_>| -> rusqlite::Result<Upload> {
        let (length, offset): (i64, i64) = (row.get(1)?, row.get(2)?);
        let [length, offset] = [length, offset].map(i64::cast_unsigned);
        Ok(Upload { id: row.get(0)?, length, offset })
    };
    let uploads = uploads.query_map([], upload).expect("answers");
    let mut chunks = state.prepare("SELECT key, bytes FROM chunks").expect("is SQL");
    let chunks = chunks.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("answers");
    Raw {
        songs: songs.collect::<Result<_, _>>().expect("answers"),
        uploads: uploads.collect::<Result<_, _>>().expect("answers"),
        chunks: chunks.collect::<Result<_, _>>().expect("answers"),
    }
}

async fn read_mongodb(url: &str) -> Raw {
    let client = Client::with_uri_str(url).await.expect("connects");
    let database = client.default_database().expect("is named");
    let all = async |collection: &str| -> Vec<Document> {
        let found = database.collection(collection).find(doc! {}).await.expect("finds");
        found.try_collect().await.expect("finds")
    };
    let id = |document: &Document| document.get_str("_id").expect("is text").to_owned();
    let bytes = |it: &Document| it.get_binary_generic("chunk_bytes").expect("are bytes").clone();
    let upload = |it: &Document| {
        let number = |name| it.get_i64(name).expect("is a number").cast_unsigned();
        Upload { id: id(it), length: number("length"), offset: number("offset") }
    };
    // Chunks last: those of a song that is deleted in between would be missing, not left.
    Raw {
        songs: all("musics").await.iter().map(id).collect(),
        uploads: all("uploads").await.iter().map(upload).collect(),
        chunks: all("chunks").await.iter().map(|it| (id(it), bytes(it))).collect(),
    }
}
