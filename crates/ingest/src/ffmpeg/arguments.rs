//! What ffmpeg is told, as pure functions.

use std::ffi::OsString;

use music::Rung;

use crate::container::Recognised;

/// What the input is called in its working directory.
pub(crate) const INPUT: &str = "input";

/// The first pipe's descriptor in ffmpeg: what comes after its standard streams.
pub(crate) const FIRST_PIPE: usize = 3;

/// The decoders that may be opened, so that no ffmpeg, however it was built, decodes a picture or
/// a codec nobody looks after. The layer has no others.
const DECODERS: &str = "aac,alac,flac,mp3float,opus,vorbis,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,\
    pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s64le,pcm_s8,pcm_u8";

/// Writes to the first pipe, as `framecrc`, every packet of the first audio stream; to the second
/// the first that is decoded of it, as 16 bit PCM.
pub(crate) fn probe(input: Recognised) -> Vec<OsString> {
    let mut arguments = reading(input);
    arguments.extend(
        ["-map", "0:a:0", "-c:a", "copy", "-map_metadata", "-1", "-f", "framecrc"].map(into),
    );
    arguments.push(pipe(0));
    arguments.extend(["-map", "0:a:0", "-c:a", "pcm_s16le", "-frames:a", "1"].map(into));
    arguments.extend(["-map_metadata", "-1", "-f", "framecrc"].map(into));
    arguments.push(pipe(1));
    arguments
}

/// What an input is made into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// In Hz.
    pub(crate) rate: u32,
    /// 1 or 2.
    pub(crate) channels: u16,
    pub(crate) rungs: &'a [Rung],
}

/// Decodes the first audio stream once. Writes each rung to a pipe of its own, as AAC in ADTS, and
/// to the pipe after theirs what the decoded samples were, as `framecrc` of 16 bit PCM.
pub(crate) fn encode(input: Recognised, target: Target<'_>) -> Vec<OsString> {
    let mut arguments = reading(input);
    arguments.push(into("-filter_complex"));
    arguments.push(graph(target).into());
    for (index, rung) in target.rungs.iter().enumerate() {
        arguments.extend([into("-map"), format!("[rung{index}]").into()]);
        arguments.extend(["-c:a", "aac", "-b:a"].map(into));
        arguments.push(rung.bitrate.to_string().into());
        arguments.extend(["-map_metadata", "-1", "-f", "adts"].map(into));
        arguments.push(pipe(index));
    }
    arguments.extend(["-map", "[count]", "-c:a", "pcm_s16le"].map(into));
    arguments.extend(["-map_metadata", "-1", "-f", "framecrc"].map(into));
    arguments.push(pipe(target.rungs.len()));
    arguments
}

fn graph(target: Target<'_>) -> String {
    let layout = if target.channels == 1 { "mono" } else { "stereo" };
    let labels: Vec<_> = (0..target.rungs.len()).map(|index| format!("[rung{index}]")).collect();
    format!(
        "[0:a:0]aformat=sample_fmts=fltp:sample_rates={}:channel_layouts={layout},asplit={}{}[count]",
        target.rate,
        target.rungs.len() + 1,
        labels.concat(),
    )
}

/// How the input is opened: as what it is, with nothing else reachable from it.
fn reading(input: Recognised) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "-hide_banner",
        "-nostdin",
        "-nostats",
        "-loglevel",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-codec_whitelist",
        DECODERS,
        // Of an input: its video, subtitles and data are not even read.
        "-vn",
        "-sn",
        "-dn",
    ]
    .map(into)
    .into();
    if input.offset > 0 {
        arguments.extend([into("-skip_initial_bytes"), input.offset.to_string().into()]);
    }
    arguments.extend([into("-f"), into(input.container.demuxer())]);
    arguments.extend([into("-i"), format!("file:{INPUT}").into()]);
    arguments
}

fn pipe(index: usize) -> OsString {
    format!("pipe:{}", FIRST_PIPE + index).into()
}

fn into(text: &str) -> OsString {
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Container;

    fn text(arguments: &[OsString]) -> String {
        let words: Vec<_> = arguments.iter().map(|word| word.to_str().expect("is text")).collect();
        words.join(" ").replace(DECODERS, "DECODERS")
    }

    const READING: &str = "-hide_banner -nostdin -nostats -loglevel error \
        -protocol_whitelist file,pipe -codec_whitelist DECODERS -vn -sn -dn";

    #[test]
    fn a_probe_reads_all_packets_and_decodes_one() {
        let input = Recognised { container: Container::Mp4, offset: 0 };
        assert_eq!(
            text(&probe(input)),
            format!(
                "{READING} -f mov -i file:input \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f framecrc pipe:3 \
                 -map 0:a:0 -c:a pcm_s16le -frames:a 1 -map_metadata -1 -f framecrc pipe:4"
            )
        );
    }

    #[test]
    fn a_source_is_decoded_once_for_all_rungs() {
        let format = music::AudioFormat {
            sample_rate: 44_100,
            channels: 2,
            bitrate: 100_000,
            lossless: false,
        };
        let rungs = music::ladder(&format);
        let input = Recognised { container: Container::Mp3, offset: 4096 };
        assert_eq!(
            text(&encode(input, Target { rate: 44_100, channels: 2, rungs: &rungs })),
            format!(
                "{READING} -skip_initial_bytes 4096 -f mp3 -i file:input -filter_complex \
                 [0:a:0]aformat=sample_fmts=fltp:sample_rates=44100:channel_layouts=stereo,asplit=3[rung0][rung1][count] \
                 -map [rung0] -c:a aac -b:a 64000 -map_metadata -1 -f adts pipe:3 \
                 -map [rung1] -c:a aac -b:a 128000 -map_metadata -1 -f adts pipe:4 \
                 -map [count] -c:a pcm_s16le -map_metadata -1 -f framecrc pipe:5"
            )
        );
    }

    #[test]
    fn the_decoders_are_those_of_the_layer() {
        let components = include_str!("../../../../layers/ffmpeg/components");
        let mut layer: Vec<_> = components
            .lines()
            .filter_map(|line| line.strip_prefix("decoder ")?.split_whitespace().next())
            .collect();
        let mut ours: Vec<_> = DECODERS.split(',').collect();
        layer.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, layer);
    }
}
