//! What some of the demo's tenants know of their contacts from elsewhere: a CRM, a mailing tool and an analytics tool.
//!
//! The records are sent while the first sync is under way, so that they come before, between and after Intercom's. What
//! their profiles have to be is told from the simulator's truth alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use intercom_simulator::{Kind, TruthLine};
use serde_json::{Value, json};
use shared::domain::TenantId;

use super::scenarios::{DemoTenant, Scenario};
use crate::{api_client::ApiClient, failure::Failure};

/// People of Intercom that the other sources know as well.
const KNOWN: usize = 10;
/// People that only the CRM knows.
const UNKNOWN: usize = 3;
const SENT_AT: &str = "2026-11-01T12:00:00Z";

/// One tenant in so many has other sources.
const EVERY: usize = 5;

/// Whether a tenant of the demo has other sources beside Intercom.
pub(super) fn has_other_sources(number: usize, tenant: &DemoTenant) -> bool {
    tenant.scenario == Scenario::Ordinary && number.is_multiple_of(EVERY)
}

/// A person whom all sources know.
#[derive(Clone, Debug)]
struct Person {
    /// Intercom's id.
    id: String,
    email: String,
}

/// The people of one tenant.
#[derive(Clone, Debug)]
pub(super) struct OtherSources {
    people: Vec<Person>,
}

impl OtherSources {
    /// People that no value of another contact could be taken for.
    pub(super) fn of(truth: &[TruthLine]) -> Self {
        let contacts: Vec<(&TruthLine, Value)> = truth
            .iter()
            .filter(|line| line.kind == Kind::Contact)
            .map(|line| (line, line.value()))
            .collect();
        let mut holders: HashMap<String, usize> = HashMap::new();
        for (_, contact) in &contacts {
            for value in values(contact) {
                *holders.entry(value).or_default() += 1;
            }
        }
        let people = contacts.iter().filter(|(line, contact)| {
            !line.deleted && !line.hidden && values(contact).iter().all(|value| holders[value] == 1)
        });
        let people = people.filter_map(|(line, contact)| {
            Some(Person {
                id: line.id.clone(),
                email: contact["email"].as_str()?.to_owned(),
            })
        });
        Self {
            people: people.take(KNOWN).collect(),
        }
    }

    /// Sends every record of every source.
    pub(super) async fn send(&self, rest: &ApiClient, tenant: TenantId) -> Result<(), Failure> {
        let people = || self.people.iter().enumerate();
        let unknown = (0..UNKNOWN).map(|number| {
            let fields = json!({"email": format!("lead{number}@prospect{number}.example"), "name": format!("Lead {number}")});
            record(&format!("lead-{number}"), &fields)
        });
        let crm = people().map(|(number, person)| {
            // As people type it.
            let email = person.email.to_uppercase();
            let fields =
                json!({"email": email, "name": crm_name(number), "attributes": {"tier": "gold"}});
            record(&format!("crm-{number}"), &fields)
        });
        let events = people().map(|(number, _)| {
            let fields = json!({
                "contact": format!("visitor-{number}"),
                "kind": "page_view",
                "occurred_at": "2099-01-01T00:00:00Z",
                "title": "Pricing",
                "url": "https://www.acme.example/pricing",
            });
            record(&format!("view-{number}"), &fields)
        });
        let mailing = people().map(|(number, person)| {
            let fields = json!({"email": person.email, "consent": {"may_email": false}});
            record(&format!("mail-{number}"), &fields)
        });
        let visitors = people().map(|(number, person)| {
            record(
                &format!("visitor-{number}"),
                &json!({"email": person.email}),
            )
        });
        for (source, object, records) in [
            ("crm", "contact", crm.chain(unknown).collect::<Vec<Value>>()),
            // Before the people that they are of.
            ("analytics", "event", events.collect()),
            ("email", "contact", mailing.collect()),
            ("analytics", "contact", visitors.collect()),
        ] {
            let path = format!("/v1/sources/{source}/records");
            let body = json!({"object": object, "records": records});
            let taken = rest.post(Some(tenant), &path, &body).await?.success()?;
            if taken["accepted"] != records.len() {
                return Err(Failure::because(format!("{path} answered {taken}")));
            }
        }
        Ok(())
    }

