//! The statement that makes a list: which index it goes along.
//!
//! Every list comes in the order of an index and ends once the page is full. Where several words
//! are asked for, it goes along the songs that have the rarest, and looks the others up.

use rusqlite::{Connection, types::Value};

use super::{Failure, count, songs::status_text};
use crate::Query;

/// Up to so many matches of a word are counted, to find the rarest. Where all have more, passing
/// over those that lack another is quick enough whichever is taken.
const FEW: i64 = 4_000;

/// A statement for rows of `id`, `schema`, `record`.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// Writes the statement. It asks for one song more than the page holds.
pub(super) fn statement(connection: &Connection, query: &Query) -> Result<Statement, Failure> {
    let mut words: Vec<&str> = query.words.iter().map(String::as_str).collect();
    if query.album.is_none() && words.len() > 1 {
        let rarest = rarest(connection, &words)?;
        words.swap(0, rarest);
    }
    Ok(Builder::default().statement(query, &words))
}

/// Which of the words has the fewest matches.
fn rarest(connection: &Connection, words: &[&str]) -> Result<usize, Failure> {
    let mut fewest = (FEW, 0);
    let mut find = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM prefixes WHERE prefix = ?1 LIMIT ?2)",
    )?;
    for (index, word) in words.iter().enumerate() {
        // No need to count further than to the fewest there are so far.
        let count = find.query_one((word, fewest.0), |row| row.get(0))?;
        fewest = fewest.min((count, index));
    }
    Ok(fewest.1)
}

#[derive(Default)]
struct Builder {
    values: Vec<Value>,
}

impl Builder {
    /// Goes along the songs of the album, of the first word, or of the status.
    fn statement(mut self, query: &Query, words: &[&str]) -> Statement {
        let status = self.value(status_text(query.status).to_owned());
        // CROSS JOIN: in this order.
        let (from, id, others) = match (&query.album, words) {
            (None, [first, others @ ..]) => {
                let first = self.value((*first).to_owned());
                let from = format!(
                    "prefixes AS first CROSS JOIN songs ON songs.id = first.song
                     WHERE first.prefix = {first} AND songs.status = {status}"
                );
                (from, "first.song", others)
            }
            (_, words) => (format!("songs WHERE songs.status = {status}"), "songs.id", words),
        };
        let mut text = format!("SELECT songs.id, songs.schema, songs.record FROM {from}");
        if let Some(album) = &query.album {
            text += &format!(" AND songs.album = {}", self.value(album.as_str().to_owned()));
        }
        for word in others {
            let word = self.value((*word).to_owned());
            text += &format!(
                " AND EXISTS (SELECT 1 FROM prefixes AS other WHERE other.prefix = {word} AND other.song = {id})"
            );
        }
        if let Some(after) = query.after {
            let after_id = self.value(after.id.to_string());
            text += &match query.album {
                Some(_) => {
                    let position = self.value(after.album_position);
                    format!(" AND (songs.album_position, songs.id) > ({position}, {after_id})")
                }
                None => format!(" AND {id} < {after_id}"),
            };
        }
        let order = match query.album {
            Some(_) => "songs.album_position, songs.id".to_owned(),
            None => format!("{id} DESC"),
        };
        text += &format!(
            " ORDER BY {order} LIMIT {}",
            self.value(count(query.limit.saturating_add(1)))
        );
        Statement { text, values: self.values }
    }

    /// The name of a parameter with a value.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use music::{Description, Song, Status, query_words, testing};
    use rusqlite::params_from_iter;

    use super::*;
    use crate::{Cursor, Songs, sqlite::Sqlite, testing::TestDatabase};

    fn song(number: usize) -> Song {
        let colour = ["red", "blue", "reddish green"][number % 3];
        let title = format!("Title {number} of {colour}");
        let mut song = testing::processing(Description {
            album: Some(testing::name(&format!("Album {}", number % 5))),
            track: Some(u16::try_from(number % 4).expect("fits")),
            ..testing::description(&title, &format!("Author {}", number % 7))
        });
        song.status = if number % 10 == 9 { Status::Failed } else { Status::Ready };
        song
    }

