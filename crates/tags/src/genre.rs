//! Genres, which ID3 may give as numbers.

/// The genres of `ID3v1` by their number: the standard's 80 and Winamp's additions.
#[rustfmt::skip]
const GENRES: [&str; 192] = [
    "Blues", "Classic Rock", "Country", "Dance", "Disco", "Funk", "Grunge", "Hip-Hop", "Jazz",
    "Metal", "New Age", "Oldies", "Other", "Pop", "R&B", "Rap", "Reggae", "Rock", "Techno",
    "Industrial", "Alternative", "Ska", "Death Metal", "Pranks", "Soundtrack", "Euro-Techno",
    "Ambient", "Trip-Hop", "Vocal", "Jazz+Funk", "Fusion", "Trance", "Classical", "Instrumental",
    "Acid", "House", "Game", "Sound Clip", "Gospel", "Noise", "Alt. Rock", "Bass", "Soul", "Punk",
    "Space", "Meditative", "Instrumental Pop", "Instrumental Rock", "Ethnic", "Gothic", "Darkwave",
    "Techno-Industrial", "Electronic", "Pop-Folk", "Eurodance", "Dream", "Southern Rock", "Comedy",
    "Cult", "Gangsta Rap", "Top 40", "Christian Rap", "Pop/Funk", "Jungle", "Native American",
    "Cabaret", "New Wave", "Psychedelic", "Rave", "Showtunes", "Trailer", "Lo-Fi", "Tribal",
    "Acid Punk", "Acid Jazz", "Polka", "Retro", "Musical", "Rock & Roll", "Hard Rock", "Folk",
    "Folk-Rock", "National Folk", "Swing", "Fast-Fusion", "Bebop", "Latin", "Revival", "Celtic",
    "Bluegrass", "Avantgarde", "Gothic Rock", "Progressive Rock", "Psychedelic Rock",
    "Symphonic Rock", "Slow Rock", "Big Band", "Chorus", "Easy Listening", "Acoustic", "Humour",
    "Speech", "Chanson", "Opera", "Chamber Music", "Sonata", "Symphony", "Booty Bass", "Primus",
    "Porn Groove", "Satire", "Slow Jam", "Club", "Tango", "Samba", "Folklore", "Ballad",
    "Power Ballad", "Rhythmic Soul", "Freestyle", "Duet", "Punk Rock", "Drum Solo", "A Cappella",
    "Euro-House", "Dance Hall", "Goa", "Drum & Bass", "Club-House", "Hardcore", "Terror", "Indie",
    "BritPop", "Afro-Punk", "Polsk Punk", "Beat", "Christian Gangsta Rap", "Heavy Metal",
    "Black Metal", "Crossover", "Contemporary Christian", "Christian Rock", "Merengue", "Salsa",
    "Thrash Metal", "Anime", "JPop", "Synthpop", "Abstract", "Art Rock", "Baroque", "Bhangra",
    "Big Beat", "Breakbeat", "Chillout", "Downtempo", "Dub", "EBM", "Eclectic", "Electro",
    "Electroclash", "Emo", "Experimental", "Garage", "Global", "IDM", "Illbient", "Industro-Goth",
    "Jam Band", "Krautrock", "Leftfield", "Lounge", "Math Rock", "New Romantic", "Nu-Breakz",
    "Post-Punk", "Post-Rock", "Psytrance", "Shoegaze", "Space Rock", "Trop Rock", "World Music",
    "Neoclassical", "Audiobook", "Audio Theatre", "Neue Deutsche Welle", "Podcast", "Indie Rock",
    "G-Funk", "Dubstep", "Garage Rock", "Psybient",
];

/// The name of a genre that `ID3v1` gives as a number.
pub(crate) fn by_number(number: usize) -> Option<&'static str> {
    GENRES.get(number).copied()
}

/// The genres in one text: a name, a number (`17`), or references and a refinement as `ID3v2.3` has
/// them in `TCON`. `(17)` is Rock, `(17)(52)` are two, `(4)Eurodisco` is Eurodisco, which refines
/// what the number says, and `((x` is a name that begins with a parenthesis.
pub(crate) fn genres(text: &str) -> Vec<&str> {
    let (mut rest, mut referred) = (text.trim(), Vec::new());
    while let Some((reference, behind)) =
        rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
    {
        let Some(name) = reference_name(reference) else { break };
        referred.extend(Some(name).filter(|name| !name.is_empty()));
        rest = behind.trim_start();
    }
    if rest.is_empty() {
        return referred;
    }
    let rest = rest.strip_prefix('(').filter(|inner| inner.starts_with('(')).unwrap_or(rest);
    match reference_name(rest) {
        None | Some("") => vec![rest],
        Some(name) => vec![name],
    }
}

/// The genre that a reference stands for, empty if it is a number without a genre; `None` if it is no
/// reference.
fn reference_name(reference: &str) -> Option<&'static str> {
    match reference {
        "RX" => Some("Remix"),
        "CR" => Some("Cover"),
        _ if reference.is_empty() || reference.len() > 3 => None,
        _ if !reference.bytes().all(|byte| byte.is_ascii_digit()) => None,
        _ => Some(by_number(reference.parse().ok()?).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_named_and_refinements_kept() {
        for (text, expected) in [
            ("Art pop", &["Art pop"][..]),
            ("(4)Eurodisco", &["Eurodisco"]),
            ("(4)", &["Disco"]),
            ("4", &["Disco"]),
            ("(51)(39)", &["Techno-Industrial", "Noise"]),
            ("(RX)(CR)", &["Remix", "Cover"]),
            ("RX", &["Remix"]),
            ("((x", &["(x"]),
            ("(4)((x)", &["(x)"]),
            ("(live)", &["(live)"]),
            ("(255)", &[]),
            ("1984", &["1984"]),
            ("(", &["("]),
            ("()", &["()"]),
        ] {
            assert_eq!(genres(text), expected, "{text}");
        }
    }

    #[test]
    fn the_table_has_the_names_at_their_numbers() {
        for (number, name) in
            [(0, "Blues"), (17, "Rock"), (79, "Hard Rock"), (125, "Dance Hall"), (191, "Psybient")]
        {
            assert_eq!(by_number(number), Some(name));
        }
        assert_eq!(by_number(192), None);
    }
}
