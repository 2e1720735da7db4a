//! What ffmpeg reads of a file: the file as it came, or a copy without what ffmpeg would take for
//! sound and is none.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::Path,
};

use tempfile::NamedTempFile;

use crate::{
    Container, Error, Rejection, Result, Spool,
    container::{frames_end, recognise},
    ffmpeg::{COPY, INPUT},
    wave::{self, Layout},
};

/// How ffmpeg opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) container: Container,
    /// The file's name in the spool's directory.
    pub(crate) file: &'static str,
    /// Bytes before the container.
    pub(crate) offset: u64,
    /// The decoder that is taken where ffmpeg would take another.
    pub(crate) decoder: Option<&'static str>,
    /// Bits per sample of integers, where the container tells.
    pub(crate) bits: Option<u8>,
}

impl Sound {
    /// The file as it came, opened as `container`.
    pub(crate) fn plain(container: Container, offset: u64) -> Self {
        Self { container, file: INPUT, offset, decoder: None, bits: None }
    }
}

/// The largest magnitude that a floating point sample may have, full scale being 1. Far beyond
/// what recorders write; ffmpeg's AAC encoder gives up, or never ends, on some that are larger.
const LOUDEST: f64 = 1_048_576.0;

/// Prepares a file for ffmpeg. Makes the copy where one is needed and is not there yet.
///
/// # Errors
/// [`Rejection::NotAudio`]; [`Error::Io`].
pub(crate) async fn prepare(spool: &Spool) -> Result<Sound> {
    let directory = spool.directory().to_owned();
    let prepared = tokio::task::spawn_blocking(move || prepare_in(&directory)).await;
    let prepared = prepared.unwrap_or_else(|error| Err(io::Error::other(error)));
    prepared
        .map_err(|error| Error::io("prepare a file for ffmpeg", error))?
        .ok_or(Rejection::NotAudio.into())
}

fn prepare_in(directory: &Path) -> io::Result<Option<Sound>> {
    let path = directory.join(INPUT);
    let mut file = File::open(&path)?;
    let Some(recognised) = recognise(&mut file)? else { return Ok(None) };
    let (container, offset) = (recognised.container, recognised.offset);
    let sound = Sound::plain(container, offset);
    match container {
        Container::Mp3 | Container::Adts => {
            let length = file.metadata()?.len();
            let end = frames_end(&mut file, offset)?;
            if end >= length {
                return Ok(Some(sound));
            }
            copy(directory, |to| {
                file.seek(SeekFrom::Start(offset))?;
                io::copy(&mut (&file).take(end - offset), to).map(drop)
            })?;
            Ok(Some(Sound { file: COPY, offset: 0, ..sound }))
        }
        Container::Wav | Container::W64 | Container::Aiff => {
            let layout = wave::layout(&mut file, container, offset)?;
            let Some(layout) = layout else { return Ok(Some(sound)) };
            let sound = Sound {
                decoder: other_decoder(&layout),
                bits: (!layout.float).then_some(layout.valid_bits),
                ..sound
            };
            if !layout.float || !has_no_numbers(&mut file, &layout)? {
                return Ok(Some(sound));
            }
            copy(directory, |to| copy_numbers(&mut file, &layout, to))?;
            Ok(Some(Sound { file: COPY, ..sound }))
        }
        Container::Mp4 | Container::Flac | Container::Ogg => Ok(Some(sound)),
    }
}

/// Writes the copy, unless it is there: it appears under its name once it is whole.
fn copy(
    directory: &Path,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> io::Result<()>,
) -> io::Result<()> {
    let path = directory.join(COPY);
    if path.exists() {
        return Ok(());
    }
    let mut to = BufWriter::new(NamedTempFile::new_in(directory)?);
    write(&mut to)?;
    to.into_inner().map_err(io::IntoInnerError::into_error)?.persist(path)?;
    Ok(())
}

/// The decoder for integers in more bytes than their valid bits need: by these bits alone, ffmpeg
/// would choose one for narrower samples, or for floating point.
fn other_decoder(layout: &Layout) -> Option<&'static str> {
    if layout.float || layout.big_endian || layout.valid_bits.div_ceil(8) == layout.width {
        return None;
    }
    match layout.width {
        2 => Some("pcm_s16le"),
        3 => Some("pcm_s24le"),
        4 => Some("pcm_s32le"),
        _ => None,
    }
}

/// How many bytes of samples are looked at together: a multiple of every width.
const PIECE: usize = 64 * 1024;