    fn queries(songs: &[Song]) -> Vec<Query> {
        let middle = &songs[songs.len() / 2];
        let cursor = Cursor { album_position: middle.description.album_position(), id: middle.id };
        let mut queries = Vec::new();
        for words in [
            "",
            "t",
            "title",
            "red",
            "reddish",
            "red 3",
            "a 5 t b",
            "11",
            "none",
            "red blue",
            "\u{10ffff}",
        ] {
            for album in [None, Some(testing::name("Album 2"))] {
                for after in [None, Some(cursor)] {
                    for status in [Status::Ready, Status::Failed] {
                        let (words, album) = (query_words(words), album.clone());
                        queries.push(Query { status, words, album, after, limit: 7 });
                    }
                }
            }
        }
        queries
    }

    fn rows(connection: &Connection, statement: Statement) -> Vec<String> {
        let mut find = connection.prepare(&statement.text).expect("is a statement");
        let rows =
            find.query_map(params_from_iter(statement.values), |row| row.get(0)).expect("runs");
        rows.collect::<Result<_, _>>().expect("are rows")
    }

    /// Every step of what SQLite would do.
    fn plan(connection: &Connection, statement: &Statement) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {}", statement.text);
        let mut find = connection.prepare(&explain).expect("is a statement");
        let rows =
            find.query_map(params_from_iter(&statement.values), |row| row.get(3)).expect("runs");
        rows.collect::<Result<_, _>>().expect("are rows")
    }

    async fn library() -> (TestDatabase, Vec<Song>, Connection) {
        let database = TestDatabase::sqlite();
        let path = database.url().strip_prefix("sqlite:").expect("is a file").to_owned();
        let store = Sqlite::open(&path).await.expect("opens");
        let songs: Vec<_> = (0..120).map(song).collect();
        for song in &songs {
            store.insert(song).await.expect("inserts");
        }
        let connection = Connection::open(path).expect("opens");
        (database, songs, connection)
    }

    #[tokio::test]
    async fn whichever_word_a_search_goes_along_it_finds_the_same() {
        let (_database, songs, connection) = library().await;
        for query in queries(&songs) {
            let mut words: Vec<&str> = query.words.iter().map(String::as_str).collect();
            let expected = rows(&connection, Builder::default().statement(&query, &words));
            for _ in 0..words.len() {
                words.rotate_left(1);
                let found = rows(&connection, Builder::default().statement(&query, &words));
                assert_eq!(found, expected, "{query:?}, by {words:?}");
            }
        }
    }

    #[tokio::test]
    async fn no_list_scans_or_sorts() {
        let (_database, songs, connection) = library().await;
        for analyzed in [false, true] {
            if analyzed {
                connection.execute_batch("ANALYZE").expect("analyzes");
            }
            for query in queries(&songs) {
                let Ok(statement) = statement(&connection, &query) else {
                    panic!("is no statement")
                };
                for step in plan(&connection, &statement) {
                    let is_by_index = step.starts_with("SEARCH") || step.starts_with("CORRELATED");
                    assert!(is_by_index, "{step}: {query:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn the_rarest_word_is_gone_along() {
        let (_database, _, connection) = library().await;
        let rarest = |words: &[&str]| rarest(&connection, words).ok();
        assert_eq!(rarest(&["title", "red", "11"]), Some(2));
        assert_eq!(rarest(&["11", "title"]), Some(0));
        assert_eq!(rarest(&["title", "none"]), Some(1));
        let words = query_words("title 11");
        let query = Query { status: Status::Ready, words, album: None, after: None, limit: 1 };
        let Ok(statement) = statement(&connection, &query) else { panic!("is no statement") };
        assert_eq!(statement.values[1], Value::from("11".to_owned()));
        let many = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FEW})
             INSERT INTO prefixes SELECT 'common', i FROM n"
        );
        connection.execute_batch(&many).expect("inserts");
        assert_eq!(rarest(&["common", "title"]), Some(1));
    }
}
