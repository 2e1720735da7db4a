//! Takes what ffmpeg writes apart into lines, however it comes cut.

/// No line that means anything to us is longer: of a longer one, the rest is passed over.
const LIMIT: usize = 512;

/// The line that is not complete yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes what comes next, and gives each line that is complete then to `read`, if it is text.
    pub(crate) fn push(&mut self, bytes: &[u8], mut read: impl FnMut(&str)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // The last piece is a line that goes on.
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.extend(piece);
            if let Ok(line) = str::from_utf8(&self.line) {
                read(line);
            }
            self.line.clear();
        }
        self.extend(last);
    }

    fn extend(&mut self, piece: &[u8]) {
        let room = LIMIT - self.line.len();
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_are_cut() {
        for cut in [1, 2, 5, 100] {
            let (mut lines, mut read) = (Lines::default(), Vec::new());
            for piece in b"one\n\nthree \xff\nfour\ngoes on".chunks(cut) {
                lines.push(piece, |line| read.push(line.to_owned()));
            }
            assert_eq!(read, ["one", "", "four"], "what is no text is passed over");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let (mut lines, mut read) = (Lines::default(), 0);
        for _ in 0..100 {
            lines.push(&[b'x'; 10_000], |_| read += 1);
        }
        assert!(lines.line.capacity() < 4 * LIMIT);
        lines.push(b"\nshort\n", |_| read += 1);
        assert_eq!(read, 2);
    }
}
