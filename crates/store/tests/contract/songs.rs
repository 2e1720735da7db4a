//! Claims about the records of songs.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use music::{Credit, Description, Retired, RevisionId, Song, SongId, Source, Status, query_words};
use store::{ChunkGroup, Cursor, Error, Query};

use crate::place::{
    Kind, Place, any_description, attempt, attempt_of, description, in_seconds, name, ready,
    revision, song, source,
};

fn everything() -> Query {
    Query { status: Status::Ready, words: Vec::new(), album: None, after: None, limit: 100 }
}

pub(crate) async fn a_song_reads_back_as_it_was_inserted(place: &Place) {
    let song = song();
    place.store.insert(&song).await.expect("inserts");
    assert_eq!(place.store.get(song.id).await.expect("gets"), Some(song));
}

pub(crate) async fn a_song_with_every_field_reads_back(place: &Place) {
    let mut source = source();
    source.filename = Some("01 – Jóga.flac".to_owned());
    source.media.as_mut().expect("is known").bits = Some(24);
    source.bytes = u64::from(u32::MAX) + 1;
    let description = Description {
        album: Some(name("Homogenic")),
        album_artist: Some(name("Björk")),
        track: Some(u16::MAX),
        disc: Some(1),
        year: Some(1997),
        genre: Some(name("Électronique 電子")),
        credit: Credit::new(name("Björk & $Tricky"), vec![name("Björk"), name("$Tricky")]),
        ..description("Jóga", "Björk")
    };
    let mut song = Song::new(description, source, SignedDuration::from_mins(1));
    song.attempt.as_mut().expect("is under way").progress = 0.123_456_789;
    song.revision = Some(revision(RevisionId::new()));
    song.retired = vec![
        Retired::fruitless(RevisionId::new(), in_seconds(-1)),
        Retired::superseded(revision(RevisionId::new()), in_seconds(3600)),
    ];
    song.status = Status::Ready;
    song.error = Some("the file ends early".to_owned());
    song.version = 1 << 40;
    place.store.insert(&song).await.expect("inserts");
    assert_eq!(place.store.get(song.id).await.expect("gets"), Some(song));
}

pub(crate) async fn texts_mean_themselves_and_nothing_else(place: &Place) {
    let texts = [
        "$name",
        "$$REMOVE",
        "{\"$set\": 1}",
        "a.b.$",
        "'; DROP TABLE songs; --",
        "%_*?[a]",
        "null",
        "0",
    ];
    for text in texts {
        let description = Description { album: Some(name(text)), ..description(text, text) };
        let song = Song::new(description.clone(), source(), SignedDuration::from_mins(1));
        place.store.insert(&song).await.expect("inserts");
        place.store.describe(song.id, 1, &description).await.expect("describes").expect("is there");
        let id = attempt_of(&song).id;
        place.store.fail(song.id, id, text).await.expect("fails");
        let read = place.store.get(song.id).await.expect("gets").expect("is there");
        assert_eq!((&read.description, read.error.as_deref()), (&description, Some(text)));
        let mut revision = revision(RevisionId::new());
        text.clone_into(&mut revision.variants[0].name);
        let attempt = music::Attempt { id: revision.id, ..attempt(in_seconds(60)) };
        assert!(place.store.begin(song.id, &attempt, music::now()).await.expect("begins"));
        assert!(place.store.commit(song.id, &revision, music::now()).await.expect("commits"));
        let read = place.store.get(song.id).await.expect("gets").expect("is there");
        assert_eq!(read.revision, Some(revision), "{text}");
        let query = Query { album: Some(name(text)), ..everything() };
        assert_eq!(place.store.list(&query).await.expect("lists").songs, [read], "{text}");
    }
}

pub(crate) async fn a_song_is_inserted_only_once(place: &Place) {
    let song = song();
    place.store.insert(&song).await.expect("inserts");
    let other = Song { description: any_description(), ..song.clone() };
    let refused = place.store.insert(&other).await;
    assert!(matches!(refused, Err(Error::Backend(_))), "{refused:?}");
    assert_eq!(place.store.get(song.id).await.expect("gets"), Some(song));
}

