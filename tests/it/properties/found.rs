//! What the drawn lives have shown, each as short as it still failed.

use shared::domain::{Mode, Stream};

use super::{
    machine::play,
    plan::{Op, Plan},
    servers,
};
use crate::support::play as run;

fn ends_exact(ops: Vec<Op>) {
    run(async {
        if let Err(wrong) = play(servers().await, &Plan::of(ops)).await {
            panic!("{wrong}");
        }
    });
}

// Its run asked every stream for a full walk, and only one of them was due for one. The others polled without end.
#[test]
fn a_reconnect_while_one_stream_needs_a_full_walk_comes_to_rest() {
    ends_exact(vec![
        Op::Work,
        Op::Request {
            mode: Mode::Full,
            streams: &[Stream::Contacts],
        },
        Op::Reconnect,
    ]);
}
