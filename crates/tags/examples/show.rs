//! Shows what the tags of files say: `cargo run -p tags --example show -- FILE…`. What a file is in
//! is told by the ending of its name.

use std::{env, error::Error, fs::File, path::Path};

use tags::{Field, Format, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    for path in env::args_os().skip(1) {
        let path = Path::new(&path);
        let format = match path.extension().and_then(|it| it.to_str()).unwrap_or_default() {
            "m4a" | "mp4" | "mov" => Format::Mp4,
            "flac" => Format::Flac,
            "ogg" | "oga" | "opus" | "spx" => Format::Ogg,
            "wav" => Format::Wav,
            "w64" => Format::W64,
            "aiff" | "aif" | "aifc" => Format::Aiff,
            _ => Format::Mpeg,
        };
        let tags = tags::read(&mut File::open(path)?, format, &Limits::default());
        println!("{}", path.display());
        for field in Field::ALL {
            if !tags.all(field).is_empty() {
                println!("  {field:?}: {:?}", tags.all(field));
            }
        }
        println!("  artists {:?}, year {:?}, bits {:?}", tags.artists(), tags.year(), tags.bits());
        if let Some(reason) = tags.stopped() {
            println!("  {reason}");
        }
    }
    Ok(())
}
