//! The outline of a page that is too large to be held: what stands around its records, and each record's own short
//! fields. It names the record that is too large and the page behind it, so that the walk can step over.

/// An outline that is larger than this is none: the page is not large for the sake of its records' contents.
const LARGEST_OUTLINE: usize = 1 << 20;
/// Of a record, longer texts are left empty; ids and times are far below.
const LONGEST_TEXT: usize = 4096;
/// How deep a record's own fields are: in the record, in the list, in the answer.
const RECORD: usize = 3;

/// Reads JSON as it comes and keeps little of it. Whatever comes out is for a parser to judge: brackets are counted
/// here and not compared.
#[derive(Debug, Default)]
pub(super) struct Outline {
    kept: Vec<u8>,
    depth: usize,
    /// The answer's field that is being read is a list.
    in_list: bool,
    in_text: bool,
    escaped: bool,
    /// Where the text that is being read begins in what is kept.
    text_at: usize,
    /// The rest of the text that is being read is left out.
    cut: bool,
}

/// The outline of a page that comes in pieces of so many bytes; `None` where it has none.
#[must_use]
pub fn outline(page: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut outline = Outline::default();
    page.chunks(piece)
        .try_for_each(|piece| outline.read(piece))
        .ok()?;
    Some(outline.into_bytes())
}

/// It is no page whose records are too large, or too many are.
#[derive(Debug)]
pub(super) struct NoOutline;

impl Outline {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), NoOutline> {
        for byte in bytes {
            self.read_byte(*byte);
            if self.kept.len() > LARGEST_OUTLINE {
                return Err(NoOutline);
            }
        }
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.kept
    }

    fn read_byte(&mut self, byte: u8) {
        if self.in_text {
            return self.read_text(byte);
        }
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth == 2 {
                    self.in_list = byte == b'[';
                }
                if self.in_list && self.depth == RECORD + 1 {
                    self.kept.extend_from_slice(b"null");
                }
                self.keep(byte);
            }
            b'}' | b']' => {
                self.keep(byte);
                self.depth = self.depth.saturating_sub(1);
                self.in_list &= self.depth > 1;
            }
            _ => {
                self.keep(byte);
                if byte == b'"' {
                    (self.in_text, self.text_at) = (true, self.kept.len());
                }
            }
        }
    }

    fn read_text(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'"' {
            (self.in_text, self.cut) = (false, false);
        } else {
            self.escaped = byte == b'\\';
        }
        // All of it or nothing: half an escape would be no text.
        if self.in_text && self.in_list && self.kept.len() - self.text_at >= LONGEST_TEXT {
            self.kept.truncate(self.text_at);
            self.cut = true;
        }
        if !self.cut {
            self.keep(byte);
        }
    }

    fn keep(&mut self, byte: u8) {
        if !self.in_list || self.depth <= RECORD {
            self.kept.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline_of(page: &str) -> Option<String> {
        outline(page.as_bytes(), 4096).map(|outline| String::from_utf8(outline).unwrap())
    }

    #[test]
    fn what_names_the_record_and_the_next_page_is_kept() {
        let long = format!(r"{}\u00e9\\", r#"\"}]{["#.repeat(10_000));
        let cursor = "c".repeat(5_000);
        let page = format!(
            r#"{{"type":"list","pages":{{"next":{{"starting_after":"{cursor}"}}}},"data":[{{"name":"{long}","id":"7",
            "custom_attributes":{{"a":"{long}","b":[{{"id":"8"}}]}},"tags":[],"updated_at":9}}],"total_count":3}}"#
        );
        assert_eq!(
            outline_of(&page).unwrap(),
            format!(
                r#"{{"type":"list","pages":{{"next":{{"starting_after":"{cursor}"}}}},"data":[{{"name":"","id":"7",
            "custom_attributes":null,"tags":null,"updated_at":9}}],"total_count":3}}"#
            )
        );
    }

    #[test]
    fn what_is_short_is_kept_as_it_is() {
        for page in [
            r#"{"type":"list","data":[],"pages":{"next":null},"total_count":0}"#,
            r#"{"data":[{"id":"a\"\\"},7,null,"x"],"pages":{"a":[[[1]]]}}"#,
        ] {
            assert_eq!(outline_of(page).unwrap(), page);
        }
    }

    #[test]
    fn what_is_large_around_the_records_has_no_outline() {
        let megabytes = "x".repeat(2 << 20);
        for page in [
            megabytes.clone(),
            format!(r#"{{"type":"{megabytes}","data":[]}}"#),
        ] {
            assert_eq!(outline_of(&page), None);
        }
    }
}