    /// A contact of this tenant that several sources know.
    pub(super) async fn known_contact(
        rest: &ApiClient,
        tenant: TenantId,
    ) -> Result<String, Failure> {
        let contacts = rest.all(tenant, "/v1/contacts").await?;
        let known = |contact: &&Value| records_of(contact).len() > 1;
        let found = contacts.iter().find(known).or_else(|| contacts.first());
        let id = found.and_then(|contact| contact["id"].as_str());
        Ok(id.unwrap_or_default().to_owned())
    }

    /// Compares every profile of these people with what it has to be.
    ///
    /// # Errors
    /// If one differs. The failure names the first.
    pub(super) async fn check(&self, rest: &ApiClient, tenant: TenantId) -> Result<(), Failure> {
        let mut by_record: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for contact in rest.all(tenant, "/v1/contacts").await? {
            for name in records_of(&contact) {
                by_record.entry(name).or_default().push(contact.clone());
            }
        }
        let one = |name: &str| match by_record.get(name).map_or(&[][..], Vec::as_slice) {
            [contact] => Ok(contact),
            several => Err(Failure::because(format!(
                "the record {name} is in {} profiles and not in one",
                several.len()
            ))),
        };
        for (number, person) in self.people.iter().enumerate() {
            let contact = one(&format!("crm/crm-{number}"))?;
            let expected = BTreeSet::from([
                format!("crm/crm-{number}"),
                format!("email/mail-{number}"),
                format!("analytics/visitor-{number}"),
                format!("intercom/{}", person.id),
            ]);
            let id = contact["id"].as_str().unwrap_or_default();
            let timeline = rest
                .get(tenant, &format!("/v1/contacts/{id}/timeline?limit=1"))
                .await?;
            for (what, is, should_be) in [
                ("records", json!(records_of(contact)), json!(expected)),
                ("name", contact["name"].clone(), json!(crm_name(number))),
                ("tier", contact["attributes"]["tier"].clone(), json!("gold")),
                (
                    "consent",
                    contact["consent"]["may_email"].clone(),
                    json!(false),
                ),
                (
                    "last event",
                    timeline["items"][0]["event"]["source_id"].clone(),
                    json!(format!("view-{number}")),
                ),
            ] {
                if is != should_be {
                    return Err(Failure::because(format!(
                        "the {what} of {} are {is} and not {should_be}",
                        person.email
                    )));
                }
            }
        }
        for number in 0..UNKNOWN {
            let name = format!("crm/lead-{number}");
            let records = records_of(one(&name)?);
            if records != BTreeSet::from([name]) {
                return Err(Failure::because(format!(
                    "a person whom only the CRM knows has the records {records:?}"
                )));
            }
        }
        Ok(())
    }
}

fn crm_name(number: usize) -> String {
    format!("Person {number} of the CRM")
}

fn record(source_id: &str, fields: &Value) -> Value {
    json!({"source_id": source_id, "source_updated_at": SENT_AT, "fields": fields})
}

/// What a contact may be taken for another one by.
fn values(contact: &Value) -> Vec<String> {
    let members = ["email", "phone", "external_id"].into_iter();
    members
        .filter_map(|member| {
            Some(format!(
                "{member} {}",
                contact[member].as_str()?.to_lowercase()
            ))
        })
        .collect()
}

/// A profile's records, each as its source and its id there.
fn records_of(contact: &Value) -> BTreeSet<String> {
    let sources = contact["sources"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    sources
        .map(|source| format!("{}/{}", text(&source["source"]), text(&source["source_id"])))
        .collect()
}
