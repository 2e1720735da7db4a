use mp4_atom::{Any, Decode as _, Moof, Moov};
use proptest::prelude::*;

use super::*;
use crate::AacConfig;

const PRIMING: u32 = 1024;

fn aac(rate: u32, channels: u16) -> CodecConfig {
    CodecConfig::Aac(AacConfig::new(rate, channels).expect("is known"))
}

/// Frames of the given sizes, each of a byte of its own.
fn frames(sizes: &[usize]) -> Vec<Vec<u8>> {
    let byte = |index: usize| u8::try_from(index % 251).expect("is a byte");
    sizes.iter().enumerate().map(|(index, size)| vec![byte(index); *size]).collect()
}

fn package(
    media_time: u32,
    frames: &[Vec<u8>],
    samples: u64,
) -> Result<(Package, Vec<Segment>), PackageError> {
    let mut packager = Packager::new(aac(48_000, 2), media_time);
    let mut segments = Vec::new();
    for frame in frames {
        segments.extend(packager.push(frame)?);
    }
    let package = packager.finish(samples)?;
    segments.extend(package.segments.iter().cloned());
    Ok((package, segments))
}

/// What a media segment says, read without the code that wrote it: where it begins, how long each
/// sample is, and the samples.
struct Read {
    start: u64,
    durations: Vec<u64>,
    samples: Vec<Vec<u8>>,
}

fn read(segment: &Segment) -> Read {
    let be = |at: usize| {
        u32::from_be_bytes(segment.bytes[at..at + 4].try_into().expect("is four bytes"))
    };
    let moof_size = be(0) as usize;
    assert_eq!(&segment.bytes[4..8], b"moof");
    assert_eq!(&segment.bytes[moof_size + 4..moof_size + 8], b"mdat");
    assert_eq!(moof_size + be(moof_size) as usize, segment.bytes.len(), "nothing after the mdat");

    let moof = Moof::decode(&mut segment.bytes.slice(..moof_size).as_ref()).expect("decodes");
    assert_eq!(moof.mfhd.sequence_number, segment.number + 1);
    let [traf] = moof.traf.as_slice() else { panic!("one track") };
    assert!(traf.tfhd.default_base_is_moof);
    let [run] = traf.trun.as_slice() else { panic!("one run") };
    let mut at = usize::try_from(run.data_offset.expect("is there")).expect("is positive");
    assert_eq!(at, moof_size + 8, "the frames begin the mdat");
    let (mut durations, mut samples) = (Vec::new(), Vec::new());
    for entry in &run.samples {
        let size = entry.size.expect("is there") as usize;
        durations.push(entry.duration.unwrap_or(AacConfig::FRAME_DURATION).into());
        samples.push(segment.bytes[at..at + size].to_vec());
        at += size;
    }
    assert_eq!(at, segment.bytes.len());
    assert_eq!(traf.sbgp[0].entries[0].sample_count as usize, samples.len());
    Read { start: traf.tfdt.clone().expect("is there").base_media_decode_time, durations, samples }
}

#[test]
fn the_init_section_says_how_to_decode_and_where_the_sound_begins() {
    let (package, _) = package(PRIMING, &frames(&[100; 48]), 48_000).expect("packages");
    let mut rest = package.init.as_ref();
    let Any::Ftyp(ftyp) = Any::decode(&mut rest).expect("decodes") else { panic!("ftyp first") };
    assert_eq!(ftyp.major_brand, (*b"cmfc").into());
    let moov = Moov::decode(&mut rest).expect("decodes");
    assert!(rest.is_empty());

    let track = &moov.trak[0];
    let edits = track.edts.as_ref().and_then(|edts| edts.elst.as_ref()).expect("is there");
    assert_eq!(edits.entries.len(), 1);
    assert_eq!(edits.entries[0].media_time, Some(PRIMING.into()));
    let extends = moov.mvex.expect("is there");
    assert_eq!(extends.trex[0].default_sample_duration, 1024);
    assert_eq!(extends.mehd.expect("is there").fragment_duration, 48_000);
    assert_eq!(track.mdia.mdhd.timescale, 48_000);
    let table = &track.mdia.minf.stbl;
    let mp4_atom::Codec::Mp4a(entry) = &table.stsd.codecs[0] else { panic!("AAC") };
    let specific = entry.esds.es_desc.dec_config.dec_specific.as_ref().expect("is there");
    assert_eq!((specific.profile, specific.freq_index, specific.chan_conf), (2, 3, 2));
    let mp4_atom::AnySampleGroupEntry::UnknownGroupingType(kind, roll) =
        &table.sgpd[0].entries[0].entry
    else {
        panic!("a roll group")
    };
    assert_eq!((*kind, roll.as_slice()), ((*b"roll").into(), &[0xff, 0xff][..]));
}

