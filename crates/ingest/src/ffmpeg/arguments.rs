//! What ffmpeg is told, as pure functions.

use std::ffi::OsString;

use music::Rung;

use crate::{Container, sound::Sound};

/// What the input is called in its working directory.
pub(crate) const INPUT: &str = "input";

/// What the copy of it is called that is read in its place, where there is one.
pub(crate) const COPY: &str = "copy";

/// What a link of a chain is called, alone in a file while it is decoded.
pub(crate) const LINK: &str = "link";

/// What an input is called that comes through the standard input, and is in no file.
pub(crate) const FED: &str = "pipe:0";

/// The first pipe's descriptor in ffmpeg: what comes after its standard streams.
pub(crate) const FIRST_PIPE: usize = 3;

/// The decoders that may be opened, so that no ffmpeg, however it was built, decodes a picture or
/// a codec nobody looks after. The layer has no others.
const DECODERS: &str = "aac,alac,flac,mp3float,opus,vorbis,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,\
    pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s64le,pcm_s8,pcm_u8";

/// Writes to the first pipe, as `framecrc`, every packet of the first audio stream; to the second
/// the first that is decoded of it, as 16 bit PCM.
pub(crate) fn probe(input: Sound) -> Vec<OsString> {
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

/// Writes every packet of the first audio stream: to the first pipe as `framecrc`, to the second as
/// ADTS, which fails for AAC that ADTS cannot say; and to the third, as `framecrc` of 16 bit PCM, what
/// they decode to.
pub(crate) fn examine(input: Sound) -> Vec<OsString> {
    let mut arguments = reading(input);
    for (index, format) in ["framecrc", "adts"].into_iter().enumerate() {
        arguments.extend(["-map", "0:a:0", "-c:a", "copy", "-map_metadata", "-1"].map(into));
        arguments.extend(["-f", format].map(into));
        arguments.push(pipe(index));
    }
    arguments.extend(["-map", "0:a:0", "-c:a", "pcm_s16le", "-map_metadata", "-1"].map(into));
    arguments.extend(["-f", "framecrc"].map(into));
    arguments.push(pipe(2));
    arguments
}

/// Floating point samples of 32 bits, interleaved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pcm {
    /// In Hz.
    pub(crate) rate: u32,
    /// 1 or 2.
    pub(crate) channels: u16,
}

impl Pcm {
    /// The size of one sample of all channels.
    pub(crate) fn bytes(self) -> usize {
        4 * usize::from(self.channels.max(1))
    }
}

/// Writes to the first pipe what the first audio stream, of so many channels, decodes to.
///
/// One channel is as loud in each of two as it was alone, and two are halved in one, as an Opus
/// decoder converts them. ffmpeg would make them 3 dB quieter and louder.
pub(crate) fn decode(input: Sound, pcm: Pcm, channels: u8) -> Vec<OsString> {
    let mut arguments = reading(input);
    let mix = match (channels, pcm.channels) {
        (1, 2) => "pan=stereo|c0=c0|c1=c0,",
        (2, 1) => "pan=mono|c0=0.5*c0+0.5*c1,",
        _ => "",
    };
    let (rate, layout) = (pcm.rate, layout(pcm.channels));
    arguments.push(into("-filter_complex"));
    arguments.push(
        format!(
            "[0:a:0]{mix}\
             aformat=sample_fmts=flt:sample_rates={rate}:channel_layouts={layout}[decoded]"
        )
        .into(),
    );
    arguments.extend(["-map", "[decoded]", "-c:a", "pcm_f32le", "-map_metadata", "-1"].map(into));
    arguments.extend(["-f", "data"].map(into));
    arguments.push(pipe(0));
    arguments
}

/// ffmpeg's name of so many channels.
fn layout(channels: u16) -> &'static str {
    if channels == 1 { "mono" } else { "stereo" }
}

/// What an input is made into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Of AAC, in Hz.
    pub(crate) rate: u32,
    /// 1 or 2.
    pub(crate) channels: u16,
    /// Silent samples before the sound in every rung.
    pub(crate) delay: u32,
    pub(crate) rungs: &'a [Rung],
    /// Whether the source's own AAC is carried beside the rungs.
    pub(crate) carry: bool,
    pub(crate) lossless: Option<Lossless>,
}

/// How FLAC is made of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lossless {
    /// In Hz.
    pub(crate) rate: u32,
    /// 16 or 24.
    pub(crate) bits: u8,
}

/// Samples in a frame of the FLAC that is made.
pub(crate) const FLAC_FRAME: u16 = 4096;

impl Target<'_> {
    /// How many pipes [`encode`] writes to.
    pub(crate) fn pipes(&self) -> usize {
        self.rungs.len() + usize::from(self.carry) + usize::from(self.lossless.is_some()) + 3
    }
}

