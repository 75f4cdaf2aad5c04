//! One process of the storm: some random steps, then an end of its own choice.

use std::path::PathBuf;
use std::time::Duration;

use corelane_transport::lane::{
    LaneKind, LaneOptions, LaneReceiveError, LaneReceiver, LaneSendError, LaneSender,
};
use corelane_transport::topic::{
    BytesPublisher, BytesSubscriber, PublishError, PublishOptions, ReceiveError, SubscribeOptions,
};
use corelane_transport::{Participant, ParticipantError};
use fastrand::Rng;
use rustix::process::{Signal, getpid, kill_process};

/// Names that the members share, so that they meet.
const NAMES: u8 = 3;
const MOMENT: Duration = Duration::from_millis(2);

/// How many steps the member with this seed takes.
pub(crate) fn steps(seed: u64) -> u64 {
    Rng::with_seed(seed).u64(5..40)
}

/// What a member has open.
#[derive(Default)]
struct Ends {
    publishers: Vec<BytesPublisher>,
    subscribers: Vec<BytesSubscriber>,
    senders: Vec<LaneSender>,
    receivers: Vec<LaneReceiver>,
}

pub(crate) fn run() {
    let seed = crate::setting("CORELANE_STORM_SEED", 0);
    let place = PathBuf::from(std::env::var_os("CORELANE_STORM_PLACE").expect("it is set"));
    let mut rng = Rng::with_seed(seed);
    let steps = rng.u64(5..40);
    let participant = Participant::open(&place).expect("because any member can open it");
    let mut ends = Ends::default();
    for _ in 0..steps {
        ends.step(&participant, &mut rng);
    }
    match rng.u8(..4) {
        // Killed with everything open.
        0 | 1 => kill_process(getpid(), Signal::KILL).expect("because it is this process"),
        // Ended without a word.
        2 => std::process::exit(0),
        // Ended in order.
        _ => {}
    }
}

impl Ends {
    fn step(&mut self, participant: &Participant, rng: &mut Rng) {
        let name = format!("topic-{}", rng.u8(..NAMES));
        let lane = format!("lane-{}", rng.u8(..NAMES));
        match rng.u8(..10) {
            0 => {
                let options = PublishOptions {
                    slots: 64,
                    has_hash: true,
                    slab_bytes_max: 1 << 20,
                    ..PublishOptions::default()
                };
                self.publishers.push(participant.publish_bytes(&name, &options).unwrap());
            }
            1 => {
                let options = match rng.bool() {
                    true => SubscribeOptions::RELIABLE.with_history(),
                    false => SubscribeOptions::LOSSY,
                };
                self.subscribers.push(participant.subscribe_bytes(&name, options).unwrap());
            }
            2 => match participant.lane_sender(&lane, LaneKind::LATENCY) {
                Ok(sender) => self.senders.push(sender),
                Err(error) => assert_eq!(error.code(), "CL-0448", "{error}"),
            },
            3 => match participant.lane_receiver(&lane, LaneOptions::default()) {
                Ok(receiver) => self.receivers.push(receiver),
                Err(error) => assert_eq!(error.code(), "CL-0448", "{error}"),
            },
            4 => self.drop_one(rng),
            5 => match participant.list() {
                Ok(names) => assert!(names.len() <= 2 * NAMES as usize + 2),
                // The exchange was killed in this moment, and the next is not open yet.
                Err(ParticipantError::Silent { .. } | ParticipantError::Channel(_)) => {}
                Err(error) => panic!("{error}"),
            },
            6 | 7 => self.send(rng),
            _ => self.receive(),
        }
    }

    fn drop_one(&mut self, rng: &mut Rng) {
        match rng.u8(..4) {
            0 => drop(self.publishers.pop()),
            1 => drop(self.subscribers.pop()),
            2 => drop(self.senders.pop()),
            _ => drop(self.receivers.pop()),
        }
    }

    fn send(&mut self, rng: &mut Rng) {
        for publisher in &mut self.publishers {
            for _ in 0..rng.u8(..20) {
                let payload = vec![rng.u8(..); rng.usize(..5_000)];
                match publisher.publish(&payload) {
                    Ok(()) | Err(PublishError::Full { .. } | PublishError::Loan(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        for sender in &mut self.senders {
            for _ in 0..rng.u8(..20) {
                match sender.send(&[rng.u8(..); 100]) {
                    Ok(()) | Err(LaneSendError::Full { .. } | LaneSendError::NotConnected) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Receives what there is: every hash is right, and each publisher's messages come in order.
    fn receive(&mut self) {
        for subscriber in &mut self.subscribers {
            let mut last = std::collections::HashMap::new();
            let _ = subscriber.wait(MOMENT).unwrap();
            for _ in 0..100 {
                match subscriber.try_receive() {
                    Ok(Some(sample)) => {
                        let fill = sample.first().copied().unwrap_or(0);
                        assert!(sample.iter().all(|&byte| byte == fill), "torn");
                        let (origin, seen) = (sample.origin, sample.origin.sequence);
                        if let Some(before) = last.insert(origin.publisher, seen) {
                            assert!(before < seen, "out of order");
                        }
                    }
                    Ok(None) => break,
                    Err(ReceiveError::Lagged { .. } | ReceiveError::TurnedAway { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        for receiver in &mut self.receivers {
            let torn = |record: &[u8]| record.iter().any(|&byte| byte != record[0]);
            match receiver.drain(100, |record| assert!(!torn(record) && record.len() == 100)) {
                Ok(_) | Err(LaneReceiveError::Unusable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
