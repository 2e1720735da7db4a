//! Claims about the bytes of songs.

use std::sync::Arc;

use bytes::Bytes;
use music::{RevisionId, SongId};
use store::{CHUNK_LIMIT, ChunkGroup, ChunkKey, Error};

use crate::place::{Kind, Place, Rot};

fn every_byte(length: usize) -> Bytes {
    // A period that no power of two divides shows any shift.
    (0..=255).chain([0]).cycle().take(length).collect()
}

fn segment() -> ChunkKey {
    ChunkKey::segment(SongId::new(), RevisionId::new(), "128k", 0)
}

pub(crate) async fn a_chunk_reads_back_to_the_byte(place: &Place) {
    for length in [0, 1, 255, 256, 257, 4_095, 199_000, 1 << 20] {
        let (key, bytes) = (segment(), every_byte(length));
        place.store.put(&key, bytes.clone()).await.expect("puts");
        assert!(place.store.read(&key).await.expect("reads") == Some(bytes), "{length}");
    }
}

pub(crate) async fn a_chunk_of_the_largest_size_reads_back(place: &Place) {
    let (key, bytes) = (segment(), every_byte(CHUNK_LIMIT));
    place.store.put(&key, bytes.clone()).await.expect("puts");
    let another = place.another_store().await;
    assert!(another.read(&key).await.expect("reads") == Some(bytes));
}

pub(crate) async fn a_chunk_above_the_largest_size_is_refused(place: &Place) {
    let key = segment();
    let refused = place.store.put(&key, every_byte(CHUNK_LIMIT + 1)).await;
    assert!(
        matches!(refused, Err(Error::TooLarge(size)) if size == CHUNK_LIMIT + 1),
        "{refused:?}"
    );
    assert_eq!(place.store.read(&key).await.expect("reads"), None);
}

pub(crate) async fn an_unknown_chunk_is_nothing(place: &Place) {
    let (song, revision) = (SongId::new(), RevisionId::new());
    for number in [1, 10, 11] {
        let key = ChunkKey::segment(song, revision, "64k", number);
        place.store.put(&key, Bytes::from_static(b"x")).await.expect("puts");
    }
    for key in [
        ChunkKey::segment(song, revision, "64k", 0),
        ChunkKey::segment(song, revision, "64k", 2),
        ChunkKey::segment(song, revision, "64k", 100),
        ChunkKey::segment(song, revision, "128k", 1),
        ChunkKey::segment(song, RevisionId::new(), "64k", 1),
        ChunkKey::segment(SongId::new(), revision, "64k", 1),
        ChunkKey::init(song, revision, "64k"),
        ChunkKey::original(song, 0),
    ] {
        assert_eq!(place.store.read(&key).await.expect("reads"), None, "{key}");
    }
}

pub(crate) async fn a_chunk_put_again_has_its_new_bytes(place: &Place) {
    let key = segment();
    for bytes in [every_byte(300_000), every_byte(10), every_byte(0), every_byte(300_001)] {
        place.store.put(&key, bytes.clone()).await.expect("puts");
        assert!(place.store.read(&key).await.expect("reads") == Some(bytes));
    }
}

pub(crate) async fn many_chunks_put_at_once_are_all_there(place: &Place) {
    let (song, revision) = (SongId::new(), RevisionId::new());
    let key = move |number| ChunkKey::segment(song, revision, "64k", number);
    let stores = [Arc::clone(&place.store), place.another_store().await];
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = Arc::clone(&stores[number as usize % 2]);
            tokio::spawn(
                async move { store.put(&key(number), every_byte(number as usize * 500)).await },
            )
        })
        .collect();
    for task in tasks {
        task.await.expect("runs").expect("puts");
    }
    for number in 0..100 {
        let bytes = place.store.read(&key(number)).await.expect("reads");
        assert!(bytes == Some(every_byte(number as usize * 500)), "{number}");
    }
}