/// Decodes the first audio stream once. Writes, each to a pipe of its own: every rung, as AAC in
/// ADTS; the source's own AAC, if it is carried, likewise; FLAC, if it is asked for, in an MP4
/// fragment for every frame; every packet, as `framecrc`; what the decoded samples were, as
/// `framecrc` of 16 bit PCM; and how loud they are, as the metadata of `ebur128`.
pub(crate) fn encode(input: Sound, target: Target<'_>) -> Vec<OsString> {
    let mut arguments = reading(input);
    arguments.push(into("-filter_complex"));
    arguments.push(graph(target).into());
    let mut pipes = 0..;
    let mut output = |stream: &str, encode: &[&str], format: &[&str]| {
        arguments.extend(["-map", stream, "-c:a"].map(into));
        arguments.extend(encode.iter().copied().map(into));
        arguments.extend(["-map_metadata", "-1", "-f"].map(into));
        arguments.extend(format.iter().copied().map(into));
        arguments.push(pipe(pipes.next().unwrap_or(usize::MAX)));
    };
    for (index, rung) in target.rungs.iter().enumerate() {
        let bitrate = rung.bitrate.to_string();
        output(&format!("[rung{index}]"), &["aac", "-b:a", &bitrate], &["adts"]);
    }
    if target.carry {
        output("0:a:0", &["copy"], &["adts"]);
    }
    if let Some(lossless) = target.lossless {
        let (frame, bits) = (FLAC_FRAME.to_string(), lossless.bits.to_string());
        let frames = ["flac", "-frame_size", &frame, "-bits_per_raw_sample", &bits];
        // FLAC in MP4 was an experiment before ffmpeg 6. The same word would let the encoder take 32
        // bits, but for the number of them.
        let experiment = ["-strict", "experimental"];
        let fragments = ["mp4", "-movflags", "frag_every_frame+empty_moov+default_base_moof"];
        output("[lossless]", &[&frames[..], &experiment].concat(), &fragments);
    }
    output("0:a:0", &["copy"], &["framecrc"]);
    output("[count]", &["pcm_s16le"], &["framecrc"]);
    arguments
}

fn graph(target: Target<'_>) -> String {
    let layout = layout(target.channels);
    let mut graph = String::from("[0:a:0]");
    if let Some(Lossless { rate, bits }) = target.lossless {
        let format = if bits > 16 { "s32" } else { "s16" };
        graph += &format!(
            "asplit=2[decoded][whole];\
             [whole]aformat=sample_fmts={format}:sample_rates={rate}:channel_layouts={layout}[lossless];\
             [decoded]"
        );
    }
    graph +=
        &format!("aformat=sample_fmts=fltp:sample_rates={}:channel_layouts={layout},", target.rate);
    let labels: Vec<_> = (0..target.rungs.len()).map(|index| format!("[rung{index}]")).collect();
    if !labels.is_empty() {
        graph += "asplit=2[sound][encoded];[encoded]";
        if target.delay > 0 {
            graph += &format!("adelay={}S:all=1,", target.delay);
        }
        graph += &format!("asplit={}{};[sound]", labels.len(), labels.concat());
    }
    // Escaped twice: for the option, and for the graph.
    let loudness = FIRST_PIPE + target.pipes() - 1;
    graph += &format!(
        "ebur128=peak=true:metadata=1,ametadata=mode=print:file=pipe\\\\:{loudness}[count]"
    );
    graph
}

