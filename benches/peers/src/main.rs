//! Measures Corelane's rings and their rivals interleaved in one run.
#![forbid(unsafe_code)]

mod array_queue;
mod bus;
mod concurrent_queue;
#[cfg(test)]
mod conformance;
mod crossbeam_channel;
mod crossfire;
mod disruptor;
mod flume;
mod heapless;
mod held_back;
mod kanal;
mod nexus;
mod omango;
mod one_by_one;
mod parking;
mod ringbuf;
mod rtrb;
mod side_by_side;
mod sleeping;
mod standard;
mod thingbuf;
mod tokio_broadcast;
mod tokio_mpsc;

fn main() {}
