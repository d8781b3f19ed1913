//! The queue on a real Redis: the scripts beside the model of `tests/simulation`, what they cost, and a real fleet.

mod conformance;
mod cost;
mod live;
