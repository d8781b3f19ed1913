//! The state of both sides, in one form: what Redis holds, and what the model would have it hold.

use std::collections::{BTreeMap, BTreeSet};

use redis::Script;
use shared::domain::Class;
use simulation::queue::model::{Key, Model, State};

use super::pair::{Pair, text};

impl Pair<'_> {
    /// Every key but the test's own time, in one form: a tenant's turn is one list.
    pub(super) fn redis_state(&mut self) -> BTreeMap<String, String> {
        let pattern = format!("{}:*", glob(&self.prefix));
        let dump: Vec<(String, String, Vec<String>)> = Script::new(DUMP)
            .key(&self.prefix)
            .arg(pattern)
            .invoke(self.redis)
            .unwrap();
        let mut state = BTreeMap::new();
        let mut turns: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut marked, mut rests) = (BTreeSet::new(), BTreeSet::new());
        for (name, kind, values) in dump {
            if let Some(class) = name.strip_prefix("first:") {
                for [tenant, first] in values.as_chunks::<2>().0 {
                    let turn = turns.entry(format!("ready:{class}:{tenant}")).or_default();
                    turn.insert(0, first.get(1..).unwrap_or_default().to_owned());
                    turn.extend(
                        (!first.starts_with(['+', '-'])).then(|| format!("no mark: {first}")),
                    );
                    marked.extend(
                        first
                            .starts_with('+')
                            .then(|| format!("ready:{class}:{tenant}")),
                    );
                }
                continue;
            }
            if let Some(turn) = name.strip_prefix("rest:") {
                rests.insert(format!("ready:{turn}"));
                turns
                    .entry(format!("ready:{turn}"))
                    .or_default()
                    .extend(values);
                continue;
            }
            if let Some(value) = value_of(&name, &kind, &values) {
                state.insert(name, value);
            }
        }
        // A rest without a first one that says so would be forgotten.
        for turn in rests.difference(&marked) {
            state.insert(format!("rest without a mark: {turn}"), String::new());
        }
        state.extend(
            turns
                .into_iter()
                .map(|(name, turn)| (name, format!("{turn:?}"))),
        );
        state
    }
}

/// A key's value as one text. A hash without a field that counts has no key in the model.
fn value_of(name: &str, kind: &str, values: &[String]) -> Option<String> {
    let pairs = || {
        values
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| (a.clone(), b.clone()))
    };
    let value = match kind {
        "string" if name.starts_with("vtime") => {
            format!("{:?}", values[0].parse::<f64>().unwrap())
        }
        "string" => values[0].clone(),
        "hash" => {
            let mut fields: BTreeMap<String, String> = pairs().collect();
            match name {
                "tickets" => fields
                    .values_mut()
                    .for_each(|state| *state = one_number_form(state)),
                "counts" => fields.retain(|_, count| count != "0"),
                // The long field that makes it a hash belongs to no tenant.
                "inflight" => fields.retain(|tenant, _| !tenant.starts_with("--")),
                _ => {}
            }
            if fields.is_empty() {
                return None;
            }
            format!("{fields:?}")
        }
        "set" => format!("{:?}", values.iter().collect::<BTreeSet<_>>())
            .replace('{', "[")
            .replace('}', "]"),
        "zset" => {
            let members: Vec<(String, f64)> = pairs()
                .map(|(member, score)| (member, score.parse().unwrap()))
                .collect();
            format!("{members:?}")
        }
        "list" => format!("{values:?}"),
        other => panic!("a key of type {other}"),
    };
    Some(value)
}

