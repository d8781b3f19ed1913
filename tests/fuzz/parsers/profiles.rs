//! What other sources send: records, and the values by which a person is known.

use shared::domain::profile::{
    IdentityValue, SourceRecordError, read_source_company, read_source_contact, read_source_event,
};

use crate::{holdable, holdable_whole, text};

fn refused(error: &SourceRecordError) {
    assert!(!error.to_string().is_empty() && !error.code().is_empty());
}

#[test]
fn source_record() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        match read_source_contact(&raw) {
            Ok(record) => {
                assert!((1..=255).contains(&record.source_id.len()));
                record.external_id.iter().for_each(|id| holdable(id));
                holdable_whole(&serde_json::to_value(&record.fields).unwrap());
            }
            Err(error) => refused(&error),
        }
        match read_source_company(&raw) {
            Ok(record) => holdable_whole(&serde_json::to_value(&record.fields).unwrap()),
            Err(error) => refused(&error),
        }
        match read_source_event(&raw) {
            Ok(record) => {
                assert_eq!(record.is_deleted, record.fields.is_none());
                holdable_whole(&serde_json::to_value(&record.fields).unwrap());
            }
            Err(error) => refused(&error),
        }
    });
}

type Read = fn(&str) -> IdentityValue;

/// Any text is read, and what is read as an identity is read as itself.
#[test]
fn identity_value() {
    check!().for_each(|bytes: &[u8]| {
        let raw = String::from_utf8_lossy(bytes);
        // Almost no text is a number by chance.
        let number = format!("+{raw}");
        let read: [(Read, &str); 5] = [
            (IdentityValue::external_id, &raw),
            (IdentityValue::email, &raw),
            (IdentityValue::phone, &raw),
            (IdentityValue::phone, &number),
            (IdentityValue::domain, &raw),
        ];
        for (read, raw) in read {
            let value = read(raw);
            assert!(value.text().len() <= 255);
            if value.blocked().is_none() {
                assert_eq!(read(value.text()), value, "{raw:?}");
            }
        }
    });
}
