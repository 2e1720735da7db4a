//! Claims about files on their way in.

use bytes::Bytes;
use futures_util::future::join_all;
use music::SongId;
use store::{ChunkKey, Error, Upload};

use crate::place::{Kind, Place, in_seconds};

fn upload() -> Upload {
    Upload {
        id: SongId::new(),
        length: 1 << 40,
        offset: 0,
        metadata: "name SsOzZ2E=,filename ".into(),
        expires_at: in_seconds(60),
    }
}

async fn inserted(place: &Place) -> Upload {
    let upload = upload();
    place.store.insert_upload(&upload).await.expect("inserts");
    upload
}

pub(crate) async fn an_upload_reads_back_as_it_was_inserted(place: &Place) {
    let upload = inserted(place).await;
    let another = place.another_store().await;
    assert_eq!(another.get_upload(upload.id).await.expect("reads"), Some(upload.clone()));
    assert_eq!(another.get_upload(SongId::new()).await.expect("reads"), None);
    let again = Upload { offset: 5, ..upload.clone() };
    assert!(matches!(place.store.insert_upload(&again).await, Err(Error::Backend(_))));
    assert_eq!(another.get_upload(upload.id).await.expect("reads"), Some(upload));
}

pub(crate) async fn an_offset_moves_from_where_it_is_only(place: &Place) {
    let (store, upload, later) = (&place.store, inserted(place).await, in_seconds(600));
    assert!(store.advance_upload(upload.id, 0, 10, later).await.expect("moves"));
    for (from, to) in [(0, 20), (9, 20), (11, 20)] {
        assert!(!store.advance_upload(upload.id, from, to, later).await.expect("answers"));
    }
    assert!(!store.advance_upload(SongId::new(), 0, 10, later).await.expect("answers"));
    let expected = Upload { offset: 10, expires_at: later, ..upload };
    assert_eq!(store.get_upload(expected.id).await.expect("reads"), Some(expected));
}

pub(crate) async fn of_offsets_that_move_at_once_one_does(place: &Place) {
    let upload = inserted(place).await;
    let stores = [place.store.clone(), place.another_store().await];
    let moves = (1..=16_u64).map(|to| {
        let store = &stores[usize::try_from(to % 2).expect("fits")];
        async move {
            let moved = store.advance_upload(upload.id, 0, to, in_seconds(60)).await;
            moved.expect("answers").then_some(to)
        }
    });
    let moved: Vec<_> = join_all(moves).await.into_iter().flatten().collect();
    let offset = place.store.get_upload(upload.id).await.expect("reads").expect("is there").offset;
    assert_eq!(moved, [offset]);
}

pub(crate) async fn an_upload_that_was_given_more_time_is_not_removed(place: &Place) {
    let (store, upload) = (&place.store, inserted(place).await);
    let before = upload.expires_at - jiff::SignedDuration::from_millis(1);
    assert!(!store.remove_upload(upload.id, before).await.expect("answers"));
    assert!(store.remove_upload(upload.id, upload.expires_at).await.expect("removes"));
    assert!(!store.remove_upload(upload.id, music::Timestamp::MAX).await.expect("answers"));
    assert!(!store.advance_upload(upload.id, 0, 1, in_seconds(60)).await.expect("answers"));
    assert_eq!(store.get_upload(upload.id).await.expect("reads"), None);
}

pub(crate) async fn uploads_are_listed_in_pages_by_their_ids(place: &Place) {
    assert_eq!(place.store.list_uploads(None, 10).await.expect("lists"), []);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(inserted(place).await);
    }
    let mut listed: Vec<Upload> = Vec::new();
    loop {
        let after = listed.last().map(|upload| upload.id);
        let page = place.store.list_uploads(after, 2).await.expect("lists");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        listed.extend(page);
    }
    assert_eq!(listed, all);
}

pub(crate) async fn a_newer_upload_is_refused_and_left_alone(place: &Place) {
    let upload = inserted(place).await;
    place.make_newer(Kind::Upload, &upload.id.to_string()).await;
    let answers = [
        place.store.get_upload(upload.id).await.map(drop),
        place.store.list_uploads(None, 10).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(Error::NewerSchema { schema: 2, .. })), "{answer:?}");
    }
    assert!(!place.store.remove_upload(upload.id, in_seconds(600)).await.expect("answers"));
    assert!(!place.store.advance_upload(upload.id, 0, 1, in_seconds(60)).await.expect("answers"));
}

pub(crate) async fn of_chunks_written_new_at_once_one_is_and_stays(place: &Place) {
    for _ in 0..4 {
        let key = ChunkKey::original(SongId::new(), 0);
        let stores = [place.store.clone(), place.another_store().await];
        let puts = (0..16_u8).map(|number| {
            let (store, key) = (&stores[usize::from(number % 2)], &key);
            async move { store.put_new(key, vec![number; 50_000].into()).await.expect("answers") }
        });
        let written = join_all(puts).await;
        let kept = place.store.read(&key).await.expect("reads").expect("is there");
        let winners: Vec<_> = (0..16_u8).filter(|it| written[usize::from(*it)]).collect();
        assert_eq!(winners, [kept[0]]);
        assert!(kept == vec![kept[0]; 50_000]);
        let late = place.store.put_new(&key, Bytes::from_static(b"late")).await;
        assert!(!late.expect("answers"));
        assert!(place.store.read(&key).await.expect("reads") == Some(kept));
    }
    let large = vec![0; store::CHUNK_LIMIT + 1].into();
    let refused = place.store.put_new(&ChunkKey::original(SongId::new(), 0), large).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
}

pub(crate) async fn the_uploads_that_are_counted_are_those_that_have_not_expired(place: &Place) {
    let store = &place.store;
    assert_eq!(store.count_uploads(in_seconds(0)).await.expect("counts"), 0);
    for seconds in [60, 60, 10] {
        let upload = Upload { expires_at: in_seconds(seconds), ..upload() };
        store.insert_upload(&upload).await.expect("inserts");
    }
    for (seconds, open) in [(0, 3), (30, 2), (90, 0)] {
        let counted = store.count_uploads(in_seconds(seconds)).await;
        assert_eq!(counted.expect("counts"), open, "in {seconds} s");
    }
}
