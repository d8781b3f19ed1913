//! The real fleet on a real Redis: what a model cannot show.

mod cluster;
mod counters;
mod faults;
mod foreign;
mod idle;
mod pauses;
mod pools;
mod turns;
mod verdicts;
mod worker;
