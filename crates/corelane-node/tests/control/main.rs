//! The control protocol over a real socket: a live node, worker processes, and clients that do not
//! behave.
//!
//! A worker process is this test binary again, running one test in the role of the worker. What it
//! asserts is seen by its exit code, or in what it reports.

mod connection;
mod guests;
mod hosted;
mod life;
mod limits;
mod lost;
mod refusals;
mod restarts;
mod transcript;
