//! Two pieces cut out of one longer piece at a sample, played back to back.

use crate::{
    download::{Download, pcm},
    files,
    gateway::Gateway,
};

/// The playlists whose variants are joined.
const PLAYLISTS: &[&str] = &["outputlist.m3u8", "lossless.m3u8"];

/// Where the piece is cut, and where the second one ends, in samples: within a frame, both.
const CUT: usize = 400_003;
const END: usize = 1_000_019;

/// How much of the sound around the join is compared, and by how much it is shifted, in samples.
const WINDOW: usize = 8192;
const LAGS: usize = 1100;

/// How alike the best match must be, 1 being the same.
const LIKENESS: f64 = 0.95;

#[tokio::test(flavor = "multi_thread")]
async fn two_pieces_join_without_a_gap_or_an_extra_sample() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let cut = |name: &str, start: usize, end: usize| {
        let file = directory.path().join(name);
        let filter = format!("atrim=start_sample={start}:end_sample={end}");
        let piece = files::piece("main_menu");
        files::ffmpeg(&[
            "-i",
            files::path(&piece),
            "-map",
            "0:a",
            "-af",
            &filter,
            files::path(&file),
        ]);
        file
    };
    let original = pcm(&cut("whole.wav", 0, END), &[]);
    assert_eq!(original.len(), END * 2);

    let gateway = Gateway::start().await;
    let first = gateway.add(&cut("first.wav", 0, CUT)).await;
    let second = gateway.add(&cut("second.wav", CUT, END)).await;
    for playlist in PLAYLISTS {
        let first = Download::of(&gateway, &first, playlist).await;
        let second = Download::of(&gateway, &second, playlist).await;
        assert_eq!(first.variants.len(), second.variants.len());
        for (first, second) in first.variants.iter().zip(&second.variants) {
            let codec = first.stream.codecs.as_deref().expect("is declared");
            let joined = [first.decoded(), second.decoded()].concat();
            assert_eq!(joined.len(), original.len(), "{codec}: as many samples as the original");
            if codec == "fLaC" {
                assert!(joined == original, "{codec}: bit for bit");
                continue;
            }
            let (lag, likeness) = best_match(&original, &joined);
            println!(
                "{codec} at {} bit/s: lag {lag}, likeness {likeness:.4}",
                first.stream.bandwidth
            );
            assert_eq!(lag, 0, "{codec} at {} bit/s", first.stream.bandwidth);
            assert!(likeness > LIKENESS, "{likeness} at {} bit/s", first.stream.bandwidth);
        }
    }
}

/// By how many samples the joined sound is best shifted to match the original across the join, and
/// how well it then does: the correlation of the left channels.
fn best_match(original: &[i16], joined: &[i16]) -> (isize, f64) {
    let left = |sound: &[i16], from: usize| -> Vec<f64> {
        sound[from * 2..]
            .iter()
            .step_by(2)
            .take(2 * WINDOW)
            .map(|sample| f64::from(*sample))
            .collect()
    };
    let reference = left(original, CUT - WINDOW);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let likeness = |lag: &isize| {
        let shifted = left(joined, (CUT - WINDOW).saturating_add_signed(*lag));
        dot(&reference, &shifted) / (dot(&reference, &reference) * dot(&shifted, &shifted)).sqrt()
    };
    let most = isize::try_from(LAGS).expect("is small");
    (-most..=most)
        .map(|lag| (lag, likeness(&lag)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .expect("there are lags")
}
