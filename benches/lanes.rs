//! What a message costs: in a lane on one thread, through a router's switch, and there and back
//! between two pinned threads beside the bare ping-pong. Run with `cargo bench`.

use std::{
    hint,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use corelane::{
    ring::{HeapWords, Shape, latency},
    router::{ClientId, RoutingTable, Switch},
    shm::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo},
    topology::{PingPongOptions, allowed_cpus, measure_pingpong, pin_current_thread},
    transport::{AgentId, Endpoint, Envelope, LaneShape, Message, Port},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PAYLOAD: [u8; 64] = [7; 64];

/// Commit and consume of a 64-byte payload on one thread: the instructions, no line moves.
fn ring_alone(c: &mut Criterion) {
    let shape = Shape::new(64, 16).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let cursor = HeapWords::new(latency::CURSOR_WORDS);
    let mut producer = latency::Producer::new(shape, data.clone(), cursor.clone()).unwrap();
    let mut consumer = latency::Consumer::new(shape, data, cursor).unwrap();
    c.bench_function("ring/alone/64B", |bencher| {
        bencher.iter(|| {
            let mut claim = producer.claim().unwrap();
            claim.write_bytes(0, &PAYLOAD);
            claim.commit(64);
            let record = consumer.peek().unwrap().expect("because it was committed");
            let mut words = [0; 8];
            record.read(0, &mut words);
            record.consume();
            words
        });
    });
}

/// Both ends of an attachment, over real segments of this process.
fn attachment(shape: LaneShape) -> (Endpoint, Port) {
    let words = shape.segment_words(1);
    let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
    let expect = SegmentExpect {
        kind: 1,
        layout_version: 1,
        layout_hash: 1,
        min_words: words,
        max_words: words,
    };
    let segment = || {
        let own = OwnedSegment::create("corelane-bench", words, info).unwrap();
        let fd = own.fd().as_fd().try_clone_to_owned().unwrap();
        (own.into_words(), PeerSegment::open(fd, &expect).unwrap().words().clone())
    };
    let ((client_rw, client_ro), (node_rw, node_ro)) = (segment(), segment());
    let endpoint = Endpoint::new(&client_rw, &node_ro, shape, 1).unwrap();
    (endpoint, Port::new(&node_rw, &client_ro, shape, 0).unwrap())
}

/// One message through endpoint, switch and endpoint, all on one thread.
fn switch_alone(c: &mut Criterion) {
    let shape = LaneShape::new(64, 2).unwrap();
    let (mut from, port) = attachment(shape);
    let mut switch = Switch::default();
    switch.attach(ClientId(0), port);
    let (mut to, port) = attachment(shape);
    switch.attach(ClientId(1), port);
    let table = RoutingTable::default().with(1..2, ClientId(0)).unwrap();
    let table = table.with(2..3, ClientId(1)).unwrap();
    let envelope = Envelope { sender: AgentId(1), receiver: AgentId(2), ..Envelope::default() };
    let mut message = Message::default();
    c.bench_function("switch/alone/64B", |bencher| {
        bencher.iter(|| {
            from.send(&envelope, &PAYLOAD).unwrap();
            from.flush();
            switch.turn(&table, || 0);
            switch.flush();
            assert!(to.receive(&mut message).unwrap());
            to.flush();
        });
    });
}

/// There and back between two pinned threads, beside one line that does nothing else.
fn round_trip(c: &mut Criterion) {
    let cpus = allowed_cpus().unwrap();
    let (Some(near), Some(far)) =
        (cpus.first(), cpus.last().filter(|far| cpus.len() > 1 && *far > 0))
    else {
        println!("skipped: round trip: it needs two cpus and this process may use one");
        return;
    };
    let mut group = c.benchmark_group("round-trip");
    group.measurement_time(Duration::from_secs(2)).throughput(Throughput::Elements(1));
    group.bench_function("bare-line", |bencher| {
        bencher.iter_custom(|iterations| {
            let options = PingPongOptions {
                passes: 1,
                round_trips_per_pass: iterations.max(100),
                time_max: Duration::from_secs(10),
            };
            let measured = measure_pingpong(near, far, &options).unwrap();
            Duration::from_nanos((measured.round_trip_ns() * iterations as f64) as u64)
        });
    });
    group.bench_function("lane-64B", |bencher| {
        let (mut endpoint, mut port) = attachment(LaneShape::new(64, 2).unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let echo = thread::spawn({
            let is_over = is_over.clone();
            move || {
                pin_current_thread(far).unwrap();
                let mut words = [0; 16];
                while !is_over.load(Ordering::Relaxed) {
                    let priority = Envelope::default().priority;
                    let Some(record) = port.peek(priority).unwrap() else {
                        hint::spin_loop();
                        continue;
                    };
                    let length = record.length_bytes();
                    let used = (length as usize).div_ceil(8);
                    record.read(0, &mut words[..used]);
                    record.consume();
                    port.forward(priority, &words[..used], length).unwrap();
                    port.flush();
                }
            }
        });
        pin_current_thread(near).unwrap();
        let mut message = Message::default();
        bencher.iter(|| {
            endpoint.send(&Envelope::default(), &PAYLOAD).unwrap();
            endpoint.flush();
            while !endpoint.receive(&mut message).unwrap() {
                hint::spin_loop();
            }
        });
        is_over.store(true, Ordering::Relaxed);
        echo.join().expect("because the echo does not panic");
    });
    group.finish();
}

criterion_group!(benches, ring_alone, switch_alone, round_trip);
criterion_main!(benches);
