//! A file that is read in windows and within limits, and views of parts of it.

use std::io::{Read, Seek, SeekFrom};

use crate::{Limits, Result, Stopped, ogg::Pieces, small};

/// How many bytes one read of the file takes. Windows begin at multiples of it, so that reading a
/// file in order reads each byte once.
const WINDOW: u64 = 8 * 1024;

/// How many bytes of one item are read. Longer texts are cut.
pub(crate) const ITEM_LIMIT: u64 = 64 * 1024;

/// What a file must be able to do.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// The file, its length, and how much of the limits is left.
pub(crate) struct Source<'f> {
    file: &'f mut dyn ReadSeek,
    window: Window,
    /// The window before: a reader that looks ahead comes back.
    previous: Window,
    length: u64,
    left: Limits,
}

/// Bytes of the file, and where they are.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// What it has from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let inside = at.checked_sub(self.at).map(small);
        inside.and_then(|inside| self.bytes.get(inside..)).unwrap_or_default()
    }
}

impl<'f> Source<'f> {
    pub(crate) fn new(file: &'f mut dyn ReadSeek, limits: &Limits) -> Result<Self> {
        let length = file.seek(SeekFrom::End(0)).map_err(Stopped::Io)?;
        let (window, previous) = Default::default();
        Ok(Self { file, window, previous, length, left: *limits })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `out` from the position `at`; returns how much there was before the end of the file.
    pub(crate) fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize> {
        let reads = 1 + out.len() as u64 / 256;
        self.left.reads = self.left.reads.checked_sub(reads).ok_or(Stopped::Limit)?;
        let mut done = 0;
        while done < out.len() {
            let at = at.saturating_add(done as u64);
            if at >= self.length {
                break;
            }
            if self.window.from(at).is_empty() {
                std::mem::swap(&mut self.window, &mut self.previous);
            }
            if self.window.from(at).is_empty() {
                self.fetch(at - at % WINDOW)?;
            }
            let window = self.window.from(at);
            if window.is_empty() {
                break;
            }
            let length = window.len().min(out.len() - done);
            out[done..done + length].copy_from_slice(&window[..length]);
            done += length;
        }
        Ok(done)
    }

    fn fetch(&mut self, at: u64) -> Result<()> {
        self.window.bytes.clear();
        self.window.at = at;
        if self.left.bytes < WINDOW {
            return Err(Stopped::Limit);
        }
        self.file.seek(SeekFrom::Start(at)).map_err(Stopped::Io)?;
        let read = (&mut *self.file).take(WINDOW).read_to_end(&mut self.window.bytes);
        self.left.bytes -= self.window.bytes.len() as u64;
        read.map(|_| ()).map_err(Stopped::Io)
    }

    /// The `N` bytes from `at`; `None` if the file ends before.
    pub(crate) fn array<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok((self.read_at(at, &mut bytes)? == N).then_some(bytes))
    }

    /// The bytes from `at`, as many as there are up to `length` and [`ITEM_LIMIT`].
    pub(crate) fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>> {
        let length = length.min(ITEM_LIMIT).min(self.length.saturating_sub(at));
        let mut bytes = vec![0; small(length)];
        let read = self.read_at(at, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// How much may still be inflated.
    pub(crate) fn inflatable(&mut self) -> &mut usize {
        &mut self.left.inflated
    }

    /// The bytes from `start` to `end`, or to the end of the file.
    pub(crate) fn view(&mut self, start: u64, end: u64) -> View<'_, 'f> {
        let length = end.min(self.length).saturating_sub(start);
        View { source: self, map: Map::Plain { start, length } }
    }

    /// The same with the bytes taken out that unsynchronisation put in.
    pub(crate) fn unsynchronised(&mut self, start: u64, end: u64) -> View<'_, 'f> {
        let end = end.min(self.length).max(start);
        let begin = Place { logical: 0, raw: start, after_ff: false };
        View { source: self, map: Map::Unsynchronised { end, near: [begin; 3] } }
    }

    /// A packet of Ogg, which pages cut into pieces.
    pub(crate) fn packet(&mut self, pieces: Pieces) -> View<'_, 'f> {
        View { source: self, map: Map::Packet(pieces) }
    }
}

/// Part of a file, with positions of its own that begin at 0.
pub(crate) struct View<'s, 'f> {
    pub(crate) source: &'s mut Source<'f>,
    map: Map,
}

/// Where the bytes of a view are in the file.
enum Map {
    Plain {
        start: u64,
        length: u64,
    },
    /// `ID3v2` unsynchronisation (ID3v2.4.0 structure §6.1): a zero after each 0xff does not count.
    Unsynchronised {
        end: u64,
        /// Places from which a position is looked for: the beginning, the marked one, and where the
        /// last read began. Reads near one of the two take no more than what they read.
        near: [Place; 3],
    },
    Packet(Pieces),
}

#[derive(Clone, Copy)]
struct Place {
    logical: u64,
    raw: u64,
    after_ff: bool,
}

impl View<'_, '_> {
    /// An upper bound of its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match &self.map {
            Map::Plain { length, .. } => *length,
            Map::Unsynchronised { end, near } => end - near[0].raw,
            Map::Packet(_) => u64::MAX,
        }
    }

