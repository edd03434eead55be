//! Instructions to a graph of steps, and the solver that runs what is not known yet.

pub mod context;
pub mod copy;
