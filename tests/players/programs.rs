//! Players of the distribution, each with its own reading of HLS.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use crate::{download::pcm, files, gateway::Gateway};

/// How many samples a player may play more than the song has: the encoder's priming, and the
/// padding of the last frame. None may be missing.
const UNTRIMMED: usize = 3 * 1024;

/// A user that may do nothing, for a player that refuses to run as root.
const NOBODY: u32 = 65_534;

/// Gives a player the URL and a file to put the sound into, and compares how long that is.
async fn plays_to_its_end(name: &str, command: impl FnOnce(&str, &Path) -> Command) {
    let (gateway, song) = Gateway::with_piece().await;
    let directory = tempfile::tempdir().expect("makes a directory");
    let (url, file) =
        (gateway.url(&song.path("outputlist.m3u8")), directory.path().join("sound.wav"));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("is ours");
    let mut command = command(&url, &file);
    command.env("HOME", directory.path()).current_dir(directory.path());
    let output = tokio::task::block_in_place(|| command.output());
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}: run `make prepare`"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{name}: {said}");
    let complaint = said.lines().find(|line| line.to_lowercase().contains("error"));
    assert_eq!(complaint, None, "{name}: {said}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let expected = (song.seconds() * 44_100.0).round() as usize;
    let played = pcm(&file, &[]).len() / 2;
    assert!(
        (expected..=expected + UNTRIMMED).contains(&played),
        "{name} played {played} samples of {expected}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_plays_to_the_end() {
    plays_to_its_end("GStreamer", |url, file| {
        let sink = format!(
            "audio-sink=audioconvert ! audio/x-raw,format=S16LE ! wavenc ! filesink location={}",
            files::path(file)
        );
        let mut command = Command::new("gst-launch-1.0");
        command.args(["--quiet", "playbin", &format!("uri={url}"), &sink]);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mpv_plays_to_the_end() {
    plays_to_its_end("mpv", |url, file| {
        let mut command = Command::new("mpv");
        command.args(["--no-config", "--no-video", "--msg-level=all=warn", "--ao=pcm"]);
        command.args([&format!("--ao-pcm-file={}", files::path(file)), url]);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vlc_plays_to_the_end() {
    plays_to_its_end("VLC", |url, file| {
        let sink = format!(
            "#transcode{{acodec=s16l,channels=2}}:std{{access=file,mux=wav,dst={}}}",
            files::path(file)
        );
        let mut command = Command::new("vlc");
        command.args(["--ignore-config", "--quiet", "--no-video", "--intf=dummy"]);
        command.args([&format!("--sout={sink}"), url, "vlc://quit"]);
        if fs::metadata("/proc/self")
            .is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
        {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    })
    .await;
}