pub(crate) async fn one_chunk_put_by_many_at_once_is_whole(place: &Place) {
    for _ in 0..4 {
        let key = segment();
        let stores = [Arc::clone(&place.store), place.another_store().await];
        let tasks: Vec<_> = (0..16_u8)
            .map(|number| {
                let (store, key) = (Arc::clone(&stores[usize::from(number % 2)]), key.clone());
                tokio::spawn(async move { store.put(&key, vec![number; 50_000].into()).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("runs").expect("puts");
        }
        let bytes = place.store.read(&key).await.expect("reads").expect("is there");
        assert_eq!(bytes.len(), 50_000);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    }
}

/// Songs with all kinds of chunks, in the order of their keys.
async fn library(place: &Place) -> Vec<(ChunkGroup, ChunkKey)> {
    let mut keys = Vec::new();
    for _ in 0..3 {
        let song = SongId::new();
        for revision in [RevisionId::new(), RevisionId::new()] {
            let group = ChunkGroup::Revision(revision);
            for variant in ["128k", "64k"] {
                keys.extend(
                    (0..12)
                        .map(|number| (group, ChunkKey::segment(song, revision, variant, number))),
                );
                keys.push((group, ChunkKey::init(song, revision, variant)));
            }
        }
        keys.extend(
            [0, 10, 20].map(|offset| (ChunkGroup::Original, ChunkKey::original(song, offset))),
        );
    }
    for (_, key) in &keys {
        place.store.put(key, key.to_string().into()).await.expect("puts");
    }
    keys
}

async fn what_is_left(
    place: &Place,
    keys: &[(ChunkGroup, ChunkKey)],
) -> Vec<(ChunkGroup, ChunkKey)> {
    let mut left = Vec::new();
    for (group, key) in keys {
        if let Some(bytes) = place.store.read(key).await.expect("reads") {
            assert_eq!(bytes, key.to_string());
            left.push((*group, key.clone()));
        }
    }
    left
}

pub(crate) async fn a_removed_group_leaves_its_neighbours_alone(place: &Place) {
    let mut keys = library(place).await;
    // One from the middle, the original of another song, and the very first.
    for (group, song) in [
        (keys[60].0, keys[60].1.song()),
        (ChunkGroup::Original, keys[0].1.song()),
        (keys[0].0, keys[0].1.song()),
    ] {
        place.store.remove_group(song, group).await.expect("removes");
        keys.retain(|(other, key)| (*other, key.song()) != (group, song));
        let left = what_is_left(place, &keys).await;
        assert_eq!(left, keys);
    }
    assert_eq!(place.store.groups(None, 100).await.expect("lists").len(), 6);
}

pub(crate) async fn a_song_s_chunks_go_together_and_no_others(place: &Place) {
    let keys = library(place).await;
    let song = keys[60].1.song();
    place.store.remove_all(song).await.expect("removes");
    let expected: Vec<_> = keys.iter().filter(|(_, key)| key.song() != song).cloned().collect();
    assert_eq!(what_is_left(place, &keys).await, expected);
}

pub(crate) async fn removing_more_chunks_than_one_batch_leaves_none(place: &Place) {
    let (song, revision) = (SongId::new(), RevisionId::new());
    for number in 0..200 {
        let key = ChunkKey::segment(song, revision, "64k", number);
        place.store.put(&key, Bytes::from_static(b"x")).await.expect("puts");
    }
    place.store.remove_group(song, ChunkGroup::Revision(revision)).await.expect("removes");
    assert_eq!(place.store.groups(None, 10).await.expect("lists"), []);
}

pub(crate) async fn removing_what_is_not_there_is_harmless(place: &Place) {
    let keys = library(place).await;
    for _ in 0..2 {
        place.store.remove_all(SongId::new()).await.expect("removes");
        let group = ChunkGroup::Revision(RevisionId::new());
        place.store.remove_group(keys[0].1.song(), group).await.expect("removes");
    }
    assert_eq!(what_is_left(place, &keys).await, keys);
}

pub(crate) async fn an_original_is_read_at_any_offset(place: &Place) {
    let song = SongId::new();
    let parts = [every_byte(1000), every_byte(1), every_byte(500)];
    let mut offset = 0;
    for part in &parts {
        place.store.put(&ChunkKey::original(song, offset), part.clone()).await.expect("puts");
        offset += part.len() as u64;
    }
    // What is beside it is not part of it.
    let neighbour = SongId::new();
    place
        .store
        .put(&ChunkKey::original(neighbour, 5), Bytes::from_static(b"later"))
        .await
        .expect("puts");
    place
        .store
        .put(&ChunkKey::init(song, RevisionId::new(), "64k"), every_byte(9))
        .await
        .expect("puts");

    for (offset, part) in [
        (0, Some((0, 0))),
        (1, Some((0, 0))),
        (999, Some((0, 0))),
        (1000, Some((1000, 1))),
        (1001, Some((1001, 2))),
        (1500, Some((1001, 2))),
        (1501, None),
        (9_999_999_999_999_999, None),
        (u64::MAX, None),
    ] {
        let expected = part.map(|(begin, index): (u64, usize)| (begin, parts[index].clone()));
        assert_eq!(
            place.store.read_original(song, offset).await.expect("reads"),
            expected,
            "{offset}"
        );
    }
    assert_eq!(place.store.read_original(neighbour, 4).await.expect("reads"), None);
    assert_eq!(place.store.read_original(SongId::new(), 0).await.expect("reads"), None);
}

pub(crate) async fn groups_are_listed_in_the_order_of_their_keys(place: &Place) {
    let keys = library(place).await;
    let mut expected: Vec<_> = keys.iter().map(|(group, key)| (key.song(), *group)).collect();
    expected.dedup();
    assert_eq!(expected.len(), 9);
    assert_eq!(place.store.groups(None, 100).await.expect("lists"), expected);
    assert_eq!(place.store.groups(None, 4).await.expect("lists"), expected[..4]);
    assert_eq!(place.store.groups(None, 0).await.expect("lists"), []);
    let mut all = Vec::new();
    loop {
        let page = place.store.groups(all.last().copied(), 2).await.expect("lists");
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_eq!(all, expected);
}

pub(crate) async fn groups_go_on_after_any_group(place: &Place) {
    let keys = library(place).await;
    let song = keys[0].1.song();
    // A group that is not there, between two that are.
    let after = Some((song, ChunkGroup::Revision(RevisionId::new())));
    let next = place.store.groups(after, 1).await.expect("lists");
    assert_eq!(next, [(song, ChunkGroup::Original)]);
    let (last, key) = keys.last().expect("is not empty");
    assert_eq!(place.store.groups(Some((key.song(), *last)), 10).await.expect("lists"), []);
}

pub(crate) async fn a_newer_chunk_is_refused(place: &Place) {
    let (song, other) = (SongId::new(), segment());
    let original = ChunkKey::original(song, 0);
    for key in [&original, &other] {
        place.store.put(key, every_byte(10)).await.expect("puts");
        place.make_newer(Kind::Chunk, &key.to_string()).await;
    }
    let answers = [
        place.store.read(&other).await.map(drop),
        place.store.read_original(song, 3).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(Error::NewerSchema { schema: 2, .. })), "{answer:?}");
    }
}

async fn assert_corrupt(place: &Place, key: &ChunkKey) {
    let read = place.store.read(key).await;
    assert!(
        matches!(&read, Err(Error::Corrupt { chunk }) if *chunk == key.to_string()),
        "{read:?}"
    );
}

pub(crate) async fn a_chunk_that_has_changed_is_not_read(place: &Place) {
    let good = every_byte(199_000);
    let mut flipped = good.to_vec();
    flipped[101_000] ^= 1;
    let mut longer = good.to_vec();
    longer.push(0);
    for changed in [&flipped[..], &good[..198_999], &longer, &[]] {
        let key = segment();
        place.store.put(&key, good.clone()).await.expect("puts");
        place.rot(&key, Rot::Bytes(changed)).await;
        assert_corrupt(place, &key).await;
        // Another, and the same one put again, are as they were.
        place.store.put(&key, good.clone()).await.expect("puts");
        assert!(place.store.read(&key).await.expect("reads").as_ref() == Some(&good));
    }
    let key = segment();
    assert!(place.store.put_new(&key, good.clone()).await.expect("puts"));
    place.rot(&key, Rot::Bytes(&flipped)).await;
    assert_corrupt(place, &key).await;
}

pub(crate) async fn a_chunk_that_comes_under_another_key_is_not_read(place: &Place) {
    let (written, found) = (segment(), segment());
    place.store.put(&written, every_byte(1000)).await.expect("puts");
    place.rot(&written, Rot::Key(&found)).await;
    assert_corrupt(place, &found).await;
}

pub(crate) async fn a_part_of_an_original_that_has_changed_is_not_read(place: &Place) {
    let song = SongId::new();
    for offset in [0, 1000] {
        let key = ChunkKey::original(song, offset);
        place.store.put(&key, every_byte(1000)).await.expect("puts");
    }
    let second = ChunkKey::original(song, 1000);
    place.rot(&second, Rot::Bytes(&[0; 1000])).await;
    assert!(place.store.read_original(song, 999).await.expect("reads").is_some());
    for offset in [1000, 1999] {
        let read = place.store.read_original(song, offset).await;
        assert!(
            matches!(&read, Err(Error::Corrupt { chunk }) if *chunk == second.to_string()),
            "{read:?}"
        );
    }
}

pub(crate) async fn a_chunk_without_a_checksum_is_read_as_it_is(place: &Place) {
    let key = ChunkKey::original(SongId::new(), 0);
    place.store.put(&key, every_byte(1000)).await.expect("puts");
    place.rot(&key, Rot::NoChecksum).await;
    assert_eq!(place.store.read(&key).await.expect("reads"), Some(every_byte(1000)));
    let part = place.store.read_original(key.song(), 7).await.expect("reads");
    assert_eq!(part, Some((0, every_byte(1000))));
}

pub(crate) async fn a_group_names_the_chunks_that_are_there(place: &Place) {
    let (song, revision) = (SongId::new(), RevisionId::new());
    let keys = [
        ChunkKey::segment(song, revision, "128k", 0),
        ChunkKey::segment(song, revision, "128k", 10),
        ChunkKey::segment(song, revision, "128k", 2),
        ChunkKey::init(song, revision, "128k"),
        ChunkKey::segment(song, revision, "64k", 0),
    ];
    let others = [
        ChunkKey::original(song, 0),
        ChunkKey::init(song, RevisionId::new(), "64k"),
        ChunkKey::init(SongId::new(), revision, "64k"),
    ];
    for key in keys.iter().rev().chain(&others) {
        place.store.put(key, every_byte(10)).await.expect("puts");
    }
    let group = ChunkGroup::Revision(revision);
    let names = |keys: &[ChunkKey]| -> Vec<_> { keys.iter().map(ChunkKey::chunk_name).collect() };
    assert_eq!(place.store.chunk_names(song, group).await.expect("lists"), names(&keys));
    place.rot(&keys[0], Rot::Gone).await;
    assert_eq!(place.store.chunk_names(song, group).await.expect("lists"), names(&keys[1..]));
    let original = place.store.chunk_names(song, ChunkGroup::Original).await.expect("lists");
    assert_eq!(original, ["original/0000000000000000"]);
    assert!(place.store.chunk_names(SongId::new(), group).await.expect("lists").is_empty());
}