#[test]
fn the_first_segment_has_one_frame_more_so_that_boundaries_are_those_of_the_sound() {
    let duration = segment_duration(48_000);
    let samples = 2 * duration + 8 * 1024 + 5;
    let count = usize::try_from(samples.div_ceil(1024) + 1).expect("is small");
    let (package, segments) =
        package(PRIMING, &frames(&vec![300; count]), samples).expect("packages");
    let read: Vec<Read> = segments.iter().map(read).collect();
    assert_eq!(read[0].samples.len() as u64, duration / 1024 + 1);
    assert_eq!(read[1].samples.len() as u64, duration / 1024);
    assert_eq!(read[1].start, duration + u64::from(PRIMING));
    assert_eq!(read[2].durations, [[1024; 8].as_slice(), &[5]].concat());
    let durations: Vec<u64> = package.variant.timeline.segments().collect();
    assert_eq!(durations, [duration, duration, 8 * 1024 + 5]);
}

#[test]
fn a_sound_that_ends_just_before_a_boundary_shortens_a_segment_that_was_full() {
    let duration = segment_duration(48_000);
    let frames = frames(&vec![10; usize::try_from(duration / 1024 + 3).expect("is small")]);
    let (_, segments) = package(PRIMING, &frames, duration - 1).expect("packages");
    assert_eq!(segments.len(), 1);
    assert_eq!(read(&segments[0]).durations.last(), Some(&1023));
}

#[test]
fn a_segment_is_let_go_once_the_next_one_can_stand_alone() {
    let mut packager = Packager::new(aac(44_100, 1), PRIMING);
    let full = segment_duration(44_100) / 1024 + 1;
    let mut pushed = 0;
    let segment = loop {
        pushed += 1;
        if let Some(segment) = packager.push(&[0; 200]).expect("takes it") {
            break segment;
        }
    };
    let next = shortest_segment(44_100) / 1024 + MOST_FRAMES_BEYOND + 1;
    assert_eq!((segment.number, pushed), (0, full + next));
}

/// A track that has been given the first frames of it, of one byte each.
#[derive(Clone)]
struct Given {
    packager: Packager,
    segments: Vec<Segment>,
}

impl Given {
    fn new(codec: &CodecConfig, media_time: u32) -> Self {
        Self { packager: Packager::new(codec.clone(), media_time), segments: Vec::new() }
    }

    /// Gives it frames until it has `frames`.
    fn up_to(mut self, frames: u64) -> Self {
        while self.packager.frames < frames {
            self.segments.extend(self.packager.push(&[7]).expect("takes it"));
        }
        self
    }

    /// Ends the track after `samples`, with `beyond` frames more than it needs. Holds that no
    /// segment is too short, that segments are those of the timeline, and that every frame is in one.
    fn assert_ends(self, samples: u64, beyond: u64) {
        let (codec, media_time) = (self.packager.codec.clone(), self.packager.media_time);
        let frame = u64::from(codec.frame_duration());
        let end = u64::from(media_time) + samples;
        let needed = end.div_ceil(frame);
        let Self { packager, mut segments } = self.up_to(needed + beyond);
        let package = packager.finish(samples).expect("packages");
        segments.extend(package.segments);
        let timeline: Vec<u64> = package.variant.timeline.segments().collect();
        let shortest = shortest_segment(codec.rate());
        assert!(timeline.len() == 1 || timeline.iter().all(|it| *it >= shortest), "{timeline:?}");
        assert_eq!(timeline.len(), segments.len(), "{codec:?}, {samples} samples");
        let (mut frames, mut presented) = (0, u64::from(media_time));
        for (segment, duration) in segments.iter().zip(&timeline) {
            // Each frame is a byte of the mdat, which is all that follows the moof.
            let moof = u32::from_be_bytes(segment.bytes[..4].try_into().expect("is four bytes"));
            frames += segment.bytes.len() as u64 - u64::from(moof) - 8;
            presented += duration;
            assert_eq!((frames * frame).min(end), presented, "{codec:?}, {samples} samples");
        }
        assert_eq!((frames, presented), (needed, end), "{codec:?}, {samples} samples");
        // Reading all boxes takes most of the time.
        if samples % 64 > 1 {
            return;
        }
        let mut media = 0;
        for segment in &segments {
            let moof = Moof::decode(&mut segment.bytes.as_ref()).expect("decodes");
            let traf = &moof.traf[0];
            assert_eq!(traf.tfdt.as_ref().expect("is there").base_media_decode_time, media);
            let durations = traf.trun[0].samples.iter().map(|it| it.duration);
            media += durations.map(|it| it.map_or(frame, u64::from)).sum::<u64>();
        }
        assert_eq!(media, end, "{codec:?}, {samples} samples");
    }
}