pub(crate) async fn an_unknown_song_is_nothing_and_cannot_be_changed(place: &Place) {
    // A neighbour that must not be taken for it.
    place.store.insert(&song()).await.expect("inserts");
    let store = &place.store;
    let (id, attempt) = (SongId::new(), attempt(in_seconds(60)));
    assert_eq!(store.get(id).await.expect("gets"), None);
    assert_eq!(store.describe(id, 1, &any_description()).await.expect("describes"), None);
    assert!(!store.remove(id).await.expect("removes"));
    assert!(!store.begin(id, &attempt, music::now()).await.expect("begins"));
    assert!(!store.renew(id, &attempt).await.expect("renews"));
    assert!(!store.commit(id, &revision(attempt.id), music::now()).await.expect("commits"));
    assert!(!store.fail(id, attempt.id, "no").await.expect("fails"));
    store.forget(id, attempt.id).await.expect("forgets");
    assert_eq!(store.get(id).await.expect("gets"), None);
}

pub(crate) async fn a_description_replaces_all_of_the_one_before(place: &Place) {
    let song = ready(Description {
        album: Some(name("Album")),
        album_artist: Some(name("Artist")),
        track: Some(1),
        disc: Some(2),
        year: Some(3),
        genre: Some(name("Genre")),
        credit: Credit::new(name("A & B"), vec![name("A"), name("B")]),
        ..any_description()
    });
    place.store.insert(&song).await.expect("inserts");
    let plain = any_description();
    let first =
        place.store.describe(song.id, 1, &plain).await.expect("describes").expect("is there");
    assert_eq!(first.description, plain);
    assert_eq!(place.store.get(song.id).await.expect("gets"), Some(first));
    let second = place.store.describe(song.id, 2, &song.description).await.expect("describes");
    assert_eq!(second.expect("is there").description, song.description);
}

pub(crate) async fn a_description_for_a_stale_version_changes_nothing(place: &Place) {
    let song = song();
    place.store.insert(&song).await.expect("inserts");
    place.store.renew(song.id, &attempt_of(&song)).await.expect("renews");
    let now = place.store.get(song.id).await.expect("gets");
    for version in [0, 1, 3, u64::MAX] {
        let refused = place.store.describe(song.id, version, &any_description()).await;
        assert_eq!(refused.expect("describes"), None, "{version}");
    }
    assert_eq!(place.store.get(song.id).await.expect("gets"), now);
}

pub(crate) async fn of_descriptions_for_one_version_one_wins(place: &Place) {
    let song = song();
    place.store.insert(&song).await.expect("inserts");
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, id) = (Arc::clone(&place.store), song.id);
            tokio::spawn(async move { store.describe(id, 1, &any_description()).await })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.expect("runs").expect("describes"));
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0].version, 2);
    assert_eq!(place.store.get(song.id).await.expect("gets").as_ref(), winners.first());
}

