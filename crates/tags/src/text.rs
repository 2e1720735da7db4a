//! Bytes of text, in an encoding that is declared, guessed or broken.

/// The characters that Windows-1252 has where Latin-1 has control characters, from 0x80.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Mac OS Roman from 0x80, which QuickTime's texts are in unless they say otherwise.
const MAC_ROMAN: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø\
    ¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// Text that should be Latin-1: UTF-8 if it is that, else Windows-1252.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Text that should be UTF-8. Bytes that are not become U+FFFD.
pub(crate) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Text of an old QuickTime file: UTF-8 if it is that, else Mac OS Roman.
pub(crate) fn mac_roman(bytes: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        0x80.. => MAC_ROMAN.chars().nth(usize::from(byte - 0x80)).unwrap_or('\u{fffd}'),
        _ => char::from(*byte),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(character).collect(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Big,
    Little,
}

/// UTF-16, in which NUL separates values. Each value may have a byte order mark of its own; without
/// one it is like the value before it, and the first is as `assumed` or, if that is `None`, as its
/// zero bytes suggest. An odd byte at the end is ignored, unpaired surrogates become U+FFFD.
pub(crate) fn utf16(bytes: &[u8], assumed: Option<Endian>) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut endian = assumed.unwrap_or_else(|| guess_endian(pairs));
    let mut text = String::new();
    for (number, value) in pairs.split(|pair| *pair == [0, 0]).enumerate() {
        if number > 0 {
            text.push('\0');
        }
        let value = match value {
            [[0xff, 0xfe], rest @ ..] => {
                endian = Endian::Little;
                rest
            }
            [[0xfe, 0xff], rest @ ..] => {
                endian = Endian::Big;
                rest
            }
            rest => rest,
        };
        let units = value.iter().map(|pair| match endian {
            Endian::Big => u16::from_be_bytes(*pair),
            Endian::Little => u16::from_le_bytes(*pair),
        });
        text.extend(char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    text
}

/// Most texts have some characters below U+0100, whose high byte is zero.
fn guess_endian(pairs: &[[u8; 2]]) -> Endian {
    let zeros = |index: usize| pairs.iter().filter(|pair| pair[index] == 0).count();
    if zeros(0) > zeros(1) { Endian::Big } else { Endian::Little }
}

/// The text without white space and NULs around it; `None` if nothing in it can be read.
pub(crate) fn clean(text: &str) -> Option<&str> {
    let outside = |it: char| it.is_whitespace() || matches!(it, '\0' | '\u{feff}');
    let text = text.trim_matches(outside);
    let readable = |it: char| {
        !it.is_whitespace() && !it.is_control() && !matches!(it, '\u{fffd}' | '\u{feff}')
    };
    text.contains(readable).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_is_utf8_where_it_is_valid_utf8() {
        assert_eq!(latin1(b"Caf\xe9"), "Café");
        assert_eq!(latin1("Café".as_bytes()), "Café");
        assert_eq!(latin1(b"It\x92s"), "It’s");
    }

    #[test]
    fn mac_roman_has_128_characters_above_ascii() {
        assert_eq!(MAC_ROMAN.chars().count(), 128);
        assert_eq!(mac_roman(b"Caf\x8e"), "Café");
        assert_eq!(mac_roman(b"\xff"), "ˇ");
    }

    #[test]
    fn each_value_of_utf16_may_have_a_byte_order_mark() {
        let bytes = b"\xff\xfeA\0\0\0\xfe\xff\0B\0\0\0C";
        assert_eq!(utf16(bytes, None), "A\0B\0C");
    }

    #[test]
    fn broken_utf16_loses_only_what_is_broken() {
        assert_eq!(utf16(b"A\0B\0", None), "AB");
        assert_eq!(utf16(b"\0A\0B", None), "AB");
        assert_eq!(utf16(b"\xff\xfeA\0B", None), "A");
        assert_eq!(utf16(b"\xff\xfeA\0\x00\xd8B\0", None), "A\u{fffd}B");
        assert_eq!(utf16(b"\0A", Some(Endian::Big)), "A");
    }

    #[test]
    fn text_with_nothing_readable_is_none() {
        assert_eq!(clean("  \u{fffd}\u{fffd} \0"), None);
        assert_eq!(clean("\u{fffd}a\0\0"), Some("\u{fffd}a"));
    }
}
