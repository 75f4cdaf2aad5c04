//! iceoryx2: chunks of a publisher's segment, whose offsets go through a queue per subscriber.

use std::{error::Error, fmt::Debug, time::Duration};

use ::iceoryx2::{
    port::{listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber},
    prelude::*,
    service::port_factory::publish_subscribe,
};
use corelane_bench::{
    BulkReceiver, BulkSender, FanoutMessage, Payload, Receiver, Sender, SleepingReceiver,
    SleepingSender,
    process::{Meeting, Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer},
};

/// With its settings for a queue that loses nothing, and as much room as all others have.
#[derive(Debug)]
pub(crate) struct Iceoryx2;

type Words = [u64; 8];
type Factory<P> = publish_subscribe::PortFactory<ipc::Service, P, ()>;

const STAYS: &str = "the other end stays until the pass is over";
/// A wake-up that does not come within this time never will.
const WAIT: Duration = Duration::from_secs(10);

/// A node with the settings that it has by default. Services have a name for each pass; what a
/// killed node leaves in shared memory is removed by the next one.
fn node() -> Opened<Node<ipc::Service>> {
    // Its warnings would go among the tables.
    set_log_level(LogLevel::Error);
    let config = Config::default();
    NodeBuilder::new().config(&config).create::<ipc::Service>().map_err(told)
}

/// Its errors do not all have a text of their own.
fn told(error: impl Debug) -> Box<dyn Error> {
    format!("{error:?}").into()
}

fn name(what: &str) -> Opened<ServiceName> {
    what.try_into().map_err(told)
}

macro_rules! service {
    ($node:expr, $payload:ty, $meeting:expr) => {
        $node
            .service_builder(&name(&$meeting.name())?)
            .publish_subscribe::<$payload>()
            .enable_safe_overflow(false)
            .history_size(0)
            .max_publishers(1)
            .max_nodes(32)
            .max_subscribers($meeting.receivers_in_all())
            .subscriber_max_buffer_size($meeting.capacity())
            .open_or_create()
            .map_err(told)
    };
}

/// A publisher drops what finds a full queue whose subscriber has not connected yet, and that
/// connects when it is made or receives. So the publisher is there first, and says so.
fn meet_subscribers(meeting: &Meeting) -> Opened<()> {
    meeting.give(b"there", &[])?;
    (0..meeting.others().len()).try_for_each(|other| meeting.take_from(other).map(drop))?;
    Ok(())
}

/// Makes subscribers once the publisher is there.
fn meet_publisher<T>(meeting: &Meeting, make: impl FnOnce() -> Opened<T>) -> Opened<T> {
    meeting.take_from(0)?;
    let made = make()?;
    meeting.give(b"here", &[])?;
    Ok(made)
}

/// A publisher and what it lives in.
#[derive(Debug)]
pub(crate) struct Publishing<P: Debug + ?Sized + IceoryxSend + 'static> {
    publisher: Publisher<ipc::Service, P, ()>,
    _factory: Factory<P>,
    _node: Node<ipc::Service>,
}

/// A subscriber and what it lives in.
#[derive(Debug)]
pub(crate) struct Subscribing<P: Debug + ?Sized + IceoryxSend + 'static> {
    subscriber: Subscriber<ipc::Service, P, ()>,
}

impl Sender<FanoutMessage> for Publishing<Words> {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let sample = self.publisher.loan_uninit().expect(STAYS);
        // It waits for room by itself.
        sample.write_payload(message.into_words()).send().expect(STAYS);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        (0..count).take_while(|_| self.try_send(make()).is_ok()).count()
    }
}