pub(crate) async fn every_change_raises_the_version_and_the_time(place: &Place) {
    let store = &place.store;
    let mut song = song();
    song.updated_at = in_seconds(-60);
    store.insert(&song).await.expect("inserts");
    let first = attempt_of(&song);
    let second = attempt(in_seconds(60));
    let mut before = song.clone();
    for change in 0..7 {
        match change {
            0 => drop(
                store
                    .describe(song.id, before.version, &any_description())
                    .await
                    .expect("describes"),
            ),
            1 => drop(store.renew(song.id, &first).await.expect("renews")),
            2 => drop(
                store.commit(song.id, &revision(first.id), in_seconds(0)).await.expect("commits"),
            ),
            3 => drop(store.begin(song.id, &second, music::now()).await.expect("begins")),
            4 => drop(store.fail(song.id, second.id, "reason").await.expect("fails")),
            5 => store.forget(song.id, second.id).await.expect("forgets"),
            _ => {
                let third = attempt(in_seconds(60));
                assert!(store.begin(song.id, &third, music::now()).await.expect("begins"));
            }
        }
        let after = store.get(song.id).await.expect("gets").expect("is there");
        assert_eq!(after.version, before.version + 1, "change {change}");
        assert!(after.updated_at > before.updated_at, "change {change}");
        assert_eq!(after.created_at, song.created_at);
        before = after;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn a_removed_song_is_gone_for_every_reader(place: &Place) {
    let [song] = &place.insert_ready([any_description()]).await[..] else { panic!("is one") };
    let another = place.another_store().await;
    assert_eq!(another.get(song.id).await.expect("gets").as_ref(), Some(song));
    assert!(place.store.remove(song.id).await.expect("removes"));
    let words = song.description.words();
    for store in [&place.store, &another] {
        assert_eq!(store.get(song.id).await.expect("gets"), None);
        assert_eq!(store.list(&everything()).await.expect("lists").songs, []);
        let query = Query { words: words.clone(), ..everything() };
        assert_eq!(store.list(&query).await.expect("lists").songs, []);
        assert!(!store.remove(song.id).await.expect("removes"));
    }
}

pub(crate) async fn another_store_sees_what_was_written(place: &Place) {
    let another = place.another_store().await;
    let song = song();
    place.store.insert(&song).await.expect("inserts");
    assert_eq!(another.get(song.id).await.expect("gets").as_ref(), Some(&song));
    assert!(another.renew(song.id, &attempt_of(&song)).await.expect("renews"));
    assert_eq!(place.store.get(song.id).await.expect("gets").map(|song| song.version), Some(2));
}

pub(crate) async fn a_newer_song_is_refused_and_left_alone(place: &Place) {
    let store = &place.store;
    let mut song = ready(any_description());
    song.attempt = Some(attempt(in_seconds(-1)));
    song.retired = vec![Retired::fruitless(RevisionId::new(), in_seconds(-1))];
    let (attempt, now) = (attempt_of(&song), music::now());
    store.insert(&song).await.expect("inserts");
    place.make_newer(Kind::Song, &song.id.to_string()).await;

    let after = Cursor { album_position: 0, id: SongId::new() };
    let page = Query { after: Some(after), words: song.description.words(), ..everything() };
    let answers = [
        store.get(song.id).await.map(drop),
        store.list(&everything()).await.map(drop),
        store.list(&page).await.map(drop),
        store.describe(song.id, 1, &any_description()).await.map(drop),
        store.identify(song.id, 1, &song.source, &any_description()).await.map(drop),
        store.begin(song.id, &attempt, now).await.map(drop),
        store.renew(song.id, &attempt).await.map(drop),
        store.commit(song.id, &revision(attempt.id), now).await.map(drop),
        store.fail(song.id, attempt.id, "reason").await.map(drop),
        store.expired(now, 10).await.map(drop),
        store.removable(now, 10).await.map(drop),
        store.forget(song.id, song.retired[0].id).await,
        store.remove(song.id).await.map(drop),
        store.get(song.id).await.map(drop),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(
            matches!(answer, Err(Error::NewerSchema { schema: 2, .. })),
            "answer {number}: {answer:?}"
        );
    }
}

pub(crate) async fn a_store_that_answers_says_so(place: &Place) {
    place.store.ping().await.expect("answers");
    assert_eq!(place.store.groups(None::<(SongId, ChunkGroup)>, 10).await.expect("lists"), []);
    assert_eq!(place.store.list(&everything()).await.expect("lists").songs, []);
}

pub(crate) async fn what_a_file_turned_out_to_be_is_told_once_and_from_the_right_version(
    place: &Place,
) {
    let mut song = song();
    let known = song.source.clone();
    (song.source.media, song.source.sha256) = (None, None);
    song.stand_in =
        Some(music::StandIn { name: Some(song.description.name.clone()), author: None });
    place.store.insert(&song).await.expect("inserts");
    assert_eq!(place.store.get(song.id).await.expect("reads"), Some(song.clone()));

    let described = Description { album: Some(name("Album")), ..any_description() };
    for (version, expected) in [(2, false), (1, true), (1, false)] {
        let told = place.store.identify(song.id, version, &known, &described).await;
        assert_eq!(told.expect("answers"), expected, "{version}");
    }
    let told = place.store.get(song.id).await.expect("reads").expect("is there");
    assert_eq!((told.version, &told.source, &told.stand_in), (2, &known, &None));
    assert_eq!(told.description, described);
    let words = query_words(described.name.as_str());
    let query = Query { words, status: Status::Processing, ..everything() };
    let found = place.store.list(&query).await.expect("lists").songs;
    assert!(found.iter().any(|found| found.id == song.id), "it is found by its new name");
}

pub(crate) async fn songs_are_found_by_the_hash_of_their_file(place: &Place) {
    let songs = place.insert_ready([any_description(), any_description()]).await;
    let mut other = song();
    other.source.sha256 = None;
    place.store.insert(&other).await.expect("inserts");
    let sha256 = songs[0].source.sha256.clone().expect("is known");
    let ids = |songs: Vec<Song>| songs.into_iter().map(|song| song.id).collect::<Vec<_>>();
    let found = place.store.made_of(&sha256, 10).await.expect("finds");
    assert_eq!(ids(found), [songs[1].id, songs[0].id], "newest first");
    assert_eq!(place.store.made_of(&sha256, 1).await.expect("finds").len(), 1);
    assert_eq!(place.store.made_of(&"0".repeat(64), 10).await.expect("finds"), []);

    let source = Source { sha256: Some("1".repeat(64)), ..other.source.clone() };
    place.store.identify(other.id, 1, &source, &other.description).await.expect("tells");
    let found = place.store.made_of(&"1".repeat(64), 10).await.expect("finds");
    assert_eq!(ids(found), [other.id]);
}
