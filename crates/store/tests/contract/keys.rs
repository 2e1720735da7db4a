//! Claims about the keys of requests.

use futures_util::future::join_all;
use music::SongId;
use store::{Claim, Claimed};

use crate::place::{Place, in_seconds};

fn claim(key: &str) -> Claim {
    Claim {
        key: key.into(),
        fingerprint: "f".into(),
        song: SongId::new(),
        lease_until: Some(in_seconds(60)),
        expires_at: in_seconds(3600),
    }
}

pub(crate) async fn of_requests_with_one_key_at_once_one_has_it(place: &Place) {
    let stores = [place.store.clone(), place.another_store().await];
    let claims: Vec<_> = (0..12).map(|_| claim("key")).collect();
    let asked = claims.iter().enumerate().map(|(number, claim)| {
        let store = &stores[number % 2];
        async move { store.claim(claim, music::now()).await.expect("answers") }
    });
    let answers = join_all(asked).await;
    let ours: Vec<_> = (0..12).filter(|it| answers[*it] == Claimed::Ours(None)).collect();
    assert_eq!(ours.len(), 1, "{answers:?}");
    let theirs = Claimed::Theirs(claims[ours[0]].clone());
    assert_eq!(answers.iter().filter(|answer| **answer == theirs).count(), 11);
    let other = place.store.claim(&claim("another key"), music::now()).await.expect("answers");
    assert_eq!(other, Claimed::Ours(None));
}

pub(crate) async fn a_key_is_free_once_its_lease_ended_unanswered_or_it_expired(place: &Place) {
    let store = &place.store;
    let first = claim("key");
    store.claim(&first, music::now()).await.expect("claims");
    let second = Claim { lease_until: Some(in_seconds(200)), ..claim("key") };
    let taken = store.claim(&second, in_seconds(61)).await.expect("claims");
    assert_eq!(taken, Claimed::Ours(Some(first.clone())));
    assert!(!store.hold(&first).await.expect("answers"), "it is another's now");
    store.release(&first).await.expect("answers");

    let answered = Claim { lease_until: None, ..second };
    assert!(store.hold(&answered).await.expect("holds"));
    let late = Claim { lease_until: Some(in_seconds(400)), ..answered.clone() };
    assert!(!store.hold(&late).await.expect("answers"), "a late sign of life undid the answer");
    let asked = store.claim(&claim("key"), in_seconds(3000)).await.expect("answers");
    assert_eq!(asked, Claimed::Theirs(answered.clone()), "an answer outlives its lease");
    let asked = store.claim(&claim("key"), in_seconds(3601)).await.expect("answers");
    assert_eq!(asked, Claimed::Ours(Some(answered)));
}

pub(crate) async fn a_released_or_expired_key_is_forgotten(place: &Place) {
    let store = &place.store;
    let (one, other) = (claim("one"), claim("other"));
    for claim in [&one, &other] {
        store.claim(claim, music::now()).await.expect("claims");
    }
    store.release(&one).await.expect("releases");
    assert!(!store.hold(&one).await.expect("answers"));
    assert_eq!(store.forget_claims(in_seconds(3000)).await.expect("forgets"), 0);
    assert_eq!(store.forget_claims(in_seconds(3700)).await.expect("forgets"), 1);
    let asked = store.claim(&claim("other"), music::now()).await.expect("answers");
    assert_eq!(asked, Claimed::Ours(None));
}
