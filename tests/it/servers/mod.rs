//! Servers that move, hang, refuse or are set up otherwise, and what the fleet makes of it.

mod postgres_forms;
mod postgres_frozen;
mod postgres_moves;
mod postgres_pooler;
mod postgres_readiness;
mod postgres_refusals;
mod postgres_restore;
mod postgres_roles;
mod postgres_sessions;
mod postgres_time_limits;
mod postgres_tls;
