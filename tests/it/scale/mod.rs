//! Costs follow the change, and not the size of a tenant, a table or a backlog.

mod backlog;
mod idle;
mod operators;
mod pages;
mod plans;
mod removals;
mod statistics;
