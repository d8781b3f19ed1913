//! What a workspace has few of: admins, teams, tags, segments.

use rand::Rng;
use serde_json::{Value, json};

use super::{World, chance, mix, person_name, pick};
use crate::model::TagName;
use crate::store::Kind;

/// Admins, teams, tags and segments, and the two admins with a special part.
#[derive(Debug)]
pub(crate) struct Reference {
    /// Current teammates. The first one installed the app.
    pub(crate) admins: Vec<Admin>,
    /// A former teammate. Objects still refer to it, but lists do not show it.
    pub(crate) departed: Admin,
    pub(crate) teams: Vec<Team>,
    pub(crate) tags: Vec<TagName>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) created_at: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) team_ids: Vec<i64>,
    pub(crate) away: bool,
    pub(crate) seat: bool,
    pub(crate) avatar: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) admin_ids: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: i64,
    pub(crate) person_type: &'static str,
}

const TEAMS: &[&str] = &["Support", "Sales", "Onboarding", "Équipe FR", "Tier 2"];
const TAGS: &[&str] = &[
    "vip",
    "Bug",
    "feature request",
    "churn risk",
    "beta",
    "übersetzen",
    "refund",
    "Q4 ☃",
    "follow-up",
    "spam?",
    "API",
    "billing",
];

impl Reference {
    pub(crate) fn new(world: &World, now: i64) -> Self {
        let spec = &world.spec;
        let created_at = now - 3601 - i64::from(spec.history_days.max(1)) * 86_400;
        let base = 900_000 + i64::try_from(mix(world.tag, 7) % 90_000_000).unwrap_or(0);
        let teams: Vec<i64> = (0..i64::from(spec.teams))
            .map(|n| base + 5000 + n)
            .collect();
        let mut admins: Vec<Admin> = (0..u64::from(spec.admins.max(1)) + 1)
            .map(|number| admin(world, base, number, &teams))
            .collect();
        let departed = admins
            .pop()
            .unwrap_or_else(|| admin(world, base, 0, &teams));
        Self {
            teams: teams
                .iter()
                .enumerate()
                .map(|(number, id)| Team {
                    id: *id,
                    name: format!("{} {}", TEAMS[number % TEAMS.len()], number + 1),
                    admin_ids: admins
                        .iter()
                        .filter(|admin| admin.team_ids.contains(id))
                        .map(|admin| admin.id)
                        .collect(),
                })
                .collect(),
            tags: (0..spec.tags as usize)
                .map(|number| TagName {
                    kind: "tag".into(),
                    id: (base + 10_000 + i64::try_from(number).unwrap_or(0)).to_string(),
                    name: match number / TAGS.len() {
                        0 => TAGS[number].to_owned(),
                        round => format!("{} {round}", TAGS[number % TAGS.len()]),
                    },
                })
                .collect(),
            segments: (0..u64::from(spec.segments))
                .map(|number| Segment {
                    id: world.hex_id(Kind::Segment, number, created_at),
                    name: format!("Segment {number} – active"),
                    created_at,
                    person_type: if number % 3 == 0 { "contact" } else { "user" },
                })
                .collect(),
            admins,
            departed,
            created_at,
        }
    }

    /// A teammate, sometimes the former one.
    pub(crate) fn some_admin(&self, rng: &mut rand::rngs::SmallRng) -> &Admin {
        if chance(rng, 0.05) {
            return &self.departed;
        }
        pick(rng, &self.admins)
    }

    /// One of the teams, if there is any.
    pub(crate) fn some_team(&self, rng: &mut rand::rngs::SmallRng) -> Option<&Team> {
        (!self.teams.is_empty()).then(|| pick(rng, &self.teams))
    }

    /// Up to `count` different tags.
    pub(crate) fn some_tags(&self, rng: &mut rand::rngs::SmallRng, count: usize) -> Vec<TagName> {
        if self.tags.is_empty() {
            return Vec::new();
        }
        let first = rng.random_range(0..self.tags.len());
        self.tags
            .iter()
            .cycle()
            .skip(first)
            .take(count.min(self.tags.len()))
            .cloned()
            .collect()
    }
}

fn admin(world: &World, base: i64, number: u64, teams: &[i64]) -> Admin {
    let mut rng = world.rng(Kind::Admin, number);
    let id = base + i64::try_from(number).unwrap_or(0);
    Admin {
        id,
        name: person_name(&mut rng),
        email: format!("admin{number}@{}.example", world.id_code),
        team_ids: teams
            .iter()
            .copied()
            .filter(|_| chance(&mut rng, 0.5))
            .collect(),
        away: chance(&mut rng, 0.2),
        seat: number == 0 || chance(&mut rng, 0.8),
        avatar: chance(&mut rng, 0.6)
            .then(|| format!("https://static.example.com/avatars/{id}/square_128.jpg")),
    }
}

impl Admin {
    /// As `/admins` shows a teammate.
    pub(crate) fn json(&self, display_avatar: bool) -> Value {
        json!({
            "type": "admin",
            "id": self.id.to_string(),
            "name": self.name,
            "email": self.email,
            "job_title": "Support",
            "away_mode_enabled": self.away,
            "away_mode_reassign": false,
            "away_status_reason_id": null,
            "has_inbox_seat": self.seat,
            "team_ids": self.team_ids,
            "avatar": if display_avatar {
                json!({"type": "avatar", "image_url": self.avatar})
            } else {
                json!(self.avatar)
            },
            "team_priority_level": {
                "primary_team_ids": self.team_ids,
                "secondary_team_ids": [],
            },
            "role": null,
        })
    }
}

impl Team {
    pub(crate) fn json(&self) -> Value {
        json!({
            "type": "team",
            "id": self.id.to_string(),
            "name": self.name,
            "admin_ids": self.admin_ids,
            "admin_priority_level": {
                "primary_admin_ids": self.admin_ids,
                "secondary_admin_ids": [],
            },
            "assignment_limit": 10,
            "distribution_method": "round_robin",
        })
    }
}

impl Segment {
    /// The segment as lists show it, with `count` only if the request asks for it.
    pub(crate) fn json(&self, count: Option<usize>) -> Value {
        let mut segment = json!({
            "type": "segment",
            "id": self.id,
            "name": self.name,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "person_type": self.person_type,
        });
        if let Some(count) = count {
            segment["count"] = json!(count);
        }
        segment
    }
}
