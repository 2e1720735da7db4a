//! HTTP Live Streaming: encoded frames in, CMAF segments and playlists out. No I/O.

mod adts;
mod cmaf;
mod playlist;

pub use adts::{AacConfig, AdtsError, AdtsReader};
pub use cmaf::{Codec, Package, PackageError, Packager, Segment};
pub use playlist::{MediaPlaylist, MultivariantPlaylist};
