//! The Redis of a simulated fleet: the commands that the ledger's script uses, and an embedded Lua 5.1 that runs it.
//!
//! `tests/it/limits/conformance.rs` runs the same scenes on a real Redis and expects the same outcome.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use mlua::{Function, Lua, Table, Value, Variadic};
use shared::pacing::{LEDGER_SCRIPT, RawLedgerReply};

/// What a simulated fleet asks of Redis.
pub trait Redis {
    /// Runs the ledger script for one budget. `now` is Redis' clock in milliseconds.
    fn ledger(&mut self, budget: usize, arguments: &[Vec<u8>], now: u64) -> RawLedgerReply;

    /// Deletes every key, as the restart of a server without a disk does.
    fn flush(&mut self);
}

type Text = Vec<u8>;

/// All keys. Nothing expires, because a scene uses each key more often than the key would expire.
#[derive(Debug, Default)]
struct Keys {
    now: u64,
    hashes: BTreeMap<Text, BTreeMap<Text, Text>>,
    sorted: BTreeMap<Text, BTreeMap<Text, f64>>,
}

/// A reply of a command, as the scripts see it.
enum Answer {
    Number(i64),
    Texts(Vec<Text>),
}

impl Keys {
    fn call(&mut self, name: &str, key: &Text, arguments: &[Text]) -> Answer {
        match name {
            "HGETALL" => {
                let fields = self.hashes.get(key).into_iter().flatten();
                Answer::Texts(fields.flat_map(|(f, v)| [f.clone(), v.clone()]).collect())
            }
            "HSET" => {
                let hash = self.hashes.entry(key.clone()).or_default();
                let pairs = arguments.chunks_exact(2);
                assert!(pairs.remainder().is_empty(), "HSET takes pairs");
                hash.extend(pairs.map(|pair| (pair[0].clone(), pair[1].clone())));
                Answer::Number(arguments.len() as i64 / 2)
            }
            "HDEL" => {
                let hash = self.hashes.entry(key.clone()).or_default();
                Answer::Number(
                    arguments
                        .iter()
                        .filter_map(|field| hash.remove(field))
                        .count() as i64,
                )
            }
            "ZADD" => {
                let members = self.sorted.entry(key.clone()).or_default();
                members.insert(arguments[1].clone(), number(&arguments[0]));
                Answer::Number(1)
            }
            "ZREMRANGEBYSCORE" => {
                let (low, high) = (number(&arguments[0]), number(&arguments[1]));
                let members = self.sorted.entry(key.clone()).or_default();
                let before = members.len();
                members.retain(|_, score| !(low..=high).contains(score));
                Answer::Number((before - members.len()) as i64)
            }
            "ZCARD" => Answer::Number(self.sorted.get(key).map_or(0, BTreeMap::len) as i64),
            "PEXPIRE" => Answer::Number(1),
            _ => panic!("the embedded redis has no {name}: add it"),
        }
    }

    fn time(&self) -> Answer {
        let texts = [self.now / 1_000, self.now % 1_000 * 1_000];
        Answer::Texts(texts.map(|part| part.to_string().into_bytes()).into())
    }
}

fn number(text: &Text) -> f64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// An argument as Redis gets it from a script: a number has all its digits, of which Lua itself would print 14.
fn argument(value: &Value) -> Text {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(number) => number.to_string().into_bytes(),
        Value::Number(number) => number.to_string().into_bytes(),
        other => panic!("a script passes {other:?} to redis"),
    }
}

fn answer(lua: &Lua, answer: Answer) -> mlua::Result<Value> {
    Ok(match answer {
        Answer::Number(number) => Value::Number(number as f64),
        Answer::Texts(texts) => {
            let texts = texts.into_iter().map(|text| lua.create_string(text));
            Value::Table(lua.create_sequence_from(texts.collect::<mlua::Result<Vec<_>>>()?)?)
        }
    })
}

/// Keys in memory, and the script in an embedded Lua.
#[derive(Debug)]
pub struct EmbeddedRedis {
    lua: Lua,
    ledger: Function,
    keys: Rc<RefCell<Keys>>,
}

impl EmbeddedRedis {
    /// The product's script. `bug` replaces one text of the ledger script by another.
    pub fn new(bug: Option<(&str, &str)>) -> Self {
        let lua = Lua::new();
        let keys = Rc::new(RefCell::new(Keys::default()));
        let own = keys.clone();
        let call = move |lua: &Lua, arguments: Variadic<Value>| {
            let texts: Vec<Text> = arguments.iter().map(argument).collect();
            let name = std::str::from_utf8(&texts[0]).unwrap();
            let mut keys = own.borrow_mut();
            let reply = if name == "TIME" {
                keys.time()
            } else {
                keys.call(name, &texts[1], &texts[2..])
            };
            answer(lua, reply)
        };
        let redis = lua.create_table().unwrap();
        redis
            .set("call", lua.create_function(call).unwrap())
            .unwrap();
        lua.globals().set("redis", redis).unwrap();
        let ledger = lua
            .load(with_bug(LEDGER_SCRIPT, bug))
            .into_function()
            .unwrap();
        Self { lua, ledger, keys }
    }

    fn run(&self, budget: usize, arguments: &[Vec<u8>], now: u64) -> Table {
        self.keys.borrow_mut().now = now;
        let texts = |texts: Vec<&[u8]>| {
            let texts = texts
                .into_iter()
                .map(|text| self.lua.create_string(text).unwrap());
            self.lua.create_sequence_from(texts).unwrap()
        };
        let globals = self.lua.globals();
        let key = format!("{{sim:{budget}}}");
        globals.set("KEYS", texts(vec![key.as_bytes()])).unwrap();
        let arguments = arguments.iter().map(Vec::as_slice).collect();
        globals.set("ARGV", texts(arguments)).unwrap();
        self.ledger.call(()).unwrap()
    }
}

impl Redis for EmbeddedRedis {
    fn ledger(&mut self, budget: usize, arguments: &[Vec<u8>], now: u64) -> RawLedgerReply {
        let reply: Table = self.run(budget, arguments, now);
        // Redis cuts the fraction of a number that a script returns.
        std::array::from_fn(|i| reply.get::<f64>(i + 1).unwrap() as i64)
    }

    fn flush(&mut self) {
        let mut keys = self.keys.borrow_mut();
        let now = keys.now;
        *keys = Keys {
            now,
            ..Keys::default()
        };
    }
}

/// The script with one text replaced, to see that the tests notice it.
fn with_bug(script: &str, bug: Option<(&str, &str)>) -> String {
    let Some((from, to)) = bug else {
        return script.to_owned();
    };
    assert!(script.contains(from), "no such line: {from}");
    script.replace(from, to)
}