/// Whether a floating point sample is no number, infinite, or out of all proportion.
fn has_no_numbers(file: &mut File, layout: &Layout) -> io::Result<bool> {
    let mut found = false;
    let Range { start, end } = layout.data;
    pieces(file, start..end, |piece| {
        found |= samples(piece, layout).any(|sample| !is_number(sample, layout));
        if found { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    })
    .or_else(|error| if found { Ok(()) } else { Err(error) })?;
    Ok(found)
}

/// Copies a file, with zero for each sample that is no number.
fn copy_numbers(file: &mut File, layout: &Layout, to: &mut impl Write) -> io::Result<()> {
    let Range { start, end } = layout.data;
    pieces(file, 0..start, |piece| to.write_all(piece))?;
    pieces(file, start..end, |piece| {
        for sample in samples(piece, layout) {
            if !is_number(sample, layout) {
                sample.fill(0);
            }
        }
        to.write_all(piece)
    })?;
    pieces(file, end..u64::MAX, |piece| to.write_all(piece))
}

fn samples<'a>(piece: &'a mut [u8], layout: &Layout) -> std::slice::ChunksExactMut<'a, u8> {
    piece.chunks_exact_mut(usize::from(layout.width).max(1))
}

fn is_number(sample: &[u8], layout: &Layout) -> bool {
    let mut bytes = [0; 8];
    let width = sample.len().min(8);
    bytes[..width].copy_from_slice(&sample[..width]);
    if layout.big_endian {
        bytes[..width].reverse();
    }
    let value = match *sample {
        [_, _, _, _] => {
            f32::from_bits(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).into()
        }
        [_, _, _, _, _, _, _, _] => f64::from_le_bytes(bytes),
        // No floating point that ffmpeg decodes.
        _ => return true,
    };
    value.abs() <= LOUDEST
}

/// Reads a range of a file, or what it has of it, in pieces of [`PIECE`].
fn pieces(
    file: &mut File,
    range: Range<u64>,
    mut take: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut left = range.end.saturating_sub(range.start);
    let mut buffer = Vec::with_capacity(PIECE);
    while left > 0 {
        buffer.clear();
        (&mut *file).take(left.min(PIECE as u64)).read_to_end(&mut buffer)?;
        if buffer.is_empty() {
            break;
        }
        left -= buffer.len() as u64;
        take(&mut buffer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: u8, big_endian: bool) -> Layout {
        Layout { float: true, big_endian, width, valid_bits: 8 * width, data: 4..1_000_000 }
    }

    #[test]
    fn only_samples_that_are_no_numbers_become_zero() {
        for (sample, kept) in [
            (0.5, true),
            (-1000.0, true),
            (f64::NAN, false),
            (f64::NEG_INFINITY, false),
            (1e10, false),
        ] {
            #[expect(clippy::cast_possible_truncation, reason = "the narrower format")]
            let narrow = sample as f32;
            for (layout, bytes) in [
                (layout(4, false), narrow.to_le_bytes().to_vec()),
                (layout(4, true), narrow.to_be_bytes().to_vec()),
                (layout(8, false), sample.to_le_bytes().to_vec()),
                (layout(8, true), sample.to_be_bytes().to_vec()),
            ] {
                let directory = tempfile::tempdir().expect("makes a directory");
                let path = directory.path().join("file");
                let whole = [&b"head"[..], &bytes, b"\x7f"].concat();
                std::fs::write(&path, &whole).expect("writes");
                let mut file = File::open(&path).expect("opens");
                assert_eq!(has_no_numbers(&mut file, &layout).expect("reads"), !kept);
                let mut copied = Vec::new();
                copy_numbers(&mut file, &layout, &mut copied).expect("copies");
                let zero = vec![0; bytes.len()];
                let middle = if kept { &bytes } else { &zero };
                assert_eq!(copied, [&b"head"[..], middle, b"\x7f"].concat());
            }
        }
    }

    #[test]
    fn a_decoder_is_named_only_where_samples_are_wider_than_their_bits() {
        let decoder = |width, valid_bits| {
            other_decoder(&Layout { float: false, valid_bits, ..layout(width, false) })
        };
        assert_eq!(decoder(4, 24), Some("pcm_s32le"));
        assert_eq!(decoder(3, 16), Some("pcm_s24le"));
        assert_eq!([decoder(3, 20), decoder(2, 16), decoder(1, 8)], [None; 3]);
    }
}
