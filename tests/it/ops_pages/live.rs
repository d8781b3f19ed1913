//! The overview keeps itself up to date, and ends in time.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::signed_in;
use crate::{
    operations::Office,
    support::{CookieJar, wait_for},
};

const STREAM: &str = "/ops/live/stream";

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_is_an_empty_answer_while_nothing_changes() {
    let office = Office::open().await;
    let mut browser = signed_in(&office).await;
    let page = browser.page("/ops/").await;
    for piece in [
        "id=\"live-news\"",
        "role=\"status\"",
        "id=\"live-switch\"",
        "data-path=\"/ops/live\"",
    ] {
        assert!(page.html.contains(piece), "{piece}");
    }
    let first = browser.get("/ops/live").await;
    assert_eq!(first.status, StatusCode::OK);
    let etag = first.header("etag").to_owned();
    let same = browser.get_if_changed("/ops/live", &etag).await;
    assert_eq!(
        (same.status, same.html.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
    // An operator's change is news at once.
    let paused = office
        .post("/ops/queues/fresh/pause", serde_json::json!({}))
        .await;
    assert_eq!(paused.0, 200);
    let news = browser.get_if_changed("/ops/live", &etag).await;
    assert_eq!(news.status, StatusCode::OK);
    assert!(news.text().contains("Paused now"), "{}", news.html);
}

/// A stream of news that is being read.
struct News {
    answer: Response,
    unread: Vec<u8>,
}

impl News {
    /// Opened by a browser that has this version of the overview, or none.
    async fn of(browser: &CookieJar, etag: Option<&str>) -> Self {
        let known: Vec<_> = etag.iter().map(|etag| ("Last-Event-ID", *etag)).collect();
        let answer = browser.open(STREAM, &known).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(answer.headers()[name], value);
        }
        Self {
            answer,
            unread: Vec::new(),
        }
    }

    /// The next event, its name and what it says. `None` if the server has ended the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let told = (
                    field("event:").unwrap(),
                    serde_json::from_str(&field("data:").unwrap()).unwrap(),
                );
                return Some(told);
            }
            self.unread.extend(self.answer.chunk().await.unwrap()?);
        }
    }

    /// The next event that is more than a sign of life.
    async fn next_part(&mut self) -> Value {
        loop {
            let (name, part) = self.next().await.expect("the stream goes on");
            if name == "news" {
                return part;
            }
            assert_eq!((name.as_str(), part), ("beat", Value::Null));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_has_changed() {
    let office = Office::open().await;
    let browser = signed_in(&office).await;
    let mut news = News::of(&browser, None).await;
    let first = news.next_part().await;
    let shown = browser.clone().get("/ops/live").await;
    assert_eq!(first["html"], shown.html);
    assert_eq!(first["etag"], shown.header("etag"));
    // A browser that comes back with what it has hears that nothing is new.
    let mut back = News::of(&browser, first["etag"].as_str()).await;
    assert_eq!(back.next().await, Some(("beat".to_owned(), Value::Null)));
    let reason = json!({"reason": "line one\r\nevent: forged\r\n\r\ndata: 1"});
    assert_eq!(office.post("/ops/queues/fresh/pause", reason).await.0, 200);
    for stream in [&mut news, &mut back] {
        let changed = stream.next_part().await;
        let html = changed["html"].as_str().unwrap();
        assert!(html.contains("Paused now"), "{html}");
        assert_ne!(changed["etag"], first["etag"]);
    }
    let stranger = CookieJar::new(&office.base).open(STREAM, &[]).await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_first_when_the_process_is_told_to() {
    let mut office = Office::open().await;
    let browser = signed_in(&office).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut news = News::of(&browser, None).await;
        news.next_part().await;
        open.push(news);
    }
    office.api.terminate();
    for mut news in open {
        // Its body comes to its end. A connection that is cut would be an error.
        while news.next().await.is_some() {}
    }
    assert!(office.api.ended().await.success());
    let written = office.api.written();
    assert!(
        !written.contains("whose clients were not done"),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_beyond_the_limit_of_streams_asks_instead() {
    let office = Office::open().await;
    let browser = signed_in(&office).await;
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(News::of(&browser, None).await);
    }
    let refused = browser.open(STREAM, &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        browser.clone().get("/ops/live").await.status,
        StatusCode::OK
    );
    // The one that goes leaves its stream to the next.
    open.pop();
    wait_for("a stream is free", async || {
        let status = browser.open(STREAM, &[]).await.status();
        (status == StatusCode::OK)
            .then_some(())
            .ok_or(status.to_string())
    })
    .await;
}
