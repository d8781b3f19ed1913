//! The outline of a page that is too large to keep: the fields around its records, and each record's own
//! short fields. It names the record that is too large and the next page, so that a walk can step over.

/// In bytes. A page with a larger outline is not large because of its records' contents.
const MAX_OUTLINE_BYTES: usize = 1 << 20;
/// In bytes. A longer text of a record is left empty. Ids and times are far shorter.
const MAX_TEXT_BYTES: usize = 4096;
/// The depth of a record's own fields: in the record, in the list, in the response.
const RECORD_DEPTH: usize = 3;

/// Reads JSON in chunks and keeps little of it. A parser must check the result, because brackets are only
/// counted here and not matched.
#[derive(Debug, Default)]
pub(super) struct Outline {
    kept: Vec<u8>,
    depth: usize,
    /// Whether the current field of the response is a list.
    in_list: bool,
    in_text: bool,
    escaped: bool,
    /// The position in `kept` where the current text begins.
    text_at: usize,
    /// Whether the rest of the current text is left out.
    cut: bool,
}

/// The outline of a page, read in chunks of `piece` bytes. `None` if the page has no outline.
#[must_use]
pub fn outline(page: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut outline = Outline::default();
    page.chunks(piece)
        .try_for_each(|piece| outline.read(piece))
        .ok()?;
    Some(outline.into_bytes())
}

/// The outline itself is too large: the page has too many records, or is large around them.
#[derive(Debug)]
pub(super) struct NoOutline;

impl Outline {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), NoOutline> {
        for byte in bytes {
            self.read_byte(*byte);
            if self.kept.len() > MAX_OUTLINE_BYTES {
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
                if self.in_list && self.depth == RECORD_DEPTH + 1 {
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
        // Drop the whole text, because a text cut inside an escape would not be JSON.
        if self.in_text && self.in_list && self.kept.len() - self.text_at >= MAX_TEXT_BYTES {
            self.kept.truncate(self.text_at);
            self.cut = true;
        }
        if !self.cut {
            self.keep(byte);
        }
    }

    fn keep(&mut self, byte: u8) {
        if !self.in_list || self.depth <= RECORD_DEPTH {
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
