//! The boxes around the frames (ISO/IEC 14496-12; CMAF, ISO/IEC 23000-19 §7).

use mp4_atom::{
    AnySampleGroupEntry, Audio, Codec as SampleEntry, Dfla, Dinf, Dref, Edts, Elst, ElstEntry,
    Encode, Flac, FlacMetadataBlock, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Mehd, Mfhd, Minf, Moof, Moov,
    Mp4a, Mvex, Mvhd, Sbgp, SbgpEntry, Sgpd, SgpdEntry, Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd,
    Traf, Trak, Trex, Trun, TrunEntry, Url, esds,
};

use super::{CodecConfig, FlacConfig, PackageError};
use crate::AacConfig;

const TRACK: u32 = 1;

/// Every sample can be decoded without the others: `sample_depends_on` is 2, and
/// `sample_is_non_sync_sample` is 0 (§8.8.3.1).
const INDEPENDENT: u32 = 2 << 24;

/// Size and type of the box that holds the frames.
const MDAT_HEADER: usize = 8;

const ROLL: FourCC = FourCC::new(b"roll");

/// Bit rates of a whole track, in bit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) peak: u64,
    pub(super) average: u64,
}

/// The initialization section: how to decode, and which samples are the sound.
pub(super) fn init(
    codec: &CodecConfig,
    media_time: u32,
    samples: u64,
    rates: Rates,
) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::with_capacity(1024);
    Ftyp {
        major_brand: FourCC::new(b"cmfc"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc")],
    }
    .encode(&mut bytes)?;
    Moov {
        mvhd: Mvhd {
            timescale: codec.rate(),
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: Some(Mehd { fragment_duration: samples }),
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                default_sample_duration: codec.frame_duration(),
                default_sample_size: 0,
                default_sample_flags: INDEPENDENT,
            }],
        }),
        trak: vec![track(codec, media_time, samples, rates)],
        ..Moov::default()
    }
    .encode(&mut bytes)?;
    Ok(bytes)
}