/// Everything below a prefix: {{name, type, {value, ...}}, ...}.
const DUMP: &str = r"
local dump = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
    local name, kind, values = string.sub(key, #KEYS[1] + 2), redis.call('TYPE', key).ok, nil
    if kind == 'string' then values = {redis.call('GET', key)}
    elseif kind == 'hash' then values = redis.call('HGETALL', key)
    elseif kind == 'set' then values = redis.call('SMEMBERS', key)
    elseif kind == 'zset' then values = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    else values = redis.call('LRANGE', key, 0, -1) end
    if name ~= 'time' then dump[#dump + 1] = {name, kind, values} end
end
return dump";

/// Keys as Redis would hold them. An empty value has no key.
#[derive(Default)]
struct Keys(BTreeMap<String, String>);

impl Keys {
    fn put(&mut self, name: &str, empty: bool, value: String) {
        if !empty {
            self.0.insert(name.to_owned(), value);
        }
    }
}

/// The model's state as Redis would hold it.
pub(super) fn model_state(model: &Model) -> BTreeMap<String, String> {
    let mut state = Keys::default();
    let tickets: BTreeMap<String, String> = model
        .tickets
        .iter()
        .map(|(ticket, state)| {
            let state = match state {
                State::Ready => "ready".to_owned(),
                State::Leased(leased) => format!(
                    "{},{},{:?},{},{}",
                    leased.fence,
                    u8::from(leased.again),
                    leased.finish,
                    leased.since,
                    leased.crashes
                ),
            };
            (text(*ticket), state)
        })
        .collect();
    state.put("tickets", tickets.is_empty(), format!("{tickets:?}"));
    let keys = |set: &mut dyn Iterator<Item = (Key, f64)>| {
        let members: Vec<(String, f64)> =
            set.map(|(ticket, score)| (text(ticket), score)).collect();
        format!("{members:?}")
    };
    state.put(
        "parked",
        model.parked.len() == 0,
        keys(&mut model.parked.iter()),
    );
    state.put(
        "leases",
        model.leases.len() == 0,
        keys(&mut model.leases.iter()),
    );
    let inflight: BTreeMap<String, String> = model
        .inflight
        .iter()
        .map(|(tenant, count)| (tenant.to_string(), count.to_string()))
        .collect();
    state.put("inflight", inflight.is_empty(), format!("{inflight:?}"));
    let capped: Vec<String> = model.capped.iter().map(ToString::to_string).collect();
    state.put("capped", capped.is_empty(), format!("{capped:?}"));
    state.put(
        "paused",
        model.paused.is_empty(),
        format!("{:?}", model.paused.iter().collect::<Vec<_>>()),
    );
    // A key that was never written reads as zero in the model.
    state.put("fence", model.fence == 0, model.fence.to_string());
    state.put("grace", model.grace == 0, model.grace.to_string());
    state.put(
        "clock",
        model.last == 0,
        format!("{}:{}", model.last, model.ahead),
    );
    let mut counts = BTreeMap::new();
    for class in Class::ALL {
        put_lane(&mut state, &mut counts, model, *class);
    }
    state.put("counts", counts.is_empty(), format!("{counts:?}"));
    state.0
}

/// What a class has of its own: virtual time, wake-up, ring, the tenants' turns, and counts.
fn put_lane(state: &mut Keys, counts: &mut BTreeMap<String, String>, model: &Model, class: Class) {
    let lane = model.lane_ref(class);
    state.put(
        &format!("vtime:{class}"),
        lane.vtime == 0.0,
        format!("{:?}", lane.vtime),
    );
    state.put(
        &format!("wake:{class}"),
        !lane.token,
        format!("{:?}", ["1"]),
    );
    // Members of equal score are ordered by name in both.
    let members: Vec<(String, f64)> = lane
        .ring
        .iter()
        .map(|(tenant, at)| (tenant.to_string(), at))
        .collect();
    state.put(
        &format!("ring:{class}"),
        members.is_empty(),
        format!("{members:?}"),
    );
    for (tenant, list) in &lane.ready {
        let entries: Vec<String> = list
            .iter()
            .map(|entry| format!("{},{},{}", entry.since, entry.crashes, text(entry.ticket)))
            .collect();
        state.put(
            &format!("ready:{class}:{tenant}"),
            entries.is_empty(),
            format!("{entries:?}"),
        );
    }
    for (name, count) in [
        ("ready", lane.ready_count),
        ("leased", lane.leased_count),
        ("parked", lane.parked_count),
    ] {
        if count != 0 {
            counts.insert(format!("{name}:{class}"), count.to_string());
        }
    }
}

/// A lease's virtual time as Rust writes it.
fn one_number_form(state: &str) -> String {
    let parts: Vec<&str> = state.split(',').collect();
    let [fence, again, finish, since, crashes] = parts[..] else {
        return state.to_owned();
    };
    format!(
        "{fence},{again},{:?},{since},{crashes}",
        finish.parse::<f64>().unwrap()
    )
}

pub(super) fn glob(prefix: &str) -> String {
    prefix.replace('{', "\\{").replace('}', "\\}")
}
