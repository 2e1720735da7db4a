//! Claims about attempts, leases, revisions and what is left of them.

use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;
use music::{Attempt, Retired, RevisionId, Song, SongId, Status, now};
use store::{ChunkKey, Store};

use crate::place::{
    Place, any_description, attempt, attempt_of, in_seconds, ready, revision, song,
};

async fn inserted(place: &Place, song: Song) -> Song {
    place.store.insert(&song).await.expect("inserts");
    song
}

async fn get(store: &dyn Store, id: SongId) -> Song {
    store.get(id).await.expect("gets").expect("is there")
}

pub(crate) async fn an_attempt_is_refused_while_another_ones_lease_runs(place: &Place) {
    let song = inserted(place, song()).await;
    let end = attempt_of(&song).lease_until;
    for moment in [now(), end - SignedDuration::from_millis(1)] {
        assert!(
            !place.store.begin(song.id, &attempt(in_seconds(600)), moment).await.expect("begins")
        );
    }
    assert_eq!(get(&*place.store, song.id).await, song);
}

pub(crate) async fn an_attempt_begins_where_a_lease_has_ended_and_retires_what_had_it(
    place: &Place,
) {
    let song = inserted(place, song()).await;
    let (old, new) = (attempt_of(&song), attempt(in_seconds(600)));
    let end = old.lease_until;
    assert!(place.store.begin(song.id, &new, end).await.expect("begins"));
    let after = get(&*place.store, song.id).await;
    assert_eq!(after.attempt, Some(new));
    assert_eq!(after.status, Status::Processing);
    assert_eq!(after.retired, [Retired::fruitless(old.id, end)]);
    assert_eq!(
        place.store.removable(end, 10).await.expect("lists"),
        [(song.id, after.retired[0].clone())]
    );
}

pub(crate) async fn of_attempts_that_begin_at_once_one_does(place: &Place) {
    let song = inserted(place, ready(any_description())).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, attempt) = (Arc::clone(&place.store), attempt(in_seconds(60)));
            tokio::spawn(async move {
                store.begin(song.id, &attempt, now()).await.expect("begins").then_some(attempt)
            })
        })
        .collect();
    let mut winners: Vec<Attempt> = Vec::new();
    for task in tasks {
        winners.extend(task.await.expect("runs"));
    }
    assert_eq!(winners.len(), 1);
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.attempt.as_ref(), after.version), (winners.first(), 2));
}

pub(crate) async fn a_failed_song_is_processed_again(place: &Place) {
    let song = inserted(place, song()).await;
    assert!(place.store.fail(song.id, attempt_of(&song).id, "not audio").await.expect("fails"));
    let again = attempt(in_seconds(60));
    assert!(place.store.begin(song.id, &again, now()).await.expect("begins"));
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.status, after.error, after.attempt), (Status::Processing, None, Some(again)));
}

pub(crate) async fn a_ready_song_stays_ready_during_an_attempt(place: &Place) {
    let song = inserted(place, ready(any_description())).await;
    assert!(place.store.begin(song.id, &attempt(in_seconds(60)), now()).await.expect("begins"));
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.status, after.revision), (Status::Ready, song.revision));
    assert_eq!(after.retired, []);
}

pub(crate) async fn renewing_extends_the_lease_and_tells_the_progress(place: &Place) {
    let song = inserted(place, song()).await;
    let renewed = Attempt { lease_until: in_seconds(600), progress: 0.5, ..attempt_of(&song) };
    assert!(place.store.renew(song.id, &renewed).await.expect("renews"));
    let after = get(&*place.store, song.id).await;
    assert_eq!(after.attempt, Some(renewed.clone()));
    assert!(!place.store.renew(song.id, &attempt(in_seconds(900))).await.expect("renews"));
    assert_eq!(get(&*place.store, song.id).await, after);
    // A lease that has ended but that nobody took is extended as well.
    let ended = Attempt { lease_until: in_seconds(-1), ..renewed.clone() };
    assert!(place.store.renew(song.id, &ended).await.expect("renews"));
    assert!(place.store.renew(song.id, &renewed).await.expect("renews"));
}

