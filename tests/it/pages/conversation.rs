//! The page of a conversation: its whole thread.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::{Mode, Stream};

use super::begun;
use crate::support::{Caller, Case, CookieJar, HtmlAnswer, held, tiny};

/// One conversation without parts.
fn silent() -> WorkspaceSpec {
    WorkspaceSpec {
        conversations: 1,
        parts: 0.0,
        ..tiny()
    }
}

fn caller_of(case: &Case, browser: &CookieJar) -> Caller {
    Caller::service(&case.world, browser.base(), Some(case.tenant))
}

/// The conversation as REST has it, and the path of its page.
async fn only(caller: &Caller) -> (Value, String) {
    let conversation = caller.all("/v1/conversations").await.remove(0);
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    (conversation, path)
}

/// The texts of a page's messages, unescaped as far as they need it.
fn bodies(page: &HtmlAnswer) -> Vec<String> {
    let bodies = page.html.split("<p class=\"body\" dir=\"auto\">").skip(1);
    bodies
        .map(|rest| {
            let body = rest.split("</p>").next().unwrap();
            body.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&amp;", "&")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_thread_is_whole_with_the_oldest_message_first() {
    let (case, mut browser) = begun(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(230).ago(4_000));
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    let caller = caller_of(&case, &browser);
    let (conversation, path) = only(&caller).await;
    let parts = caller.all(&format!("/v1{path}/parts")).await;
    assert_eq!(parts.len(), 231);

    let (mut kinds, mut texts, mut next, mut pages) = (Vec::new(), Vec::new(), path.clone(), 0);
    let mut notes = 0;
    loop {
        let page = browser.get(&next).await;
        assert_eq!((page.status, page.code()), (StatusCode::OK, "conversation"));
        page.is_sound();
        pages += 1;
        page.has("All of its 230 messages are here.");
        assert_eq!(page.html.contains("<h2>About it</h2>"), pages == 1);
        let shown = page.html.split("data-kind=\"").skip(1);
        kinds.extend(shown.map(|rest| rest.split('"').next().unwrap().to_owned()));
        notes += page
            .html
            .matches("Internal note, not for customers")
            .count();
        texts.extend(bodies(&page));
        let Some(later) = page.link_named("Later messages") else {
            break;
        };
        next = later;
    }
    assert_eq!(pages, 3);
    let word =
        |part: &Value, member: &str| part[member].as_str().unwrap_or_default().trim().to_owned();
    let expected: Vec<String> = parts.iter().map(|part| word(part, "kind")).collect();
    assert_eq!(kinds, expected);
    let mut expected: Vec<String> = parts.iter().map(|part| word(part, "body")).collect();
    expected.retain(|body| !body.is_empty());
    assert_eq!(texts, expected);
    assert!(texts.len() > 100, "{}", texts.len());
    assert_eq!(
        notes,
        parts.iter().filter(|part| part["internal"] == true).count()
    );

    let page = browser.get(&path).await;
    // The way back to each person, and who has written.
    let people: Vec<&str> = conversation["contact_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let links = page.links_below("/contacts");
    assert!(
        !people.is_empty() && people.iter().all(|id| links.contains(&(*id).to_owned())),
        "{links:?}"
    );
    page.has(parts[0]["author"]["name"].as_str().unwrap());
    page.has("(contact)");
    page.has("(teammate)");
    page.has("first message");
    let number = conversation["source_id"].as_str().unwrap();
    page.has(&format!("Number {number}"));
    assert!(page.html.contains(&format!(
        "/inbox/conversation/{number}\" rel=\"noopener noreferrer nofollow\""
    )));
    let profile = browser.get(&format!("/contacts/{}", people[0])).await;
    profile.has("All of its 230 messages are here.");
    profile.has("1 conversation,");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_not_whole_says_how_much_is_here() {
    let (case, mut browser) = begun(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
    let case = case.connect().await;
    let late = case.inject(held().operation("get_conversation"));
    let _fleet = case.world.fleet(1);
    case.until_hit(late).await;
    let caller = caller_of(&case, &browser);
    let (_, path) = only(&caller).await;
    let page = browser.get(&path).await;
    page.is_sound();
    page.has("The rest is being fetched.");
    // Lists show the first message.
    assert_eq!(
        page.html.matches("data-kind=\"").count(),
        1,
        "{}",
        page.html
    );
    case.clear_fault(late);
    case.until_complete().await;
    let page = browser.get(&path).await;
    page.has("500 of 520 messages are here. Intercom no longer shows the older ones.");
    assert!(page.html.contains("class=\"missing\""));
    let contact = &only(&caller).await.0["contact_ids"][0];
    let profile = browser
        .get(&format!("/contacts/{}", contact.as_str().unwrap()))
        .await;
    profile.has("500 of 520 messages are here. Intercom no longer shows the older ones.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_and_a_deleted_one_say_so() {
    let (case, mut browser) = begun(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(3).ago(4_000));
    case.mutate(Mutation::redact(1).ago(3_000));
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    let caller = caller_of(&case, &browser);
    let (_, path) = only(&caller).await;
    let parts = caller.all(&format!("/v1{path}/parts")).await;
    let redacted = parts.iter().filter(|part| part["redacted"] == true).count();
    assert_eq!(redacted, 1);
    let page = browser.get(&path).await;
    page.is_sound();
    assert_eq!(
        page.text()
            .matches("The text of this message was removed for good.")
            .count(),
        redacted
    );
    case.mutate(Mutation::delete(Kind::Conversation, 1).ago(10));
    case.sync(Mode::Incremental, &[Stream::Reference]).await;
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("Deleted in Intercom at");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_becomes_markup_and_no_attachment_a_trap() {
    let (case, mut browser) = begun(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(6).ago(4_000));
    let lines: Vec<_> = case.live(Kind::Part);
    let long = "word ".repeat(20_000);
    let hostile = "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p><script>alert(2)</script><img src=x onerror=alert(3)>\u{202e}\u{200b}evil";
    let file = |name: &str, url: &str| json!({"type": "upload", "name": name, "url": url, "content_type": "text/html", "filesize": 1_234});
    for (n, line) in lines.iter().enumerate() {
        let mut object = line.value();
        object["part_type"] = "comment".into();
        object["body"] = if n == 0 {
            format!("<p>{long}</p>").into()
        } else {
            hostile.into()
        };
        object["author"]["name"] = "<b>Mallory</b>\u{202e}".into();
        object["attachments"] = json!([
            file("good <b>.pdf", "https://files.example/a?b=1&c=2"),
            file("trap.html", "javascript:alert(1)"),
            file("plain.txt", "http://files.example/a"),
            file("data.html", "data:text/html,<script>alert(1)</script>"),
        ]);
        assert!(
            case.workspace
                .put_raw(Kind::Part, &line.id, object.to_string())
        );
    }
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    let caller = caller_of(&case, &browser);
    let (_, path) = only(&caller).await;
    let page = browser.get(&path).await;
    page.is_sound();
    for bad in [
        "<script",
        "<img",
        "<b>",
        "\u{202e}",
        "\u{200b}",
        "javascript:alert(1)\"",
        "href=\"http://",
        "href=\"data:",
    ] {
        assert!(!page.html.contains(bad), "{bad:?}: {}", page.html);
    }
    let texts = bodies(&page);
    assert!(
        texts.iter().any(|text| text == long.trim()),
        "the long message is whole"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("<script>alert(1)</script>")),
        "{texts:?}"
    );
    let files = lines.len();
    let good = "<a href=\"https://files.example/a?b=1&amp;c=2\" rel=\"noopener noreferrer nofollow\"><bdi>good &lt;b&gt;.pdf</bdi></a>";
    assert_eq!(page.html.matches(good).count(), files, "{}", page.html);
    for name in ["trap.html", "plain.txt", "data.html"] {
        assert_eq!(
            page.html.matches(&format!("<bdi>{name}</bdi>")).count(),
            files
        );
    }
    page.has("(text/html, 1,234 bytes)");
}

/// A page ends after so many characters, and the next one goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn large_messages_make_more_pages_and_none_is_cut() {
    let (case, mut browser) = begun(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(8).ago(4_000));
    for line in case.live(Kind::Part) {
        let mut object = line.value();
        object["part_type"] = "comment".into();
        object["body"] = format!("<p>{} {}</p>", line.id, "word ".repeat(25_000)).into();
        assert!(
            case.workspace
                .put_raw(Kind::Part, &line.id, object.to_string())
        );
    }
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    let caller = caller_of(&case, &browser);
    let (_, path) = only(&caller).await;
    let parts = caller.all(&format!("/v1{path}/parts")).await;
    let (mut texts, mut next, mut pages) = (Vec::new(), path, 0);
    loop {
        let page = browser.get(&next).await;
        assert!(page.html.len() < 400_000, "{}", page.html.len());
        texts.extend(bodies(&page));
        pages += 1;
        let Some(later) = page.link_named("Later messages") else {
            break;
        };
        next = later;
    }
    let expected: Vec<String> = parts
        .iter()
        .filter_map(|part| part["body"].as_str())
        .map(|body| body.trim().to_owned())
        .filter(|body| !body.is_empty())
        .collect();
    assert_eq!(texts, expected);
    assert!(pages >= 4, "{pages}");
}
