//! The laws of a decision, and a closed loop: a fleet, what is measured of it, the decision, and the autoscaler of
//! Kubernetes that follows it.

mod autoscaler;
mod closed_loop;
mod fleet;
mod laws;
mod shapes;