pub(crate) async fn a_commit_makes_the_song_ready(place: &Place) {
    let mut song = song();
    song.error = Some("the attempt before".to_owned());
    let song = inserted(place, song).await;
    let revision = revision(attempt_of(&song).id);
    assert!(place.store.commit(song.id, &revision, in_seconds(60)).await.expect("commits"));
    let after = get(&*place.store, song.id).await;
    let expected = Song {
        status: Status::Ready,
        error: None,
        attempt: None,
        revision: Some(revision),
        version: 2,
        updated_at: after.updated_at,
        ..song
    };
    assert_eq!(after, expected);
}

pub(crate) async fn a_commit_retires_the_revision_before(place: &Place) {
    let song = inserted(place, ready(any_description())).await;
    let before = song.revision.expect("is ready");
    assert!(!before.variants.is_empty());
    let attempt = attempt(in_seconds(60));
    assert!(place.store.begin(song.id, &attempt, now()).await.expect("begins"));
    let later = in_seconds(3600);
    assert!(place.store.commit(song.id, &revision(attempt.id), later).await.expect("commits"));
    let after = get(&*place.store, song.id).await;
    assert_eq!(after.revision, Some(revision(attempt.id)));
    assert_eq!(after.retired, [Retired::superseded(before, later)]);
}

pub(crate) async fn of_attempts_that_commit_at_once_exactly_one_wins(place: &Place) {
    let song = inserted(place, song()).await;
    let first = attempt_of(&song);
    let second = attempt(in_seconds(600));
    assert!(place.store.begin(song.id, &second, first.lease_until).await.expect("begins"));
    let others = [place.another_store().await, place.another_store().await];
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(&others[number / 2 % 2]);
            let id = if number % 2 == 0 { first.id } else { second.id };
            tokio::spawn(async move {
                (id, store.commit(song.id, &revision(id), in_seconds(60)).await.expect("commits"))
            })
        })
        .collect();
    for task in tasks {
        // The winner commits eight times, and is told each time that it won.
        let (id, won) = task.await.expect("runs");
        assert_eq!(won, id == second.id);
    }
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.revision.map(|revision| revision.id), after.version), (Some(second.id), 3));
    assert_eq!(after.retired.iter().map(|retired| retired.id).collect::<Vec<_>>(), [first.id]);
}

pub(crate) async fn a_repeated_commit_says_yes_and_changes_nothing(place: &Place) {
    let song = inserted(place, song()).await;
    let revision = revision(attempt_of(&song).id);
    assert!(place.store.commit(song.id, &revision, in_seconds(60)).await.expect("commits"));
    let after = get(&*place.store, song.id).await;
    assert!(place.store.commit(song.id, &revision, in_seconds(90)).await.expect("commits"));
    assert_eq!(get(&*place.store, song.id).await, after);
}

pub(crate) async fn an_attempt_that_lost_its_lease_has_no_say(place: &Place) {
    let song = inserted(place, song()).await;
    let (old, new) = (attempt_of(&song), attempt(in_seconds(600)));
    assert!(place.store.begin(song.id, &new, old.lease_until).await.expect("begins"));
    let before = get(&*place.store, song.id).await;
    assert!(!place.store.renew(song.id, &old).await.expect("renews"));
    assert!(!place.store.commit(song.id, &revision(old.id), now()).await.expect("commits"));
    assert!(!place.store.fail(song.id, old.id, "reason").await.expect("fails"));
    assert_eq!(get(&*place.store, song.id).await, before);
}

pub(crate) async fn an_attempt_hears_that_its_song_was_removed(place: &Place) {
    let song = inserted(place, song()).await;
    let attempt = attempt_of(&song);
    assert!(place.store.remove(song.id).await.expect("removes"));
    assert!(!place.store.renew(song.id, &attempt).await.expect("renews"));
    assert!(!place.store.commit(song.id, &revision(attempt.id), now()).await.expect("commits"));
    assert!(!place.store.fail(song.id, attempt.id, "reason").await.expect("fails"));
    assert_eq!(place.store.get(song.id).await.expect("gets"), None);
}

