//! The calls that readers make often. Each is made for many tenants and of many objects.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use super::{
    http::Request,
    scene::{Objects, Scene, Tenant},
};
use crate::report::{Failure, SEED};

/// Different requests of one call.
const REQUESTS: usize = 1_000;
/// The revision that nearly all clients speak.
const PROTOCOL: &str = "2025-11-25";

/// A call and how it is reported.
pub(super) struct CallKind {
    pub(super) name: &'static str,
    make: fn(&Draw<'_>, &mut StdRng) -> Result<Request, Failure>,
}

pub(super) const REST: [CallKind; 5] = [
    CallKind {
        name: "get_contact",
        make: |draw, random| draw.get(&format!("/v1/contacts/{}", draw.contact(random)?)),
    },
    CallKind {
        name: "list_contacts",
        make: |draw, _| draw.get("/v1/contacts?limit=50"),
    },
    CallKind {
        name: "timeline",
        make: |draw, random| {
            draw.get(&format!(
                "/v1/contacts/{}/timeline?limit=50",
                draw.contact(random)?
            ))
        },
    },
    CallKind {
        name: "search",
        make: |draw, random| Ok(draw.search(draw.words(random)?)),
    },
    CallKind {
        name: "feed",
        make: |draw, _| draw.get("/v1/changes?limit=50"),
    },
];

pub(super) const TOOLS: CallKind = CallKind {
    name: "tool_call",
    make: |draw, random| draw.tool(random),
};

/// The tools of the API.
pub(super) const TOOL_NAMES: [&str; 8] = [
    "search_profiles",
    "get_contact",
    "get_company",
    "get_contact_timeline",
    "search_conversations",
    "get_conversation",
    "get_sync_status",
    "describe_fields",
];

impl CallKind {
    /// The same requests in each run.
    pub(super) fn requests(&self, scene: &Scene) -> Result<Vec<Request>, Failure> {
        let mut random = StdRng::seed_from_u64(SEED);
        // Every tenant but the whale is as large as any other.
        let tenants = &scene.tenants[1..];
        (0..REQUESTS)
            .map(|number| {
                let draw = Draw {
                    number,
                    host: scene.host(),
                    tenant: &tenants[random.random_range(0..tenants.len())],
                    objects: &scene.objects,
                };
                (self.make)(&draw, &mut random)
            })
            .collect()
    }
}

/// A search that finds much.
pub(super) fn search(scene: &Scene, tenant: &Tenant, words: &str) -> Request {
    let draw = Draw {
        number: 0,
        host: scene.host(),
        tenant,
        objects: &scene.objects,
    };
    draw.search(words)
}

/// What a request is made of.
struct Draw<'s> {
    number: usize,
    host: &'s str,
    tenant: &'s Tenant,
    objects: &'s Objects,
}

impl<'s> Draw<'s> {
    fn contact(&self, random: &mut StdRng) -> Result<&'s str, Failure> {
        id(one(&self.objects.contacts, random)?)
    }

    /// A name, or two words of a title.
    fn words(&self, random: &mut StdRng) -> Result<&'s str, Failure> {
        let text = if self.number.is_multiple_of(2) {
            one(&self.objects.contacts, random)?["name"].as_str()
        } else {
            one(&self.objects.conversations, random)?["title"].as_str()
        };
        let text = text.unwrap_or("refund");
        let end = text
            .match_indices(' ')
            .nth(1)
            .map_or(text.len(), |(at, _)| at);
        Ok(&text[..end])
    }

    fn tool(&self, random: &mut StdRng) -> Result<Request, Failure> {
        let tool = TOOL_NAMES[self.number % TOOL_NAMES.len()];
        let arguments = match tool {
            "search_profiles" => {
                json!({"query": one(&self.objects.contacts, random)?["name"].as_str().unwrap_or("Ada")})
            }
            "search_conversations" => json!({"query": self.words(random)?}),
            "get_contact" | "get_contact_timeline" => {
                json!({"contact_id": self.contact(random)?})
            }
            "get_company" => json!({"company_id": id(one(&self.objects.companies, random)?)?}),
            "get_conversation" => {
                json!({"conversation_id": id(one(&self.objects.conversations, random)?)?})
            }
            "describe_fields" => json!({"object": "contact"}),
            _ => json!({}),
        };
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        });
        Ok(Request {
            tool: Some(tool),
            ..self.post("/mcp", &message)
        })
    }

    fn search(&self, words: &str) -> Request {
        self.post("/v1/search", &json!({"q": words}))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "so that each call is one line of the table"
    )]
    fn get(&self, path: &str) -> Result<Request, Failure> {
        Ok(self.request(&format!("GET {path}"), "", ""))
    }

    fn post(&self, path: &str, body: &Value) -> Request {
        let body = body.to_string();
        let headers = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\nMCP-Protocol-Version: {PROTOCOL}\r\n",
            body.len()
        );
        self.request(&format!("POST {path}"), &headers, &body)
    }

    fn request(&self, line: &str, headers: &str, body: &str) -> Request {
        let (host, key) = (self.host, &self.tenant.key);
        let text = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\
             Accept: application/json, text/event-stream\r\n{headers}\r\n{body}"
        );
        Request {
            tenant: self.tenant.id,
            tool: None,
            bytes: text.into_bytes(),
        }
    }
}

fn one<'s>(objects: &'s [Value], random: &mut StdRng) -> Result<&'s Value, Failure> {
    Ok(objects.choose(random).ok_or("there is no object")?)
}

fn id(object: &Value) -> Result<&str, Failure> {
    Ok(object["id"].as_str().ok_or("an object has no id")?)
}
