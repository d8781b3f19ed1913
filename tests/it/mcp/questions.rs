//! Thirty questions of people in support, which a scripted agent answers by the tools alone, in at most five calls each.
//! What is right is read apart, from the lists of REST.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::synced_agent;
use crate::{
    rest::{search::index, sources::record},
    support::{Agent, Caller},
};

/// More calls than an agent should need for one question.
const CALLS_LIMIT: usize = 5;

/// An agent under examination.
struct Exam<'a> {
    agent: &'a Agent,
    question: &'static str,
    calls: usize,
    answered: Vec<&'static str>,
}

impl Exam<'_> {
    fn question(&mut self, question: &'static str) {
        (self.question, self.calls) = (question, 0);
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.calls += 1;
        self.agent.answer(tool, arguments).await.structured
    }

    /// Every item of a list, on as many pages as it has.
    async fn all(&mut self, tool: &str, list: &str, mut arguments: Value) -> Vec<Value> {
        arguments["detail"] = json!("detailed");
        let mut items = Vec::new();
        loop {
            let page = self.call(tool, arguments).await;
            items.extend(page[list].as_array().unwrap().iter().cloned());
            let Some(next) = page.get("next") else {
                return items;
            };
            assert_eq!(next["tool"], tool);
            arguments = next["arguments"].clone();
        }
    }

    fn answer(&mut self, answer: impl Into<Value>, expected: impl Into<Value>) {
        let (question, answer, expected) = (self.question, answer.into(), expected.into());
        assert_eq!(answer, expected, "{question}");
        assert!(!expected.is_null(), "{question} has no answer to compare");
        let calls = self.calls;
        assert!(
            (1..=CALLS_LIMIT).contains(&calls),
            "{question} takes {calls} calls"
        );
        self.answered.push(question);
    }
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> BTreeSet<String> {
    items(value)
        .iter()
        .map(|item| text(item).to_owned())
        .collect()
}

/// How many of these have which value, as `count_by` answers it.
fn shares<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for value in values.filter_map(Value::as_str) {
        *shares.entry(value.to_owned()).or_default() += 1;
    }
    shares
}

fn counted(answer: &Value) -> BTreeMap<String, u64> {
    let groups = items(&answer["counts"]["groups"]).iter();
    groups
        .map(|group| {
            let count = group["conversations"].as_u64().unwrap();
            (text(&group["value"]).to_owned(), count)
        })
        .collect()
}

/// The beginning of a text without its punctuation, because the tools take markup apart and shorten what is long.
fn spoken(text: &Value) -> Value {
    let letters = |text: &str| -> String {
        let text = text.replace("hxxp", "http");
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.take(60).collect()
    };
    text.as_str()
        .map_or(Value::Null, |text| letters(text).into())
}

async fn parts(caller: &Caller, conversation: &Value) -> Vec<Value> {
    let id = text(&conversation["id"]);
    caller
        .all_with(
            &format!("/v1/conversations/{id}/parts"),
            "&body_format=text",
        )
        .await
}

