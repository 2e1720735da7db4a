//! Claims about listing and searching.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use music::{Description, Song, SongId, Status, query_words};
use store::{Query, Store};

use crate::place::{Place, any_description, description, name, on_album, ready, song};

fn newest(limit: usize) -> Query {
    Query { status: Status::Ready, words: Vec::new(), album: None, after: None, limit }
}

fn search(text: &str) -> Query {
    Query { words: query_words(text), ..newest(100) }
}

fn album(text: &str, limit: usize) -> Query {
    Query { album: Some(name(text)), ..newest(limit) }
}

async fn list(store: &dyn Store, query: &Query) -> Vec<Song> {
    let page = store.list(query).await.expect("lists");
    assert!(page.songs.len() <= query.limit);
    page.songs
}

/// All pages, one after the other.
async fn pages(store: &dyn Store, query: &Query) -> Vec<Song> {
    let mut query = query.clone();
    let mut songs = Vec::new();
    loop {
        let page = store.list(&query).await.expect("lists");
        assert!(page.next.is_none() || page.songs.len() == query.limit);
        songs.extend(page.songs);
        match page.next {
            Some(next) => {
                assert_ne!(query.after, Some(next), "the list does not go on");
                query.after = Some(next);
            }
            None => return songs,
        }
    }
}

fn reversed(songs: &[Song]) -> Vec<Song> {
    songs.iter().rev().cloned().collect()
}

fn names(songs: &[Song]) -> Vec<&str> {
    songs.iter().map(|song| song.description.name.as_str()).collect()
}

pub(crate) async fn songs_come_newest_first(place: &Place) {
    let songs: Vec<_> = (0..9).map(|_| ready(any_description())).collect();
    for index in [4, 0, 8, 2, 6, 1, 7, 3, 5] {
        place.store.insert(&songs[index]).await.expect("inserts");
    }
    assert_eq!(list(&*place.store, &newest(100)).await, reversed(&songs));
    assert_eq!(list(&*place.store, &newest(3)).await, reversed(&songs[6..]));
}

pub(crate) async fn a_list_holds_one_status_only(place: &Place) {
    let mut songs = place.insert_ready([any_description()]).await;
    for status in [Status::Processing, Status::Failed] {
        let mut song = song();
        song.status = status;
        place.store.insert(&song).await.expect("inserts");
        songs.push(song);
    }
    for song in songs {
        let query = Query { status: song.status, ..newest(100) };
        assert_eq!(list(&*place.store, &query).await, std::slice::from_ref(&song));
        let words = Query { words: song.description.words(), ..query };
        assert_eq!(list(&*place.store, &words).await, [song]);
    }
}

pub(crate) async fn pages_join_to_the_whole_list(place: &Place) {
    let songs = place.insert_ready((0..12).map(|_| any_description())).await;
    for limit in [1, 2, 5, 11, 12, 13] {
        assert_eq!(pages(&*place.store, &newest(limit)).await, reversed(&songs), "{limit}");
    }
    let whole = place.store.list(&newest(12)).await.expect("lists");
    assert_eq!(whole.next, None);
    let part = place.store.list(&newest(11)).await.expect("lists");
    assert_eq!(part.next.map(|next| next.id), Some(songs[1].id));
}

pub(crate) async fn a_page_of_nothing_is_empty(place: &Place) {
    place.insert_ready([any_description()]).await;
    let page = place.store.list(&newest(0)).await.expect("lists");
    assert_eq!((page.songs, page.next), (Vec::new(), None));
}

pub(crate) async fn a_list_goes_on_after_its_cursor_s_song_is_gone(place: &Place) {
    let songs = place.insert_ready((0..6).map(|_| on_album("A", None, Some(1)))).await;
    for (query, order) in [(newest(2), reversed(&songs)), (album("A", 2), songs.clone())] {
        let first = place.store.list(&query).await.expect("lists");
        assert_eq!(first.songs, order[..2]);
        let rest = Query { after: first.next, limit: 100, ..query };
        let last = &order[1];
        place.store.remove(last.id).await.expect("removes");
        assert_eq!(list(&*place.store, &rest).await, order[2..]);
        place.store.insert(last).await.expect("inserts");
    }
}

pub(crate) async fn an_album_comes_by_disc_and_track_and_then_by_age(place: &Place) {
    let order = [
        (None, None),
        (None, Some(2)),
        (Some(1), None),
        (Some(1), Some(1)),
        (Some(1), Some(2)),
        (Some(1), Some(10)),
        (Some(2), Some(1)),
        (Some(2), Some(1)),
        (Some(10), Some(1)),
    ];
    let mut songs: Vec<_> =
        order.iter().map(|(disc, track)| ready(on_album("A", *disc, *track))).collect();
    songs.push(ready(on_album("A", Some(u16::MAX), Some(u16::MAX))));
    for index in [9, 3, 0, 8, 7, 6, 5, 4, 2, 1] {
        place.store.insert(&songs[index]).await.expect("inserts");
    }
    place.insert_ready([on_album("B", Some(1), Some(1)), any_description()]).await;
    assert_eq!(list(&*place.store, &album("A", 100)).await, songs);
}

pub(crate) async fn pages_of_an_album_join_over_equal_positions(place: &Place) {
    let positions = (0..15).map(|index| on_album("A", Some(1), Some(index / 5)));
    let songs = place.insert_ready(positions).await;
    place.insert_ready([on_album("B", Some(1), Some(1))]).await;
    for limit in [1, 2, 3, 5, 7] {
        assert_eq!(pages(&*place.store, &album("A", limit)).await, songs, "{limit}");
    }
}

