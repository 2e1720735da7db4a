//! A disk that is full, a process without file descriptors, a machine without ffmpeg.

use std::{fs, io::Write as _};

use bytes::Bytes;
use futures_util::stream;
use ingest::{Error, Ingest, Spool};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::testing::{alone, alone_on_small_disk};

use crate::house::House;

async fn receive(house: &House, bytes: usize) -> Result<Spool, Error> {
    const PIECE: usize = 64 * 1024;
    let pieces = (0..bytes.div_ceil(PIECE)).map(|piece| {
        let length = PIECE.min(bytes - piece * PIECE);
        Ok::<_, std::io::Error>(Bytes::from(vec![1; length]))
    });
    house.ingest.receive(stream::iter(pieces)).await
}

/// A real file system of 16 MB.
#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_refused_and_the_next_is_taken() {
    const NAME: &str = "room::a_file_for_which_there_is_no_room_is_refused_and_the_next_is_taken";
    if !alone_on_small_disk(NAME, 16) {
        return;
    }
    let house = House::new().await;
    let refused = receive(&house, 32 << 20).await;
    assert!(matches!(refused, Err(Error::NoSpace(..))), "{refused:?}");
    assert!(house.at_work().is_empty());
    drop(receive(&house, 4 << 20).await.unwrap());

    let filler = house.work_dir.path().with_extension("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    drop(file);
    // Less than is gathered before it is written.
    let refused = receive(&house, 1000).await;
    assert!(matches!(refused, Err(Error::NoSpace(..))), "{refused:?}");
    assert!(house.at_work().is_empty());
    fs::remove_file(filler).unwrap();
    assert_eq!(receive(&house, 1000).await.unwrap().bytes(), 1000);
}

#[tokio::test]
async fn where_no_file_can_be_opened_no_directory_stays() {
    if !alone("room::where_no_file_can_be_opened_no_directory_stays") {
        return;
    }
    let house = House::new().await;
    let kept = receive(&house, 1000).await.unwrap();
    let limit = getrlimit(Resource::Nofile);
    // Descriptors are given lowest first.
    let next = fs::File::open("/dev/null").unwrap();
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&next)).unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(next), ..limit }).unwrap();
    let refused = receive(&house, 1000).await;
    let another = Ingest::new(house.store.clone(), house.config.clone());
    drop(kept);
    setrlimit(Resource::Nofile, limit).unwrap();

    assert!(matches!(refused, Err(Error::Io(..))), "{refused:?}");
    assert!(another.is_err());
    assert!(house.at_work().is_empty(), "{:?}", house.at_work());
    assert_eq!(fs::read_dir(house.work_dir.path()).unwrap().count(), 1, "but for its own");
    assert_eq!(receive(&house, 1000).await.unwrap().bytes(), 1000);
}

#[tokio::test]
async fn an_ffmpeg_that_is_missing_or_does_not_run_is_found_out() {
    House::new().await.ingest.check_ffmpeg().await.unwrap();
    for program in ["/nowhere/ffmpeg", "no-such-ffmpeg", "/dev/null", "false"] {
        let house = House::with(|config| config.ffmpeg = program.into()).await;
        let checked = house.ingest.check_ffmpeg().await;
        assert!(matches!(checked, Err(Error::Ffmpeg(..))), "{program}: {checked:?}");
    }
}
