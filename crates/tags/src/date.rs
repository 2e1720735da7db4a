//! The year in a date that people wrote.

/// The first year from 1000 to 2999 in a text: a word of four digits, as in `2001-05-04T10:00`,
/// `May 2001`, `c2001` and `05/04/2001`, or the beginning of a longer word that counts on from it
/// to the month, the day or the second, as `20010504` does.
pub(crate) fn year(text: &str) -> Option<u16> {
    text.split(|it: char| !it.is_ascii_digit()).find_map(|digits| {
        let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u16>().ok();
        let year = number(0..4).filter(|year| (1000..3000).contains(year))?;
        let month = || number(4..6).is_some_and(|month| (1..=12).contains(&month));
        let day = || number(6..8).is_some_and(|day| (1..=31).contains(&day));
        let is_date = match digits.len() {
            4 => true,
            6 => month(),
            8 | 10 | 12 | 14 => month() && day(),
            _ => false,
        };
        is_date.then_some(year)
    })
}

#[cfg(test)]
mod tests {
    use super::year;

    #[test]
    fn every_usual_form_gives_the_year() {
        for text in [
            "2001",
            " 2001 ",
            "2001-05-04",
            "2001/05/04",
            "2001.05.04",
            "2001-05",
            "May 2001",
            "4 May, 2001",
            "c2001",
            "©2001 Label",
            "(2001)",
            "05/04/2001",
            "04.05.2001",
            "2001?",
            "2001-05-04T10:20:30Z",
            "2001-05-04 10:20",
            "20010504",
            "200105",
            "20010504102030",
            "2001-2003",
            "2001年5月4日",
            "01 2001",
            "12345 2001",
        ] {
            assert_eq!(year(text), Some(2001), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_gives_none() {
        for text in ["", "0", "0000", "01/02/03", "99", "12345", "20019999", "May", "0999", "3000"]
        {
            assert_eq!(year(text), None, "{text}");
        }
    }
}
