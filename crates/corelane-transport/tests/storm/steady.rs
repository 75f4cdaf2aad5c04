//! A publisher, a reliable subscriber and a lane that go on through a storm around them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corelane_transport::Participant;
use corelane_transport::lane::{LaneKind, LaneOptions};
use corelane_transport::topic::{PublishOptions, SubscribeOptions};

const PATIENCE: Duration = Duration::from_secs(100);

/// The ends and their threads.
pub(crate) struct Steady {
    is_over: Arc<AtomicBool>,
    writer: JoinHandle<u64>,
    reader: JoinHandle<u64>,
}

fn payload(index: u64) -> Vec<u8> {
    vec![index as u8; (index * 131 % 6_000) as usize]
}

impl Steady {
    pub(crate) fn start(place: &Path) -> Self {
        let participant = Participant::open(place).unwrap();
        let options = SubscribeOptions::RELIABLE;
        let mut subscriber = participant.subscribe_bytes("steady", options).unwrap();
        let mut receiver =
            participant.lane_receiver("steady-lane", LaneOptions::default()).unwrap();
        let mut publisher =
            participant.publish_bytes("steady", &PublishOptions::default()).unwrap();
        let mut sender = participant.lane_sender("steady-lane", LaneKind::LATENCY).unwrap();
        assert!(publisher.wait_for_subscribers(1, PATIENCE) && sender.wait_for_receiver(PATIENCE));
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = is_over.clone();
        let writer = thread::spawn(move || {
            let mut index = 0;
            while !stop.load(Ordering::Relaxed) {
                publisher.publish_within(&payload(index), PATIENCE).unwrap();
                sender.send_within(&index.to_le_bytes(), PATIENCE).unwrap();
                index += 1;
            }
            // An empty record ends the lane.
            sender.send_within(&[], PATIENCE).unwrap();
            index
        });
        let reader = thread::spawn(move || {
            let _place = participant;
            let (mut index, mut record) = (0_u64, Vec::new());
            loop {
                assert!(receiver.receive(&mut record, PATIENCE).unwrap(), "the lane is silent");
                if record.is_empty() {
                    assert!(subscriber.try_receive().unwrap().is_none());
                    return index;
                }
                assert_eq!(record, index.to_le_bytes());
                let sample = subscriber.receive(PATIENCE).unwrap().expect("it was published");
                assert_eq!((sample.origin.sequence, &*sample), (index, &payload(index)[..]));
                index += 1;
            }
        });
        Self { is_over, writer, reader }
    }

    /// Ends it; how many messages were carried.
    pub(crate) fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.writer.join().unwrap();
        assert_eq!(self.reader.join().unwrap(), sent);
        sent
    }
}