pub(crate) async fn a_song_removed_during_ingest_stays_removed(place: &Place) {
    for round in 0..8_u64 {
        let song = inserted(place, song()).await;
        let attempt = attempt_of(&song);
        let remover = {
            let store = place.another_store().await;
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(round * 2)).await;
                assert!(store.remove(song.id).await.expect("removes"));
                store.remove_all(song.id).await.expect("removes");
            })
        };
        let mut number = 0;
        while place.store.renew(song.id, &attempt).await.expect("renews") && number < 1000 {
            let key = ChunkKey::segment(song.id, attempt.id, "64k", number);
            place.store.put(&key, Bytes::from_static(b"segment")).await.expect("puts");
            number += 1;
        }
        assert!(!place.store.commit(song.id, &revision(attempt.id), now()).await.expect("commits"));
        remover.await.expect("runs");
        assert_eq!(place.store.get(song.id).await.expect("gets"), None);
        // What was put after the removal is its owner's to remove.
        place.store.remove_all(song.id).await.expect("removes");
        assert_eq!(place.store.groups(None, 10).await.expect("lists"), []);
    }
}

pub(crate) async fn a_failed_first_attempt_makes_a_failed_song(place: &Place) {
    let song = inserted(place, song()).await;
    let attempt = attempt_of(&song);
    let before = now();
    assert!(place.store.fail(song.id, attempt.id, "not audio").await.expect("fails"));
    let after = get(&*place.store, song.id).await;
    assert_eq!(after.status, Status::Failed);
    assert_eq!(after.error.as_deref(), Some("not audio"));
    assert_eq!((after.attempt, after.revision), (None, None));
    assert_eq!(after.retired.len(), 1);
    assert_eq!(after.retired[0].id, attempt.id);
    assert!((before..=now()).contains(&after.retired[0].removable_at));
    assert!(!place.store.fail(song.id, attempt.id, "again").await.expect("fails"));
}

pub(crate) async fn an_attempt_that_was_renewed_does_not_end_as_expired(place: &Place) {
    let mut song = song();
    let until = now();
    song.attempt = Some(attempt(until));
    let song = inserted(place, song).await;
    let found = place.store.expired(until, 10).await.expect("lists").remove(0);
    let renewed = Attempt { lease_until: in_seconds(60), ..attempt_of(&song) };
    assert!(place.store.renew(song.id, &renewed).await.expect("renews"));
    let before = get(&*place.store, song.id).await;

    let id = attempt_of(&found).id;
    let store = &place.store;
    assert!(!store.fail_expired(song.id, id, until, "interrupted").await.expect("answers"));
    assert!(
        !store
            .fail_expired(song.id, RevisionId::new(), in_seconds(90), "x")
            .await
            .expect("answers")
    );
    assert!(!store.fail_expired(SongId::new(), id, in_seconds(90), "x").await.expect("answers"));
    assert_eq!(get(&**store, song.id).await, before);

    let end = renewed.lease_until;
    let moment = SignedDuration::from_millis(1);
    assert!(!store.fail_expired(song.id, id, end - moment, "x").await.expect("answers"));
    assert!(store.fail_expired(song.id, id, end, "interrupted").await.expect("fails"));
    let after = get(&**store, song.id).await;
    assert_eq!((after.status, after.error.as_deref()), (Status::Failed, Some("interrupted")));
    assert_eq!((after.attempt, after.retired[0].id), (None, id));
}

pub(crate) async fn a_failed_later_attempt_leaves_the_song_ready(place: &Place) {
    let song = inserted(place, ready(any_description())).await;
    let attempt = attempt(in_seconds(60));
    assert!(place.store.begin(song.id, &attempt, now()).await.expect("begins"));
    assert!(place.store.fail(song.id, attempt.id, "no memory").await.expect("fails"));
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.status, after.revision), (Status::Ready, song.revision));
    assert_eq!((after.attempt, after.error.as_deref()), (None, Some("no memory")));
    assert_eq!(after.retired.iter().map(|retired| retired.id).collect::<Vec<_>>(), [attempt.id]);
}