#[test]
fn no_tail_makes_a_last_segment_that_players_cannot_end() {
    let flac = |rate, bits| {
        CodecConfig::Flac(FlacConfig { rate, channels: 2, bits, frame_duration: 4096 })
    };
    for (codec, media_time) in [
        (aac(44_100, 2), PRIMING),
        (aac(48_000, 2), PRIMING),
        // Carried: its priming is no whole number of frames.
        (aac(44_100, 2), 2112),
        (aac(48_000, 2), 2112),
        (flac(44_100, 16), 0),
        (flac(48_000, 24), 0),
        (flac(88_200, 24), 0),
        (flac(96_000, 24), 0),
    ] {
        let frame = codec.frame_duration();
        let shift = u64::from(media_time.next_multiple_of(frame) - media_time);
        let duration = segment_duration(codec.rate());
        let shortest = shortest_segment(codec.rate());
        let none = Given::new(&codec, media_time);
        let given = |boundary: u64| {
            none.clone().up_to((u64::from(media_time) + boundary) / u64::from(frame))
        };
        let first = given(duration + shift);
        for tail in (0..=4096).chain(shortest - 300..=shortest + 300) {
            let beyond = tail % (MOST_FRAMES_BEYOND + 1);
            first.clone().assert_ends(duration + shift + tail, beyond);
        }
        let second = given(2 * duration + shift);
        for tail in [0, 1, shortest - 1, shortest] {
            for beyond in 0..=MOST_FRAMES_BEYOND {
                second.clone().assert_ends(2 * duration + shift + tail, beyond);
                none.clone().assert_ends(tail.max(1), beyond);
            }
        }
    }
}

#[test]
fn what_cannot_be_packaged_is_an_error() {
    let some = frames(&[10; 20]);
    assert!(matches!(package(PRIMING, &some, 0), Err(PackageError::Empty)));
    assert!(matches!(
        package(PRIMING, &some, 19 * 1024 + 1),
        Err(PackageError::TooFewFrames { frames: 19_456, samples: 19_457 })
    ));
    assert!(matches!(package(PRIMING, &frames(&[10, 0]), 1), Err(PackageError::EmptyFrame(1))));
    let long = frames(&[10; 400]);
    assert!(matches!(package(PRIMING, &long, 1000), Err(PackageError::TooManyFrames { .. })));
    // The first segment is gone, and what follows is too short to stand alone.
    let ends = segment_duration(48_000) + shortest_segment(48_000) - 1;
    assert!(matches!(package(PRIMING, &long, ends), Err(PackageError::TooManyFrames { .. })));
    assert!(package(PRIMING, &long, ends + 1).is_ok());
}

#[test]
fn boxes_add_little_to_the_frames() {
    // 128 kb/s at 48 kHz is 341 bytes a frame.
    let sizes = vec![341; 2800];
    let (_, segments) = package(PRIMING, &frames(&sizes), 2799 * 1024).expect("packages");
    let all: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
    let payload: usize = sizes.iter().sum();
    assert!((all - payload) * 1000 < payload * 15, "{} bytes for {payload}", all - payload);
}

/// FLAC at twice the rate of the AAC beside it.
const FLAC: CodecConfig =
    CodecConfig::Flac(FlacConfig { rate: 96_000, channels: 2, bits: 24, frame_duration: 4096 });

