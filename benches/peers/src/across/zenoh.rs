//! zenoh with shared memory: descriptors of it go over a Unix socket, served by threads of its own.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use ::zenoh::{
    Config, Session, Wait,
    handlers::{FifoChannel, FifoChannelHandler},
    pubsub::{Publisher, Subscriber},
    qos::CongestionControl,
    sample::Sample,
    shm::{BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder},
};
use corelane_bench::{
    BulkReceiver, BulkSender, FanoutMessage, Receiver, Sender, SleepingReceiver, SleepingSender,
    process::{Meeting, Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer},
};

use super::bytes::{decode, encode};

const STAYS: &str = "the other end stays until the pass is over";
/// Whoever does not find the other end, or get a message, within this time never will.
const WAIT: Duration = Duration::from_secs(10);
/// Between two looks whether the other end was found.
const LOOK: Duration = Duration::from_millis(1);

/// Two peers that know of each other, without scouting; nothing is dropped.
#[derive(Debug)]
pub(crate) struct Zenoh;

/// Puts messages.
pub(crate) struct Publishing {
    publisher: Publisher<'static>,
    _session: Session,
}

/// Is given messages.
pub(crate) struct Subscribing {
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    _session: Session,
}

/// Puts payloads that were written in shared memory.
pub(crate) struct Lending {
    publishing: Publishing,
    memory: ShmProvider<PosixShmProviderBackend>,
    bytes: usize,
}

/// Its errors are no errors of the standard library for everybody.
fn told(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error> {
    error.to_string().into()
}

fn session(meeting: &Meeting, is_sender: bool) -> Opened<Session> {
    let path = meeting.folder().join(format!("zenoh-{}", meeting.lane()));
    let there = format!("[\"unixsock-stream/{}\"]", path.display());
    let (listen, connect) = match is_sender {
        true => (there.as_str(), "[]"),
        false => ("[]", there.as_str()),
    };
    let mut config = Config::default();
    for (key, value) in [
        ("mode", "\"peer\""),
        ("listen/endpoints", listen),
        ("connect/endpoints", connect),
        ("scouting/multicast/enabled", "false"),
        ("transport/shared_memory/enabled", "true"),
    ] {
        config.insert_json5(key, value).map_err(told)?;
    }
    ::zenoh::open(config).wait().map_err(told)
}

fn publishing(meeting: &Meeting) -> Opened<Publishing> {
    let session = session(meeting, true)?;
    let publisher = session.declare_publisher("bench");
    let publisher = publisher.congestion_control(CongestionControl::Block);
    let publisher = publisher.wait().map_err(told)?;
    meeting.give(b"listening", &[])?;
    let since = Instant::now();
    while !publisher.matching_status().wait().map_err(told)?.matching() {
        if since.elapsed() > WAIT {
            return Err("the publisher does not find the subscriber".into());
        }
        // tidy: sleep because the match is found by threads that wake nobody.
        thread::sleep(LOOK);
    }
    Ok(Publishing { publisher, _session: session })
}

fn subscribing(meeting: &Meeting) -> Opened<Subscribing> {
    meeting.take_from(0)?;
    let session = session(meeting, false)?;
    let subscriber = session.declare_subscriber("bench");
    let subscriber = subscriber.with(FifoChannel::new(meeting.capacity()));
    let subscriber = subscriber.wait().map_err(told)?;
    Ok(Subscribing { subscriber, _session: session })
}

impl Sender<FanoutMessage> for Publishing {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        // It waits for room by itself.
        self.publisher.put(encode(message)).wait().expect(STAYS);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        (0..count).take_while(|_| self.try_send(make()).is_ok()).count()
    }
}

impl Receiver<FanoutMessage> for Subscribing {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let sample = self.subscriber.try_recv().expect(STAYS)?;
        Some(decode(&sample.payload().to_bytes()))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        let next = |_| Receiver::<FanoutMessage>::try_recv(self);
        (0..count).map_while(next).inspect(|message| take(message)).count()
    }
}

impl SleepingSender for Publishing {
    fn send(&mut self, number: u64) {
        self.publisher.put(number.to_ne_bytes()).wait().expect(STAYS);
    }
}

impl SleepingReceiver for Subscribing {
    fn recv(&mut self) -> u64 {
        let sample = self.subscriber.recv_timeout(WAIT).expect(STAYS).expect(STAYS);
        let bytes = sample.payload().to_bytes();
        u64::from_ne_bytes(bytes[..].try_into().expect("a number has eight bytes"))
    }
}

impl BulkSender for Lending {
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        let lent = self.memory.alloc(self.bytes).with_policy::<BlockOn<GarbageCollect>>();
        let mut lent = lent.wait().expect(STAYS);
        fill(&mut lent);
        self.publishing.publisher.put(lent).wait().expect(STAYS);
        true
    }
}

impl BulkReceiver for Subscribing {
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        let Some(sample) = self.subscriber.try_recv().expect(STAYS) else { return false };
        match sample.payload().as_shm() {
            Some(lent) => look(lent),
            None => look(&sample.payload().to_bytes()),
        }
        true
    }
}

impl ProcessPeer for Zenoh {
    const NAME: &'static str = "zenoh, shared memory";
    const HAS_THREADS_BESIDE: bool = true;

    type Sender = Publishing;
    type Receiver = Subscribing;

    fn sender(meeting: &Meeting) -> Opened<Publishing> {
        publishing(meeting)
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Subscribing>> {
        Ok(vec![subscribing(meeting)?])
    }
}

impl ProcessSleepingPeer for Zenoh {
    const NAME: &'static str = "zenoh, shared memory";
    const HAS_THREADS_BESIDE: bool = true;

    type Sender = Publishing;
    type Receiver = Subscribing;

    fn sender(meeting: &Meeting) -> Opened<Publishing> {
        publishing(meeting)
    }

    fn receiver(meeting: &Meeting) -> Opened<Subscribing> {
        subscribing(meeting)
    }
}

impl ProcessBulkPeer for Zenoh {
    const NAME: &'static str = "zenoh, shared memory";
    const HAS_THREADS_BESIDE: bool = true;

    type Sender = Lending;
    type Receiver = Subscribing;

    fn sender(meeting: &Meeting) -> Opened<Lending> {
        let bytes = meeting.payload_bytes();
        // Twice what may be under way: the allocator does not fill its memory to the last byte.
        let room = 2 * meeting.capacity() * bytes;
        let memory = ShmProviderBuilder::default_backend(room).wait();
        let memory = memory.map_err(|error| told(error.to_string().into()))?;
        Ok(Lending { publishing: publishing(meeting)?, memory, bytes })
    }

    fn receiver(meeting: &Meeting) -> Opened<Subscribing> {
        subscribing(meeting)
    }
}