pub(crate) async fn a_revision_superseded_twice_leaves_both_to_be_removed(place: &Place) {
    let song = inserted(place, ready(any_description())).await;
    let (mut current, mut gone) = (song.revision.expect("is ready"), Vec::new());
    for seconds in [60, 120] {
        let attempt = attempt(in_seconds(60));
        assert!(place.store.begin(song.id, &attempt, now()).await.expect("begins"));
        let (next, until) = (revision(attempt.id), in_seconds(seconds));
        assert!(place.store.commit(song.id, &next, until).await.expect("commits"));
        gone.push(Retired::superseded(std::mem::replace(&mut current, next), until));
    }
    let after = get(&*place.store, song.id).await;
    assert_eq!((after.revision, after.retired), (Some(current), gone));
}

pub(crate) async fn expired_songs_are_those_whose_lease_has_ended(place: &Place) {
    let mut songs = Vec::new();
    for seconds in [-30, -20, -10, 10, 20] {
        let mut song = song();
        song.attempt.as_mut().expect("is under way").lease_until = in_seconds(seconds);
        songs.push(inserted(place, song).await);
    }
    inserted(place, ready(any_description())).await;
    let expired = place.store.expired(now(), 10).await.expect("lists");
    assert_eq!(expired, songs[..3]);
    for limit in [0, 1, 2] {
        assert_eq!(place.store.expired(now(), limit).await.expect("lists"), songs[..limit]);
    }
    let end = attempt_of(&songs[3]).lease_until;
    assert_eq!(place.store.expired(end, 10).await.expect("lists").len(), 4);
    let before = end - SignedDuration::from_millis(1);
    assert_eq!(place.store.expired(before, 10).await.expect("lists").len(), 3);
}

pub(crate) async fn removable_revisions_are_those_whose_time_has_come(place: &Place) {
    let due = in_seconds(-5);
    let retired = |removable_at| Retired::fruitless(RevisionId::new(), removable_at);
    let mut expected = Vec::new();
    for _ in 0..3 {
        let mut song = ready(any_description());
        song.retired = vec![retired(in_seconds(60)), retired(due), retired(in_seconds(-10))];
        let song = inserted(place, song).await;
        expected.extend(song.retired[1..].iter().map(|retired| (song.id, retired.clone())));
    }
    inserted(place, ready(any_description())).await;
    let order =
        |list: &mut Vec<(SongId, Retired)>| list.sort_by_key(|(song, retired)| (*song, retired.id));
    let mut removable = place.store.removable(now(), 100).await.expect("lists");
    order(&mut removable);
    order(&mut expected);
    assert_eq!(removable, expected);
    for limit in [0, 1, 3, 5] {
        assert_eq!(place.store.removable(now(), limit).await.expect("lists").len(), limit);
    }
    assert_eq!(place.store.removable(due, 100).await.expect("lists").len(), 6);
    let before = due - SignedDuration::from_millis(1);
    assert_eq!(place.store.removable(before, 100).await.expect("lists").len(), 3);
}

pub(crate) async fn a_forgotten_revision_is_not_named_again(place: &Place) {
    let mut song = ready(any_description());
    let retired = || Retired::fruitless(RevisionId::new(), in_seconds(-1));
    song.retired = vec![retired(), retired(), retired()];
    let song = inserted(place, song).await;
    place.store.forget(song.id, song.retired[1].id).await.expect("forgets");
    let left = [song.retired[0].clone(), song.retired[2].clone()];
    let after = get(&*place.store, song.id).await;
    assert_eq!(after.retired, left);
    // Forgetting again, or what was never retired, changes nothing.
    place.store.forget(song.id, song.retired[1].id).await.expect("forgets");
    place.store.forget(song.id, RevisionId::new()).await.expect("forgets");
    assert_eq!(get(&*place.store, song.id).await, after);
    for retired in left {
        place.store.forget(song.id, retired.id).await.expect("forgets");
    }
    assert_eq!(get(&*place.store, song.id).await.retired, []);
    assert_eq!(place.store.removable(now(), 10).await.expect("lists"), []);
}
