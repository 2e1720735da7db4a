//! Chained Ogg whose links differ: each link is decoded by an ffmpeg of its own.
//!
//! ffmpeg decodes a chain with one decoder. Its Opus decoder keeps the state of one link for the
//! next, which is heard as a click where the channels change; the reference decoder, `opusdec`, has
//! none.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    ops::Range,
    process::Stdio,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
};

use crate::{
    Container, Engine, Error, Rejection, Result, Spool,
    engine::Work,
    ffmpeg::{self, FED, LINK, Pcm},
    sound::Sound,
    wave::float_header,
};

/// How many links a chain may have to be decoded link by link: each costs the start of an ffmpeg.
/// A longer chain is decoded by one ffmpeg, as a file of one link is.
const MOST_LINKS: usize = 256;

/// The links of a chain, at least two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain(Vec<Link>);

/// One link: all streams that begin together, up to the next that begin (RFC 3533 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    /// Where in the file its pages are.
    pages: Range<u64>,
    format: Format,
}

/// What the first stream of a link that is audio begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    codec: Codec,
    channels: u8,
    /// In Hz.
    rate: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Flac,
    Opus,
    Vorbis,
}

impl Chain {
    /// The links of a file, if they must be decoded one by one: if one of them has another format
    /// than the first, or a link follows that is Opus.
    ///
    /// Nothing for a file in another container, of a single link, of more than [`MOST_LINKS`], or
    /// whose pages do not follow one another without a gap.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) async fn find(spool: &Spool, input: Sound) -> Result<Option<Self>> {
        if input.container != Container::Ogg {
            return Ok(None);
        }
        let path = spool.path();
        let links = blocking(move || links(&mut BufReader::new(File::open(path)?), input.offset));
        let links = links.await.map_err(|error| Error::io("look for links in a file", error))?;
        Ok(links.filter(|links| changes(links)).map(Self))
    }

    /// Decodes one link after the other and writes all of them as one WAV of `pcm`.
    ///
    /// A link that cannot be decoded is left out. Ends without an error if the ffmpeg that reads
    /// `to` has ended: the call that runs that ffmpeg reports why.
    ///
    /// # Errors
    /// [`Error::Io`]; those of [`Engine::run`], but for [`Rejection::Undecodable`].
    pub(crate) async fn feed(
        &self,
        engine: &Engine,
        spool: &Spool,
        work: Work,
        pcm: Pcm,
        mut to: pipe::Sender,
    ) -> Result<()> {
        let fed = async {
            to.write_all(&float_header(pcm.rate, pcm.channels)).await.map_err(unwritten)?;
            for Link { pages, format } in &self.0 {
                cut(spool, pages.clone()).await?;
                let input = Sound { file: LINK, ..Sound::plain(Container::Ogg, 0) };
                let arguments = ffmpeg::decode(input, pcm, format.channels);
                let decoded = engine.run(work, spool.directory(), arguments, 1, async |pipes| {
                    for pipe in pipes {
                        pass_on(pipe, &mut to, pcm).await?;
                    }
                    Ok(())
                });
                match decoded.await {
                    Ok(_) => {}
                    Err(Error::Rejected(Rejection::Undecodable)) => {
                        tracing::info!(?pages, "a link of a chain is left out");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        match fed.await {
            Err(Error::Io(_, error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            fed => fed,
        }
    }
}

/// A new pipe: how ffmpeg opens its reading end, that end, and the end that [`Chain::feed`] writes to.
pub(crate) fn feeding() -> Result<(Sound, Stdio, pipe::Sender)> {
    let failed = |error| Error::Io("make a pipe", error);
    let (reader, writer) = io::pipe().map_err(failed)?;
    let writer = pipe::Sender::from_owned_fd(writer.into()).map_err(failed)?;
    Ok((Sound { file: FED, ..Sound::plain(Container::Wav, 0) }, reader.into(), writer))
}

/// Copies the pages of one link into a file, over those of the link before it.
async fn cut(spool: &Spool, pages: Range<u64>) -> Result<()> {
    let (from, to) = (spool.path(), spool.directory().join(LINK));
    blocking(move || {
        let mut from = File::open(from)?;
        from.seek(SeekFrom::Start(pages.start))?;
        let mut pages = from.take(pages.end - pages.start);
        io::copy(&mut pages, &mut File::create(to)?).map(drop)
    })
    .await
    .map_err(|error| Error::io("copy a link of a file", error))
}

/// Passes on what was decoded, up to the last whole sample of all channels.
async fn pass_on(mut from: pipe::Receiver, to: &mut pipe::Sender, pcm: Pcm) -> Result<()> {
    let sample = pcm.bytes();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.reserve(32 * 1024);
        let length = from.read_buf(&mut buffer).await;
        if length.map_err(|error| Error::Io("read from ffmpeg", error))? == 0 {
            return Ok(());
        }
        let whole = buffer.len() - buffer.len() % sample;
        to.write_all(&buffer[..whole]).await.map_err(unwritten)?;
        buffer.drain(..whole);
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::Io("write to ffmpeg", error)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Whether the links need a decoder each.
fn changes(links: &[Link]) -> bool {
    let [first, others @ ..] = links else { return false };
    others.iter().any(|link| link.format != first.format || link.format.codec == Codec::Opus)
}

/// The links of a file whose first page is at `offset`. Nothing if there are too many, if one has
/// no stream in a codec of ours, or if anything but pages is among the pages.
fn links(
    file: &mut BufReader<impl io::Read + io::Seek>,
    offset: u64,
) -> io::Result<Option<Vec<Link>>> {
    let mut links: Vec<(u64, Option<Format>)> = Vec::new();
    // Several streams of a link may begin: all their first pages come before any other page.
    let (mut at, mut beginning) = (offset, false);
    file.seek(SeekFrom::Start(offset))?;
    while !file.fill_buf()?.is_empty() {
        let Some(page) = Page::read(file)? else { return Ok(None) };
        if page.begins && !beginning {
            if links.len() == MOST_LINKS {
                return Ok(None);
            }
            links.push((at, None));
        }
        if let Some((_, format)) = links.last_mut().filter(|_| page.begins) {
            *format = format.or_else(|| Format::read(&page.head));
        }
        beginning = page.begins;
        at += page.length;
    }
    let ends: Vec<_> = links.iter().skip(1).map(|(start, _)| *start).chain([at]).collect();
    let links = links.into_iter().zip(ends);
    Ok(links
        .map(|((start, format), end)| Some(Link { pages: start..end, format: format? }))
        .collect())
}

/// A page (RFC 3533 §6).
struct Page {
    /// Whether it is the first of its stream.
    begins: bool,
    /// The beginning of what it holds, if it begins a stream.
    head: Vec<u8>,
    /// In bytes, with its header. More than the file has if that is cut off in it.
    length: u64,
}

impl Page {
    /// Reads a page and leaves `file` behind it; nothing if there is none.
    fn read(file: &mut BufReader<impl io::Read + io::Seek>) -> io::Result<Option<Self>> {
        const HEADER: usize = 27;
        /// More than the headers of our codecs take that tell the format.
        const HEAD: u64 = 64;
        let mut header = Vec::with_capacity(HEADER);
        file.take(HEADER as u64).read_to_end(&mut header)?;
        let [b'O', b'g', b'g', b'S', 0, flags, .., segments] = header[..] else { return Ok(None) };
        let mut table = Vec::with_capacity(segments.into());
        file.take(segments.into()).read_to_end(&mut table)?;
        let body: u64 = table.iter().map(|it| u64::from(*it)).sum();
        let (begins, mut head) = (flags & 2 != 0, Vec::new());
        if begins {
            file.take(body.min(HEAD)).read_to_end(&mut head)?;
        }
        // A page has at most 64 KiB.
        file.seek_relative((body - head.len() as u64).cast_signed())?;
        let length = (HEADER + table.len()) as u64 + body;
        Ok(Some(Self { begins, head, length }))
    }
}

impl Format {
    /// Reads the first packet of a stream: RFC 7845 §5.1, Vorbis I §4.2.2, and the Ogg mapping of
    /// FLAC (RFC 9639 §10.1).
    fn read(packet: &[u8]) -> Option<Self> {
        if let Some(head) = packet.strip_prefix(b"OpusHead") {
            // Opus always decodes to 48 kHz here.
            return Some(Self { codec: Codec::Opus, channels: *head.get(1)?, rate: 48_000 });
        }
        if let Some(head) = packet.strip_prefix(b"\x01vorbis") {
            let rate = u32::from_le_bytes(*head.get(5..)?.first_chunk()?);
            return Some(Self { codec: Codec::Vorbis, channels: *head.get(4)?, rate });
        }
        // Behind the mapping's header, the signature and the block's header: STREAMINFO, with 20 bits
        // of rate and 3 of channels, less one, behind sizes of blocks and frames.
        let info = packet.strip_prefix(b"\x7fFLAC")?.get(12 + 10..)?;
        let [a, b, c] = *info.first_chunk()?;
        let rate = u32::from(a) << 12 | u32::from(b) << 4 | u32::from(c) >> 4;
        Some(Self { codec: Codec::Flac, channels: (c >> 1 & 7) + 1, rate })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn page(flags: u8, body: &[u8]) -> Vec<u8> {
        let mut page = [&b"OggS\0"[..], &[flags], &[0; 20]].concat();
        let segments = body.len().div_ceil(255).max(1);
        page.push(u8::try_from(segments).expect("is small"));
        page.extend(body.chunks(255).map(|it| u8::try_from(it.len()).expect("is small")));
        page.resize(27 + segments, 0);
        [&page, body].concat()
    }

    fn opus(channels: u8) -> Vec<u8> {
        let head = [&b"OpusHead\x01"[..], &[channels], b"\x38\x01\x80\xbb\0\0\0\0\0"].concat();
        [page(2, &head), page(0, &[7; 1000]), page(4, &[9; 600])].concat()
    }

    fn vorbis(channels: u8, rate: u32) -> Vec<u8> {
        let head =
            [&b"\x01vorbis\0\0\0\0"[..], &[channels], &rate.to_le_bytes(), &[0; 14]].concat();
        [page(2, &head), page(4, &[7; 3000])].concat()
    }

    fn flac(channels: u8, rate: u32) -> Vec<u8> {
        let bits = (rate << 12 | u32::from(channels - 1) << 9 | 15 << 4).to_be_bytes();
        let head = [&b"\x7fFLAC\x01\0\0\x01fLaC\0\0\0\x22"[..], &[0; 10], &bits, &[0; 20]].concat();
        [page(2, &head), page(4, &[7; 3000])].concat()
    }

    fn found(bytes: &[u8], offset: u64) -> Option<Vec<Link>> {
        links(&mut BufReader::with_capacity(100, Cursor::new(bytes)), offset).expect("reads")
    }

    #[test]
    fn links_are_told_by_the_pages_that_begin_streams() {
        let (one, two, three) = (opus(2), vorbis(1, 44_100), flac(6, 96_000));
        let chain = [&b"tag"[..], &one, &two, &three].concat();
        let links = found(&chain, 3).expect("are found");
        let formats: Vec<_> =
            links.iter().map(|it| (it.format.codec, it.format.channels, it.format.rate)).collect();
        assert_eq!(
            formats,
            [(Codec::Opus, 2, 48_000), (Codec::Vorbis, 1, 44_100), (Codec::Flac, 6, 96_000)]
        );
        let mut at = 3;
        for (link, bytes) in links.iter().zip([one, two, three]) {
            assert_eq!(link.pages, at..at + bytes.len() as u64);
            at = link.pages.end;
        }
    }

    #[test]
    fn streams_that_begin_together_are_one_link() {
        let picture = page(2, b"\x80theora and so on");
        let link = [&picture[..], &opus(2), &page(4, b"")].concat();
        assert_eq!(found(&link, 0).map(|links| links.len()), Some(1));
        assert_eq!(found(&link.repeat(3), 0).map(|links| links.len()), Some(3));
        assert_eq!(found(&[&opus(2)[..], &picture, &page(4, b"")].concat(), 0), None);
    }

    #[test]
    fn only_a_link_that_differs_or_is_opus_needs_a_decoder_of_its_own() {
        let apart = |links: &[Vec<u8>]| changes(&found(&links.concat(), 0).expect("are found"));
        assert!(!apart(&[opus(2)]));
        assert!(apart(&[opus(2), opus(2)]));
        assert!(!apart(&[vorbis(2, 44_100), vorbis(2, 44_100)]));
        assert!(apart(&[vorbis(2, 44_100), vorbis(2, 44_100), vorbis(1, 44_100)]));
        assert!(apart(&[vorbis(2, 44_100), vorbis(2, 48_000)]));
        assert!(!apart(&[flac(2, 44_100), flac(2, 44_100)]));
        assert!(apart(&[flac(2, 44_100), flac(1, 44_100)]));
        assert!(apart(&[flac(2, 44_100), vorbis(2, 44_100)]));
    }

    #[test]
    fn damage_and_chains_without_end_are_left_to_one_decoder() {
        let chain = [opus(2), opus(1)].concat();
        assert!(found(&chain[..chain.len() - 50], 0).is_some(), "the last page is cut off");
        assert_eq!(found(&[&opus(2)[..], b"junk", &opus(1)].concat(), 0), None);
        assert_eq!(found(&[&chain[..], b"TAG"].concat(), 0), None);
        assert_eq!(found(&opus(2).repeat(MOST_LINKS), 0).map(|it| it.len()), Some(MOST_LINKS));
        assert_eq!(found(&opus(2).repeat(MOST_LINKS + 1), 0), None);
        assert_eq!(found(&page(2, b"OpusHead\x01"), 0), None);
    }
}
