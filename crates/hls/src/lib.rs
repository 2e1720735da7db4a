//! HTTP Live Streaming: encoded frames in, CMAF segments and playlists out, and a DASH manifest of
//! the same segments. No I/O.

mod adts;
mod cmaf;
mod manifest;
mod playlist;

pub use adts::{AacConfig, AdtsError, AdtsReader};
pub use cmaf::{
    CodecConfig, FlacConfig, FragmentError, FragmentReader, Package, PackageError, Packager,
    Sample, Segment,
};
pub use manifest::Manifest;
pub use playlist::{MediaPlaylist, MultivariantPlaylist};