fn track(codec: &CodecConfig, media_time: u32, samples: u64, rates: Rates) -> Trak {
    // One entry that begins after the priming. A duration of 0 is that of all fragments that follow
    // (§8.6.6.1), the last of which ends with the sound.
    let edit = ElstEntry {
        segment_duration: 0,
        media_time: Some(media_time.into()),
        media_rate: 1.into(),
    };
    Trak {
        tkhd: Tkhd {
            track_id: TRACK,
            enabled: true,
            in_movie: true,
            volume: 1.into(),
            ..Tkhd::default()
        },
        edts: Some(Edts { elst: Some(Elst { entries: vec![edit] }) }),
        mdia: Mdia {
            mdhd: Mdhd { timescale: codec.rate(), language: "und".into(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(b"soun"), name: String::new() },
            minf: Minf {
                smhd: Some(Smhd::default()),
                // An empty location: the frames are in the same file (§8.7.2).
                dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
                stbl: Stbl {
                    stsd: Stsd { codecs: vec![sample_entry(codec, samples, rates)] },
                    stco: Some(Stco::default()),
                    sgpd: codec.roll_distance().map(roll).into_iter().collect(),
                    ..Stbl::default()
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

fn sample_entry(codec: &CodecConfig, samples: u64, rates: Rates) -> SampleEntry {
    let audio = |bits: u8, rate: u32| Audio {
        data_reference_index: 1,
        channel_count: codec.channels(),
        sample_size: bits.into(),
        sample_rate: u16::try_from(rate).unwrap_or(0).into(),
    };
    match codec {
        CodecConfig::Aac(config) => Mp4a {
            audio: audio(16, config.rate()),
            esds: esds(*config, rates),
            btrt: None,
            taic: None,
        }
        .into(),
        CodecConfig::Flac(config) => {
            // A rate that does not fit into 16 bits is halved until it does (Encapsulation of FLAC
            // in ISO Base Media File Format §3.3.1); decoders take it from STREAMINFO.
            let mut rate = config.rate;
            while rate > u32::from(u16::MAX) {
                rate /= 2;
            }
            Flac { audio: audio(config.bits, rate), dfla: dfla(*config, samples) }.into()
        }
    }
}

fn esds(config: AacConfig, rates: Rates) -> esds::Esds {
    let bitrate = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
    esds::Esds {
        es_desc: esds::EsDescriptor {
            dec_config: esds::DecoderConfig {
                // ISO/IEC 14496-1 §7.2.6.6: MPEG-4 audio, an audio stream.
                object_type_indication: 0x40,
                stream_type: 5,
                max_bitrate: bitrate(rates.peak),
                avg_bitrate: bitrate(rates.average),
                dec_specific: Some(esds::DecoderSpecific {
                    raw: config.audio_specific_config().to_vec(),
                    ..Default::default()
                }),
                ..Default::default()
            },
            ..Default::default()
        },
    }
}

fn dfla(config: FlacConfig, samples: u64) -> Dfla {
    /// What 36 bits hold.
    const MOST_SAMPLES: u64 = (1 << 36) - 1;
    Dfla {
        blocks: vec![FlacMetadataBlock::StreamInfo {
            minimum_block_size: config.frame_duration,
            maximum_block_size: config.frame_duration,
            // Of frame sizes, the number of samples and the MD5 of all of them, 0 says that they
            // are not known (RFC 9639 §8.2).
            minimum_frame_size: [0; 3].into(),
            maximum_frame_size: [0; 3].into(),
            sample_rate: config.rate,
            num_channels_minus_one: config.channels.saturating_sub(1),
            bits_per_sample_minus_one: config.bits.saturating_sub(1),
            number_of_interchannel_samples: if samples > MOST_SAMPLES { 0 } else { samples },
            md5_checksum: vec![0; 16],
        }],
    }
}

/// The sample group of samples that sound right once `distance` frames before them were decoded
/// (§10.1).
fn roll(distance: i16) -> Sgpd {
    let entry = AnySampleGroupEntry::UnknownGroupingType(ROLL, distance.to_be_bytes().to_vec());
    Sgpd {
        grouping_type: ROLL,
        default_length: Some(2),
        default_group_description_index: None,
        static_group_description: false,
        static_mapping: false,
        essential: false,
        entries: vec![SgpdEntry { description_length: Some(2), entry }],
    }
}

/// What a media segment says of its frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment<'a> {
    /// From 1.
    pub(super) sequence_number: u32,
    /// Where its first frame begins in the track's media, in samples.
    pub(super) start: u64,
    /// The sizes of its frames, in bytes.
    pub(super) sizes: &'a [u32],
    /// The duration of its last frame, where it is shorter than the others.
    pub(super) last_duration: Option<u32>,
}

/// All of a media segment that comes before its frames.
pub(super) fn header(codec: &CodecConfig, fragment: Fragment<'_>) -> Result<Vec<u8>, PackageError> {
    let mut moof = moof(codec, fragment);
    let mut bytes = Vec::with_capacity(128 + fragment.sizes.len() * 8);
    moof.encode(&mut bytes)?;
    // The frames begin where this header ends, counted from the beginning of the moof
    // (default-base-is-moof, §8.8.7). The offset's value does not change the header's length.
    let offset = i32::try_from(bytes.len() + MDAT_HEADER).map_err(|_| PackageError::TooLarge)?;
    for run in moof.traf.iter_mut().flat_map(|traf| &mut traf.trun) {
        run.data_offset = Some(offset);
    }
    bytes.clear();
    moof.encode(&mut bytes)?;
    let payload: u64 = fragment.sizes.iter().copied().map(u64::from).sum();
    let size = u32::try_from(payload + MDAT_HEADER as u64).map_err(|_| PackageError::TooLarge)?;
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    Ok(bytes)
}

/// How long [`header`] can be at most for so many frames.
pub(super) const fn header_bound(frames: usize) -> usize {
    256 + frames * 8
}

fn moof(codec: &CodecConfig, fragment: Fragment<'_>) -> Moof {
    // Durations are told where one differs from the default of trex, and then for all (§8.8.8).
    let (last, usual) = (fragment.last_duration, codec.frame_duration());
    let count = fragment.sizes.len();
    let samples: Vec<TrunEntry> = fragment
        .sizes
        .iter()
        .enumerate()
        .map(|(index, size)| TrunEntry {
            size: Some(*size),
            duration: last.map(|last| if index + 1 == count { last } else { usual }),
            ..TrunEntry::default()
        })
        .collect();
    let sbgp = codec.roll_distance().map(|_| Sbgp {
        grouping_type: ROLL,
        grouping_type_parameter: None,
        entries: vec![SbgpEntry {
            sample_count: u32::try_from(count).unwrap_or(u32::MAX),
            group_description_index: 1,
        }],
    });
    Moof {
        mfhd: Mfhd { sequence_number: fragment.sequence_number },
        traf: vec![Traf {
            tfhd: Tfhd { track_id: TRACK, default_base_is_moof: true, ..Tfhd::default() },
            tfdt: Some(Tfdt { base_media_decode_time: fragment.start }),
            trun: vec![Trun { data_offset: Some(0), samples: samples.into() }],
            sbgp: sbgp.into_iter().collect(),
            ..Traf::default()
        }],
    }
}