/// How the input is opened: as what it is, with nothing else reachable from it.
fn reading(input: Sound) -> Vec<OsString> {
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
    if let Some(decoder) = input.decoder {
        arguments.extend(["-c:a", decoder].map(into));
    }
    // A frame whose checksum is wrong is decoded all the same, and complained of.
    if input.container == Container::Flac {
        arguments.extend(["-err_detect", "crccheck"].map(into));
    }
    if input.offset > 0 {
        arguments.extend([into("-skip_initial_bytes"), input.offset.to_string().into()]);
    }
    arguments.extend([into("-f"), into(input.container.demuxer())]);
    let url = if input.file == FED { FED.into() } else { format!("file:{}", input.file) };
    arguments.extend([into("-i"), url.into()]);
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

    fn text(arguments: &[OsString]) -> String {
        let words: Vec<_> = arguments.iter().map(|word| word.to_str().expect("is text")).collect();
        words.join(" ").replace(DECODERS, "DECODERS")
    }

    const READING: &str = "-hide_banner -nostdin -nostats -loglevel error \
        -protocol_whitelist file,pipe -codec_whitelist DECODERS -vn -sn -dn";

    #[test]
    fn a_probe_reads_all_packets_and_decodes_one() {
        let input = Sound::plain(Container::Mp4, 0);
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
    fn a_copy_and_a_decoder_are_named_where_they_are_taken() {
        let input =
            Sound { file: COPY, decoder: Some("pcm_s32le"), ..Sound::plain(Container::Wav, 0) };
        let arguments = text(&probe(input));
        let expected = format!("{READING} -c:a pcm_s32le -f wav -i file:copy -map");
        assert!(arguments.starts_with(&expected), "{arguments}");
    }

    #[test]
    fn a_link_is_decoded_to_the_format_of_its_chain() {
        let input = Sound { file: LINK, ..Sound::plain(Container::Ogg, 0) };
        for (channels, to, filter) in [
            (1, "stereo", "pan=stereo|c0=c0|c1=c0,"),
            (2, "stereo", ""),
            (6, "stereo", ""),
            (1, "mono", ""),
            (2, "mono", "pan=mono|c0=0.5*c0+0.5*c1,"),
        ] {
            let pcm = Pcm { rate: 44_100, channels: if to == "mono" { 1 } else { 2 } };
            assert_eq!(
                text(&decode(input, pcm, channels)),
                format!(
                    "{READING} -f ogg -i file:link -filter_complex \
                     [0:a:0]{filter}aformat=sample_fmts=flt:sample_rates=44100:channel_layouts={to}\
                     [decoded] -map [decoded] -c:a pcm_f32le -map_metadata -1 -f data pipe:3"
                )
            );
        }
        let fed = text(&probe(Sound { file: FED, ..Sound::plain(Container::Wav, 0) }));
        assert!(fed.contains(" -f wav -i pipe:0 "), "{fed}");
    }

    #[test]
    fn an_examination_copies_and_decodes() {
        let input = Sound::plain(Container::Adts, 0);
        assert_eq!(
            text(&examine(input)),
            format!(
                "{READING} -f aac -i file:input \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f framecrc pipe:3 \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f adts pipe:4 \
                 -map 0:a:0 -c:a pcm_s16le -map_metadata -1 -f framecrc pipe:5"
            )
        );
    }

    fn rungs() -> Vec<Rung> {
        music::ladder(&music::AudioFormat {
            sample_rate: 44_100,
            channels: 2,
            bitrate: 100_000,
            lossless: false,
        })
    }

    #[test]
    fn a_source_is_decoded_once_for_all_rungs() {
        let input = Sound::plain(Container::Mp3, 4096);
        let target = Target {
            rate: 44_100,
            channels: 2,
            delay: 0,
            rungs: &rungs(),
            carry: false,
            lossless: None,
        };
        assert_eq!(
            text(&encode(input, target)),
            format!(
                "{READING} -skip_initial_bytes 4096 -f mp3 -i file:input -filter_complex \
                 [0:a:0]aformat=sample_fmts=fltp:sample_rates=44100:channel_layouts=stereo,\
                 asplit=2[sound][encoded];[encoded]asplit=2[rung0][rung1];\
                 [sound]ebur128=peak=true:metadata=1,ametadata=mode=print:file=pipe\\\\:7[count] \
                 -map [rung0] -c:a aac -b:a 64000 -map_metadata -1 -f adts pipe:3 \
                 -map [rung1] -c:a aac -b:a 128000 -map_metadata -1 -f adts pipe:4 \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f framecrc pipe:5 \
                 -map [count] -c:a pcm_s16le -map_metadata -1 -f framecrc pipe:6"
            )
        );
    }

    #[test]
    fn what_is_carried_is_not_encoded_and_what_is_lossless_is_not_converted() {
        let input = Sound::plain(Container::Mp4, 0);
        let carried = Target {
            rate: 44_100,
            channels: 1,
            delay: 64,
            rungs: &rungs()[..1],
            carry: true,
            lossless: None,
        };
        assert_eq!(
            text(&encode(input, carried)),
            format!(
                "{READING} -f mov -i file:input -filter_complex \
                 [0:a:0]aformat=sample_fmts=fltp:sample_rates=44100:channel_layouts=mono,\
                 asplit=2[sound][encoded];[encoded]adelay=64S:all=1,asplit=1[rung0];\
                 [sound]ebur128=peak=true:metadata=1,ametadata=mode=print:file=pipe\\\\:7[count] \
                 -map [rung0] -c:a aac -b:a 64000 -map_metadata -1 -f adts pipe:3 \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f adts pipe:4 \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f framecrc pipe:5 \
                 -map [count] -c:a pcm_s16le -map_metadata -1 -f framecrc pipe:6"
            )
        );
        let lossless = Target {
            rate: 48_000,
            channels: 2,
            delay: 0,
            rungs: &[],
            carry: false,
            lossless: Some(Lossless { rate: 96_000, bits: 24 }),
        };
        assert_eq!(
            text(&encode(input, lossless)),
            format!(
                "{READING} -f mov -i file:input -filter_complex \
                 [0:a:0]asplit=2[decoded][whole];\
                 [whole]aformat=sample_fmts=s32:sample_rates=96000:channel_layouts=stereo[lossless];\
                 [decoded]aformat=sample_fmts=fltp:sample_rates=48000:channel_layouts=stereo,\
                 ebur128=peak=true:metadata=1,ametadata=mode=print:file=pipe\\\\:6[count] \
                 -map [lossless] -c:a flac -frame_size 4096 -bits_per_raw_sample 24 \
                 -strict experimental -map_metadata -1 \
                 -f mp4 -movflags frag_every_frame+empty_moov+default_base_moof pipe:3 \
                 -map 0:a:0 -c:a copy -map_metadata -1 -f framecrc pipe:4 \
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