#[test]
fn flac_has_no_priming_and_the_same_boundaries_at_twice_the_rate() {
    let samples = 3 * segment_duration(96_000) - 4000;
    let count = usize::try_from(samples.div_ceil(4096)).expect("is small");
    let mut packager = Packager::new(FLAC, 0);
    let mut segments = Vec::new();
    for frame in frames(&vec![900; count]) {
        segments.extend(packager.push(&frame).expect("takes it"));
    }
    let package = packager.finish(samples).expect("packages");
    segments.extend(package.segments.iter().cloned());
    let ends: Vec<u64> = package.variant.timeline.segments().collect();
    assert_eq!(ends, [140 * 4096, 140 * 4096, 140 * 4096 - 4000]);
    assert_eq!(segments.len(), 3);

    let mut rest = package.init.as_ref();
    Any::decode(&mut rest).expect("decodes");
    let moov = Moov::decode(&mut rest).expect("decodes");
    let table = &moov.trak[0].mdia.minf.stbl;
    assert!(table.sgpd.is_empty(), "every frame stands alone");
    let mp4_atom::Codec::Flac(entry) = &table.stsd.codecs[0] else { panic!("FLAC") };
    assert_eq!(entry.audio.sample_rate, 48_000_u16.into());
    let [
        mp4_atom::FlacMetadataBlock::StreamInfo {
            sample_rate,
            bits_per_sample_minus_one,
            number_of_interchannel_samples,
            ..
        },
    ] = &entry.dfla.blocks[..]
    else {
        panic!("STREAMINFO alone")
    };
    assert_eq!((*sample_rate, *bits_per_sample_minus_one), (96_000, 23));
    assert_eq!(*number_of_interchannel_samples, samples);
}

#[test]
fn frames_off_the_grid_move_every_boundary_to_the_end_of_a_frame() {
    let duration = segment_duration(48_000);
    let count = usize::try_from((2 * duration + 2112).div_ceil(1024)).expect("is small");
    let (package, segments) =
        package(2112, &frames(&vec![300; count]), 2 * duration).expect("packages");
    let shift = 3 * 1024 - 2112;
    let durations: Vec<u64> = package.variant.timeline.segments().collect();
    assert_eq!(durations, [duration + shift, duration - shift]);
    assert_eq!(read(&segments[1]).start, 2112 + duration + shift);
}

proptest! {
    #[test]
    fn every_frame_is_in_its_segment_and_the_samples_add_up(
        sizes in prop::collection::vec(1_usize..40, 1..1500),
        media_time in prop_oneof![Just(PRIMING), 0_u32..3000],
        cut in 0_u64..4000,
    ) {
        let frames = frames(&sizes);
        let available = (frames.len() as u64 * 1024).saturating_sub(media_time.into());
        let samples = available.saturating_sub(cut);
        prop_assume!(samples > 0);
        let (package, segments) = package(media_time, &frames, samples).expect("packages");

        let numbers: Vec<u32> = segments.iter().map(|segment| segment.number).collect();
        prop_assert_eq!(numbers, (0..u32::try_from(segments.len()).expect("is small")).collect::<Vec<_>>());
        let needed = (u64::from(media_time) + samples).div_ceil(1024);
        let read: Vec<Read> = segments.iter().map(read).collect();
        let all: Vec<_> = read.iter().flat_map(|segment| segment.samples.clone()).collect();
        prop_assert_eq!(&all, &frames[..usize::try_from(needed).expect("is small")]);

        // Each segment goes on where the one before it ended, and the last ends with the sound.
        let mut end = 0;
        for segment in &read {
            prop_assert_eq!(segment.start, end);
            end += segment.durations.iter().sum::<u64>();
        }
        prop_assert_eq!(end, u64::from(media_time) + samples);

        // Segments begin and end where the timeline says, and that is the grid, to within a frame.
        prop_assert_eq!(package.variant.timeline.samples(), samples);
        prop_assert_eq!(package.variant.timeline.len(), segments.len());
        let mut boundary = u64::from(media_time);
        let mut grid = boundary;
        for (segment, duration) in read.iter().skip(1).zip(package.variant.timeline.segments()) {
            boundary += duration;
            grid += segment_duration(48_000);
            prop_assert_eq!(segment.start, boundary);
            prop_assert!(boundary - grid < 1024);
        }
        let average = package.variant.average_bandwidth;
        prop_assert!(package.variant.bandwidth >= average);
    }

    #[test]
    fn no_frames_and_no_length_make_it_panic(
        sizes in prop::collection::vec(0_usize..9000, 0..700),
        media_time in any::<u32>(),
        samples in prop_oneof![any::<u64>(), 0_u64..1_000_000],
    ) {
        let _ = package(media_time, &frames(&sizes), samples);
    }
}
