//! What people call a contact, a company and a source.

use shared::domain::profile::{CompanyProfileFields, ContactProfileFields};

use crate::pages::text::shown;

/// As much of a name as is shown.
const NAME: usize = 120;

/// A contact's name, or what comes nearest to one.
pub(super) fn contact_name(fields: &ContactProfileFields) -> String {
    let lists = [&fields.external_ids, &fields.emails, &fields.phones];
    let [id, email, phone] = lists.map(|list| list.first().map(String::as_str));
    let names = [fields.name.as_deref(), email, phone, id];
    first_visible(names).unwrap_or_else(|| "A contact without a name".to_owned())
}

/// The same of a company.
pub(super) fn company_name(fields: &CompanyProfileFields) -> String {
    let id = fields.external_ids.first().map(String::as_str);
    let names = [fields.name.as_deref(), fields.domain.as_deref(), id];
    first_visible(names).unwrap_or_else(|| "A company without a name".to_owned())
}

/// The kind of system that a source is.
pub(super) fn source_name(source: &str) -> String {
    match source {
        "crm" => "CRM".to_owned(),
        "email" => "Email system".to_owned(),
        "analytics" => "Analytics".to_owned(),
        "intercom" => "Intercom".to_owned(),
        // Only a newer build knows it.
        other => shown(other, NAME),
    }
}

/// The first text of which something can be seen.
pub(super) fn first_visible<'a>(
    texts: impl IntoIterator<Item = Option<&'a str>>,
) -> Option<String> {
    let texts = texts.into_iter().flatten();
    let mut visible = texts.map(|text| shown(text.trim(), NAME));
    visible.find(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_seen_is_none() {
        let hidden = "\u{200b}\u{202e} ";
        assert_eq!(first_visible([None, Some(hidden), Some("")]), None);
        let shown = first_visible([Some(hidden), Some(" <b>Ann</b> "), Some("Bob")]);
        assert_eq!(shown.as_deref(), Some("<b>Ann</b>"));
    }
}