/// A contact with an address that no other one has, whose last conversation has been answered several times.
async fn talker(caller: &Caller) -> Value {
    let contacts = caller.all("/v1/contacts").await;
    let conversations = caller.all("/v1/conversations").await;
    let last = |contact: &Value| {
        let theirs = conversations
            .iter()
            .filter(|one| items(&one["contact_ids"]).contains(&contact["id"]));
        theirs.max_by_key(|one| text(&one["source_updated_at"]).to_owned())
    };
    let is_known = |contact: &Value| {
        let same = contacts
            .iter()
            .filter(|other| other["email"] == contact["email"]);
        contact["email"].is_string() && same.count() == 1
    };
    let is_answered = |one: &Value| one["thread"]["held"].as_i64() >= Some(3);
    let found = contacts
        .iter()
        .find(|contact| is_known(contact) && last(contact).is_some_and(is_answered));
    found.expect("a long conversation").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_questions_take_five_calls_each_at_most() {
    let (_world, case, caller, agent) = synced_agent().await;
    let ada = talker(&caller).await;
    let of_ada = |more: Value| {
        let mut fields = json!({"email": ada["email"]});
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        fields
    };
    // Whatever Intercom does not know of the person, the CRM does.
    let crm = of_ada(json!({
        "name": "Ada Lovelace", "phone": "+49 30 1234567", "owner": "Grace Hopper", "tags": ["vip"],
        "signed_up_at": "2026-01-02T03:04:05Z",
    }));
    let in_crm = [
        record("ada", 1, crm),
        record(
            "namesake 1",
            1,
            json!({"name": "Quentin Quill", "email": "q1@acme.example"}),
        ),
        record(
            "namesake 2",
            1,
            json!({"name": "Quentin Quill", "email": "q2@acme.example"}),
        ),
    ];
    caller.send("crm", "contact", &in_crm).await;
    let in_mail = record("ada", 2, of_ada(json!({"consent": {"unsubscribed": true}})));
    caller.send("email", "contact", &[in_mail]).await;
    let acme = record(
        "acme",
        1,
        json!({"name": "Acme", "domain": "acme-of-crm.example", "plan": "gold"}),
    );
    caller.send("crm", "company", &[acme]).await;
    index(&case).await;

    let contacts = caller.all("/v1/contacts").await;
    let companies = caller.all("/v1/companies").await;
    let conversations = caller.all("/v1/conversations").await;
    let ada = caller
        .get(&format!("/v1/contacts/{}", text(&ada["id"])))
        .await;
    let talks: Vec<&Value> = conversations
        .iter()
        .filter(|one| items(&one["contact_ids"]).contains(&ada["id"]))
        .collect();
    let last_talk = *talks
        .iter()
        .max_by_key(|one| text(&one["source_updated_at"]).to_owned())
        .unwrap();
    let last_parts = parts(&caller, last_talk).await;
    let populated = companies
        .iter()
        .find(|company| {
            contacts
                .iter()
                .any(|one| items(&one["company_ids"]).contains(&company["id"]))
        })
        .unwrap();
    let people: Vec<&Value> = contacts
        .iter()
        .filter(|one| items(&one["company_ids"]).contains(&populated["id"]))
        .collect();
    let by_email = json!({"email": ada["email"]});
    let mut exam = Exam {
        agent: &agent,
        question: "",
        calls: 0,
        answered: Vec::new(),
    };

    exam.question("who has this address?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["untrusted_name"].clone(), ada["name"].clone());

    exam.question("whose phone number is this?");
    let answer = exam
        .call("get_contact", json!({"phone": "0049 30 1234567"}))
        .await;
    exam.answer(answer["contact_id"].clone(), ada["id"].clone());

    exam.question("is the person a user or a lead?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["role"].clone(), ada["role"].clone());

    exam.question("who owns the account?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["owner"].clone(), ada["owner"].clone());

    exam.question("may we send them mail?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(
        answer["may_email"].clone(),
        ada["consent"]["may_email"].clone(),
    );

    exam.question("why may we not?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["restrictions"].clone(), json!(["unsubscribed"]));

    exam.question("which systems know the person?");
    let mut arguments = by_email.clone();
    arguments["detail"] = json!("detailed");
    let answer = exam.call("get_contact", arguments).await;
    let sources = |value: &Value| -> BTreeSet<String> {
        items(value)
            .iter()
            .map(|one| text(&one["source"]).to_owned())
            .collect()
    };
    assert_eq!(sources(&ada["sources"]).len(), 3);
    exam.answer(
        json!(sources(&answer["sources"])),
        json!(sources(&ada["sources"])),
    );

    exam.question("when was the person signed up?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["signed_up_at"].clone(), ada["signed_up_at"].clone());

    exam.question("how many conversations do we have with them?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    exam.answer(answer["conversations"]["total"].clone(), talks.len());

    exam.question("is anything of them open?");
    let answer = exam.call("get_contact", by_email.clone()).await;
    let open = talks.iter().filter(|one| one["open"] == true).count();
    exam.answer(answer["conversations"]["open"].clone(), open);

    exam.question("which conversation was their last one?");
    let answer = exam.call("get_contact_timeline", by_email.clone()).await;
    let newest = items(&answer["entries"])
        .iter()
        .find(|entry| entry["type"] == "conversation");
    exam.answer(
        newest.unwrap()["conversation"]["number"].clone(),
        last_talk["source_id"].clone(),
    );

    exam.question("what was said there last?");
    let timeline = exam.call("get_contact_timeline", by_email.clone()).await;
    let newest = items(&timeline["entries"])
        .iter()
        .find(|entry| entry["type"] == "conversation");
    let id = newest.unwrap()["conversation"]["conversation_id"].clone();
    let read = json!({"conversation_id": id, "order": "newest_first"});
    let answer = exam.call("get_conversation", read).await;
    let with_text = items(&answer["parts"])
        .iter()
        .find(|part| part["untrusted_body"].is_string());
    // Its beginning would be another answer.
    assert!(last_parts.len() > 3);
    let last_words = last_parts
        .iter()
        .rev()
        .find(|part| part["body"].is_string());
    exam.answer(
        spoken(&with_text.unwrap()["untrusted_body"]),
        spoken(&last_words.unwrap()["body"]),
    );

    exam.question("how did it begin?");
    let answer = exam
        .call(
            "get_conversation",
            json!({"number": last_talk["source_id"]}),
        )
        .await;
    let first = |parts: &[Value], body: &str| {
        let with_text = parts.iter().find(|part| part[body].is_string());
        spoken(&with_text.expect("somebody says something")[body])
    };
    exam.answer(
        first(items(&answer["parts"]), "untrusted_body"),
        first(&last_parts, "body"),
    );

    exam.question("how many messages and events are there?");
    let answer = exam
        .call(
            "get_conversation",
            json!({"number": last_talk["source_id"]}),
        )
        .await;
    exam.answer(answer["part_total"].clone(), last_parts.len());

    exam.question("is it still open?");
    let answer = exam
        .call(
            "get_conversation",
            json!({"number": last_talk["source_id"]}),
        )
        .await;
    exam.answer(
        answer["conversation"]["state"].clone(),
        last_talk["state"].clone(),
    );

    exam.question("which of it is only for teammates?");
    let number = json!({"number": last_talk["source_id"]});
    let answer = exam.all("get_conversation", "parts", number).await;
    let internal = |parts: &[Value]| parts.iter().filter(|part| part["internal"] == true).count();
    exam.answer(internal(&answer), internal(&last_parts));

    exam.question("who are the people called Quentin Quill?");
    let answer = exam
        .call("search_profiles", json!({"query": "\"Quentin Quill\""}))
        .await;
    let found: BTreeSet<String> = items(&answer["profiles"])
        .iter()
        .map(|one| text(&one["contact_id"]).to_owned())
        .collect();
    let namesakes = contacts.iter().filter(|one| one["name"] == "Quentin Quill");
    let namesakes: BTreeSet<String> = namesakes.map(|one| text(&one["id"]).to_owned()).collect();
    assert_eq!(namesakes.len(), 2);
    exam.answer(json!(found), json!(namesakes));

    exam.question("who is very important?");
    let answer = exam
        .call("search_profiles", json!({"tag": "vip", "type": "contact"}))
        .await;
    exam.answer(
        answer["profiles"][0]["contact_id"].clone(),
        ada["id"].clone(),
    );

    exam.question("how many leads are there?");
    let answer = exam
        .call(
            "search_profiles",
            json!({"type": "contact", "role": "lead"}),
        )
        .await;
    let leads = contacts.iter().filter(|one| one["role"] == "lead").count();
    exam.answer(answer["found"]["total"].clone(), leads);

    exam.question("which plan does the company at this domain have?");
    let answer = exam
        .call("get_company", json!({"domain": "acme-of-crm.example"}))
        .await;
    exam.answer(answer["untrusted_plan"].clone(), "gold");

    exam.question("how many people of this company do we know?");
    let company = json!({"company_id": populated["id"]});
    let answer = exam.call("get_company", company.clone()).await;
    exam.answer(answer["contact_total"].clone(), people.len());

    exam.question("who are they?");
    let answer = exam.all("search_profiles", "profiles", company).await;
    let found: BTreeSet<&str> = answer.iter().map(|one| text(&one["contact_id"])).collect();
    let expected: BTreeSet<&str> = people.iter().map(|one| text(&one["id"])).collect();
    exam.answer(json!(found), json!(expected));

    let counts = |by: &str| json!({"count_by": by, "detail": "detailed"});
    exam.question("how many conversations are there?");
    let answer = exam.call("search_conversations", json!({})).await;
    exam.answer(answer["found"]["total"].clone(), conversations.len());

    exam.question("which share of them is open?");
    let answer = exam.call("search_conversations", counts("state")).await;
    let states = shares(conversations.iter().map(|one| &one["state"]));
    exam.answer(json!(counted(&answer)), json!(states));

    exam.question("what are they about, by their tags?");
    let answer = exam.call("search_conversations", counts("tag")).await;
    let tags = conversations.iter().map(|one| texts(&one["tags"]));
    let tags: Vec<Value> = tags.flatten().map(Value::from).collect();
    exam.answer(json!(counted(&answer)), json!(shares(tags.iter())));

    exam.question("who has how many of them?");
    let answer = exam.call("search_conversations", counts("owner")).await;
    let owners = shares(conversations.iter().map(|one| &one["assignee"]["name"]));
    exam.answer(json!(counted(&answer)), json!(owners));

    exam.question("which open one has waited longest?");
    let arguments = json!({"state": "open"});
    let answer = exam
        .all("search_conversations", "conversations", arguments)
        .await;
    let waits = |of: &Value| text(&of["updated_at"]).to_owned();
    let longest = answer
        .iter()
        .map(|one| &one["conversation"])
        .min_by_key(|one| waits(one));
    let open = conversations.iter().filter(|one| one["state"] == "open");
    let expected = open.min_by_key(|one| text(&one["source_updated_at"]).to_owned());
    exam.answer(
        longest.unwrap()["updated_at"].clone(),
        expected.unwrap()["source_updated_at"].clone(),
    );

    exam.question("how many have changed since then?");
    let mut times: Vec<&str> = conversations
        .iter()
        .map(|one| text(&one["source_updated_at"]))
        .collect();
    times.sort_unstable();
    let since = times[times.len() / 2];
    let answer = exam
        .call("search_conversations", json!({"active_since": since}))
        .await;
    let later = times.iter().filter(|time| **time >= since).count();
    exam.answer(answer["found"]["total"].clone(), later);

    exam.question("is the copy complete?");
    let answer = exam.call("get_sync_status", json!({})).await;
    let connection = caller.get("/v1/connections").await["items"][0]["id"].clone();
    let status = caller
        .get(&format!("/v1/connections/{}/sync", text(&connection)))
        .await;
    exam.answer(
        answer["workspaces"][0]["complete"].clone(),
        status["complete"].clone(),
    );

    exam.question("do we know this address?");
    exam.calls += 1;
    let refusal = agent
        .refusal("get_contact", json!({"email": "stranger@nowhere.example"}))
        .await;
    let listed = contacts
        .iter()
        .any(|one| texts(&one["emails"]).contains("stranger@nowhere.example"));
    exam.answer(!refusal.starts_with("There is no contact"), listed);

    let answered: BTreeSet<&str> = exam.answered.iter().copied().collect();
    assert_eq!((exam.answered.len(), answered.len()), (30, 30), "each once");
}