    /// Remembers the last position read, to which the reader will come back.
    pub(crate) fn mark(&mut self) {
        if let Map::Unsynchronised { near, .. } = &mut self.map {
            near[1] = near[2];
        }
    }

    /// Fills `out` from the position `at`; returns how much there was before the end.
    pub(crate) fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize> {
        match &mut self.map {
            Map::Plain { start, length } => {
                let fits = small(length.saturating_sub(at)).min(out.len());
                self.source.read_at(start.saturating_add(at), &mut out[..fits])
            }
            Map::Unsynchronised { end, near } => {
                read_unsynchronised(self.source, *end, near, at, out)
            }
            Map::Packet(pieces) => {
                let mut done = 0;
                while done < out.len() {
                    let place = pieces.find(self.source, at.saturating_add(done as u64))?;
                    let Some((offset, length)) = place else { break };
                    let wanted = small(length).min(out.len() - done);
                    let read = self.source.read_at(offset, &mut out[done..done + wanted])?;
                    done += read;
                    if read < wanted {
                        break;
                    }
                }
                Ok(done)
            }
        }
    }

    /// The `N` bytes from `at`; `None` if the view ends before.
    pub(crate) fn array<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok((self.read_at(at, &mut bytes)? == N).then_some(bytes))
    }

    /// The bytes from `at`, as many as there are up to `length` and [`ITEM_LIMIT`].
    pub(crate) fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>> {
        let length = length.min(ITEM_LIMIT).min(self.length().saturating_sub(at));
        let mut bytes = vec![0; small(length)];
        let read = self.read_at(at, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

fn read_unsynchronised(
    source: &mut Source,
    end: u64,
    near: &mut [Place; 3],
    at: u64,
    out: &mut [u8],
) -> Result<usize> {
    let nearest = near.iter().filter(|place| place.logical <= at).max_by_key(|it| it.logical);
    let mut place = *nearest.unwrap_or(&near[0]);
    let (mut chunk, mut done, mut began) = ([0; 1024], 0, false);
    while done < out.len() && place.raw < end {
        let distance = at.saturating_sub(place.logical).saturating_add((out.len() - done) as u64);
        let length = small(distance.saturating_add(16).min(end - place.raw)).min(chunk.len());
        let read = source.read_at(place.raw, &mut chunk[..length])?;
        if read == 0 {
            break;
        }
        for byte in &chunk[..read] {
            if place.after_ff && *byte == 0 {
                place = Place { raw: place.raw + 1, after_ff: false, ..place };
                continue;
            }
            if place.logical >= at {
                if !began {
                    (near[2], began) = (place, true);
                }
                let Some(slot) = out.get_mut(done) else { return Ok(done) };
                *slot = *byte;
                done += 1;
            }
            place =
                Place { logical: place.logical + 1, raw: place.raw + 1, after_ff: *byte == 0xff };
        }
    }
    Ok(done)
}