pub(crate) async fn an_album_is_taken_to_the_letter(place: &Place) {
    let songs = place
        .insert_ready(
            ["Homogenic", "homogenic", "Homogenic 2"].map(|album| on_album(album, None, None)),
        )
        .await;
    assert_eq!(list(&*place.store, &album("Homogenic", 100)).await, songs[..1]);
    assert_eq!(list(&*place.store, &album("Homogénic", 100)).await, []);
}

pub(crate) async fn a_search_minds_neither_case_nor_accents(place: &Place) {
    let songs = place
        .insert_ready([
            description("Jóga", "Björk"),
            description("Ελλάδα", "ГРУППА «Кино»"),
            description("東京 ﬁnale", "Ⅳ"),
        ])
        .await;
    for (text, found) in [
        ("joga", 0),
        ("JÓGA björk", 0),
        ("bjo\u{308}rk", 0),
        ("ελλα", 1),
        ("ΕΛΛΆΔΑ", 1),
        ("группа", 1),
        ("КИНО", 1),
        ("東", 2),
        ("fin", 2),
        ("iv", 2),
    ] {
        assert_eq!(list(&*place.store, &search(text)).await, [songs[found].clone()], "{text}");
    }
}

pub(crate) async fn every_word_asked_for_begins_a_word_of_the_song(place: &Place) {
    let beatles = Description {
        album: Some(name("Abbey Road")),
        ..description("Come Together", "The Beatles")
    };
    let aerosmith = description("Come Together", "Aerosmith");
    let songs = place.insert_ready([beatles, aerosmith]).await;
    for (text, found) in [
        ("come", &songs[..]),
        ("c t", &songs),
        ("together come", &songs),
        ("come beat", &songs[..1]),
        ("abb roa the", &songs[..1]),
        ("aero", &songs[1..]),
        ("beat aero", &[]),
        ("gether", &[]),
        ("comes", &[]),
        ("beatlesx", &[]),
        ("come together the beatles abbey road", &songs[..1]),
    ] {
        assert_eq!(list(&*place.store, &search(text)).await, reversed(found), "{text}");
    }
}

pub(crate) async fn one_word_of_a_song_meets_the_whole_of_a_word_asked_for(place: &Place) {
    // "alpha" is before the words that begin with "m", and "zulu" after them: neither begins with it.
    place.insert_ready([description("Alpha", "Zulu")]).await;
    let found = place.insert_ready([description("Alpha", "Mike")]).await;
    assert_eq!(list(&*place.store, &search("m")).await, found);
    // The next word in the order is not one that begins with it.
    place.insert_ready([description("mikf", "mil"), description("mi", "mij")]).await;
    assert_eq!(list(&*place.store, &search("mike")).await, found);
}

pub(crate) async fn a_search_comes_newest_first_and_in_pages(place: &Place) {
    let songs = place
        .insert_ready((0..20).map(|index| {
            description(
                &format!("{} {index}", if index % 2 == 0 { "even" } else { "odd" }),
                "Author",
            )
        }))
        .await;
    let even: Vec<_> = songs.iter().step_by(2).cloned().collect();
    for limit in [1, 3, 10, 11] {
        let query = Query { limit, ..search("even auth") };
        assert_eq!(pages(&*place.store, &query).await, reversed(&even), "{limit}");
    }
}

pub(crate) async fn a_search_within_an_album_keeps_its_order(place: &Place) {
    let track = |number, title: &str| Description {
        name: name(title),
        ..on_album("A", None, Some(number))
    };
    let songs = place.insert_ready([track(3, "red"), track(2, "blue"), track(1, "red")]).await;
    place.insert_ready([Description { name: name("red"), ..on_album("B", None, Some(1)) }]).await;
    let query = Query { words: query_words("red"), ..album("A", 1) };
    assert_eq!(pages(&*place.store, &query).await, [songs[2].clone(), songs[0].clone()]);
}

pub(crate) async fn a_song_is_found_by_what_it_is_called_now(place: &Place) {
    let song = &place.insert_ready([on_album("Before", None, Some(1))]).await[0];
    let now = Description { album: Some(name("After")), ..description("Newname", "Author") };
    let song = place.store.describe(song.id, 1, &now).await.expect("describes").expect("is there");
    assert_eq!(names(&list(&*place.store, &search("newname after")).await), ["Newname"]);
    assert_eq!(list(&*place.store, &search("before")).await, []);
    assert_eq!(list(&*place.store, &search("title")).await, []);
    assert_eq!(list(&*place.store, &album("After", 10)).await, [song]);
    assert_eq!(list(&*place.store, &album("Before", 10)).await, []);
}

pub(crate) async fn no_page_repeats_or_misses_a_song_while_others_are_inserted(place: &Place) {
    let earlier = place.insert_ready((0..60).map(|_| any_description())).await;
    let done = Arc::new(AtomicBool::new(false));
    let inserter = {
        let (store, done) = (place.another_store().await, Arc::clone(&done));
        tokio::spawn(async move {
            let mut inserted = 0;
            while !done.load(Ordering::Relaxed) {
                store.insert(&ready(any_description())).await.expect("inserts");
                inserted += 1;
            }
            inserted
        })
    };
    for query in [newest(7), Query { limit: 7, ..search("auth") }] {
        for _ in 0..5 {
            let songs = pages(&*place.store, &query).await;
            let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
            assert!(ids.is_sorted_by(|a, b| a > b), "out of order, or twice");
            assert!(earlier.iter().all(|song| ids.contains(&song.id)));
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(inserter.await.expect("runs") > 0);
}
