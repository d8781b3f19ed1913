//! Servers that move, hang, refuse or are set up otherwise, and what the fleet makes of it.

mod postgres_readiness;
mod postgres_time_limits;
