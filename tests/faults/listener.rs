//! Somebody who listens all the while, and never gets to hear half a song.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use black_box::http_client::{Answer, Broken, Request, try_send};

/// What is known of songs, by their ids.
pub(crate) type Fates = Arc<Mutex<BTreeMap<String, Fate>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was said to be ready.
    Ready,
    /// It was said to be there.
    There,
    /// Somebody asked for it to be deleted.
    Leaving,
    /// It was said to be deleted.
    Gone,
}

pub(crate) fn fate(fates: &Fates, id: &str) -> Option<Fate> {
    fates.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
}

pub(crate) fn set_fate(fates: &Fates, id: &str, fate: Fate) {
    fates.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), fate);
}

/// Plays all songs that are known, again and again, until the server is gone. Returns how often one
/// was played from its first segment to its last.
///
/// # Panics
/// If a playlist names a segment that is not there.
pub(crate) async fn listen(address: SocketAddr, fates: Fates) -> usize {
    let mut played = 0;
    loop {
        let ids: Vec<String> =
            fates.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for id in ids {
            match play(address, &id, &fates).await {
                Ok(whole) => played += usize::from(whole),
                Err(_) => return played,
            }
        }
        if try_send(address, &Request::get("/_/health")).await.is_err() {
            return played;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Plays a song, if it can be played. Returns whether it was there as a whole.
async fn play(address: SocketAddr, id: &str, fates: &Fates) -> Result<bool, Broken> {
    let get = async |url: String| try_send(address, &Request::get(url)).await;
    let top = get(format!("/stream/{id}/outputlist.m3u8")).await?;
    if top.status != 200 {
        assert_eq!(top.status, 404, "{}", top.text());
        return Ok(false);
    }
    for variant in uris(&top) {
        let playlist = get(format!("/stream/{id}/{variant}")).await?;
        let is_leaving = || matches!(fate(fates, id), Some(Fate::Leaving | Fate::Gone));
        if playlist.status == 404 && is_leaving() {
            return Ok(false);
        }
        assert_eq!(playlist.status, 200, "{variant} of {id} was named: {}", playlist.text());
        assert!(playlist.text().contains("#EXT-X-ENDLIST"), "{}", playlist.text());
        let folder = variant.rsplit_once('/').expect("is in a folder").0;
        for file in uris(&playlist).into_iter().chain(["init.mp4".to_owned()]) {
            let segment = get(format!("/stream/{id}/{folder}/{file}")).await?;
            if segment.status == 404 && is_leaving() {
                return Ok(false);
            }
            assert_eq!(segment.status, 200, "{id}/{folder}/{file} is on a playlist");
        }
    }
    Ok(true)
}

fn uris(playlist: &Answer) -> Vec<String> {
    let lines = playlist.text().lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}