impl Receiver<FanoutMessage> for Subscribing<Words> {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let sample = self.subscriber.receive().expect(STAYS)?;
        Some(FanoutMessage::from_words(*sample.payload()))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl ProcessPeer for Iceoryx2 {
    const NAME: &'static str = "iceoryx2";
    const FANS_OUT: bool = true;

    type Sender = Publishing<Words>;
    type Receiver = Subscribing<Words>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let node = node()?;
        let factory = service!(node, Words, meeting)?;
        let publisher = factory.publisher_builder();
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let publisher = publisher.create().map_err(told)?;
        meet_subscribers(meeting)?;
        Ok(Publishing { publisher, _factory: factory, _node: node })
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        let node = node()?;
        let factory = service!(node, Words, meeting)?;
        let subscribe = |_| {
            let subscriber = factory.subscriber_builder().buffer_size(meeting.capacity());
            Ok(Subscribing { subscriber: subscriber.create().map_err(told)? })
        };
        meet_publisher(meeting, || (0..meeting.receivers()).map(subscribe).collect())
    }
}

impl BulkSender for Publishing<[u8]> {
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        let length = self.publisher.initial_max_slice_len();
        let sample = self.publisher.loan_slice_uninit(length).expect(STAYS);
        // SAFETY: every byte of the segment is one: the kernel zeroed it, and only bytes are
        // written. Its safe calls would write all of a payload of which a header is touched.
        let mut sample = unsafe { sample.assume_init() };
        fill(sample.payload_mut());
        sample.send().expect(STAYS);
        true
    }
}

impl BulkReceiver for Subscribing<[u8]> {
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        let Some(sample) = self.subscriber.receive().expect(STAYS) else { return false };
        look(sample.payload());
        true
    }
}

impl ProcessBulkPeer for Iceoryx2 {
    const NAME: &'static str = "iceoryx2";

    type Sender = Publishing<[u8]>;
    type Receiver = Subscribing<[u8]>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let node = node()?;
        let factory = service!(node, [u8], meeting)?;
        let publisher = factory.publisher_builder();
        let publisher = publisher
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .initial_max_slice_len(meeting.payload_bytes())
            .create()
            .map_err(told)?;
        meet_subscribers(meeting)?;
        Ok(Publishing { publisher, _factory: factory, _node: node })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let node = node()?;
        let factory = service!(node, [u8], meeting)?;
        let subscriber = factory.subscriber_builder().buffer_size(meeting.capacity());
        meet_publisher(meeting, || {
            Ok(Subscribing { subscriber: subscriber.create().map_err(told)? })
        })
    }
}

/// A publisher that notifies, as its event examples do.
#[derive(Debug)]
pub(crate) struct Notifying {
    publishing: Publishing<u64>,
    notifier: Notifier<ipc::Service>,
}

/// A subscriber that listens for notifications.
#[derive(Debug)]
pub(crate) struct Listening {
    subscriber: Subscriber<ipc::Service, u64, ()>,
    listener: Listener<ipc::Service>,
}

impl SleepingSender for Notifying {
    fn send(&mut self, number: u64) {
        self.publishing.publisher.send_copy(number).expect(STAYS);
        self.notifier.notify().expect(STAYS);
    }
}

impl SleepingReceiver for Listening {
    fn recv(&mut self) -> u64 {
        loop {
            if let Some(sample) = self.subscriber.receive().expect(STAYS) {
                return *sample.payload();
            }
            let heard = self.listener.timed_wait(|_| (), WAIT).expect(STAYS);
            assert_ne!(heard, 0, "{STAYS}");
        }
    }
}

impl ProcessSleepingPeer for Iceoryx2 {
    const NAME: &'static str = "iceoryx2, event";

    type Sender = Notifying;
    type Receiver = Listening;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let node = node()?;
        let factory = service!(node, u64, meeting)?;
        let publisher = factory.publisher_builder().create().map_err(told)?;
        let event =
            node.service_builder(&name(&meeting.name())?).event().open_or_create().map_err(told)?;
        let notifier = event.notifier_builder().create().map_err(told)?;
        meet_subscribers(meeting)?;
        let publishing = Publishing { publisher, _factory: factory, _node: node };
        Ok(Notifying { publishing, notifier })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let node = node()?;
        let factory = service!(node, u64, meeting)?;
        let event =
            node.service_builder(&name(&meeting.name())?).event().open_or_create().map_err(told)?;
        meet_publisher(meeting, || {
            let subscriber = factory.subscriber_builder().create().map_err(told)?;
            let listener = event.listener_builder().create().map_err(told)?;
            Ok(Listening { subscriber, listener })
        })
    }
}
