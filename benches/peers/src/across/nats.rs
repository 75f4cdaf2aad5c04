//! NATS: a subject of a server of its own, over TCP on this machine.

use std::{fs, path::Path, time::Duration};

use async_nats::{Client, ConnectOptions, Subject, Subscriber};
use corelane_bench::{
    FanoutMessage, Receiver, Sender, SleepingReceiver, SleepingSender,
    process::{Attendant, Meeting, Opened, ProcessPeer, ProcessSleepingPeer},
};
use futures_util::{FutureExt, StreamExt};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    bytes::{decode, encode},
    server,
};

const STAYS: &str = "the server stays until the pass is over";
const SERVER: &str = "nats-server";
/// It drops what a subscriber has no room for, so there is much room.
const UNREAD_MAX: usize = 1 << 20;
/// A message that does not come within this time never will.
const WAIT: Duration = Duration::from_secs(10);

/// Through its own client, whose task writes as soon as it can.
#[derive(Debug)]
pub(crate) struct Nats;

/// Either end: a client and the runtime of its task.
pub(crate) struct Publishing {
    runtime: Runtime,
    client: Client,
    subject: Subject,
}

/// A subscriber, and the client that it belongs to.
pub(crate) struct Subscribing {
    subscriber: Subscriber,
    end: Publishing,
}

impl Publishing {
    fn publish(&mut self, bytes: &[u8]) {
        let (subject, payload) = (self.subject.clone(), bytes.to_vec().into());
        self.runtime.block_on(self.client.publish(subject, payload)).expect(STAYS);
    }
}

impl Sender<FanoutMessage> for Publishing {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        self.publish(&encode(message));
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        (0..count).for_each(|_| self.publish(&encode(make())));
        count
    }
}

impl Receiver<FanoutMessage> for Subscribing {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let message = self.subscriber.next().now_or_never()?;
        Some(decode(&message.expect(STAYS).payload))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl SleepingSender for Publishing {
    fn send(&mut self, number: u64) {
        self.publish(&number.to_ne_bytes());
    }
}

impl SleepingReceiver for Subscribing {
    fn recv(&mut self) -> u64 {
        let next = async { timeout(WAIT, self.subscriber.next()).await };
        let message = self.end.runtime.block_on(next).expect(STAYS).expect(STAYS);
        u64::from_ne_bytes(message.payload[..].try_into().expect("a number has eight bytes"))
    }
}

/// Where the server listens: it writes a file once it does.
fn address(folder: &Path) -> Option<String> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let is_ports = |path: &Path| path.extension().is_some_and(|extension| extension == "ports");
    let file = files.map(|file| file.path()).find(|path| is_ports(path))?;
    let text = fs::read_to_string(file).ok()?;
    let (_, rest) = text.split_once("nats://")?;
    let (address, _) = rest.split_once('"')?;
    Some(address.to_owned())
}

fn attend(meeting: &Meeting) -> Opened<Attendant> {
    let folder = meeting.folder();
    let text = folder.to_str().ok_or("the folder's name is no text")?;
    let arguments = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", text];
    server::start(SERVER, &arguments, || address(folder).is_some())
}

fn publishing(meeting: &Meeting) -> Opened<Publishing> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let address = address(meeting.folder()).ok_or("the server does not say where it listens")?;
    let options = ConnectOptions::new().subscription_capacity(UNREAD_MAX);
    let client = runtime.block_on(options.connect(address))?;
    Ok(Publishing { runtime, client, subject: Subject::from(meeting.name()) })
}

/// A subscriber that the server knows: it was sent something.
fn subscribing(meeting: &Meeting) -> Opened<Subscribing> {
    let mut end = publishing(meeting)?;
    let subscribe = end.client.subscribe(end.subject.clone());
    let mut subscriber = end.runtime.block_on(subscribe)?;
    end.publish(&[]);
    let first = async { timeout(WAIT, subscriber.next()).await };
    end.runtime.block_on(first)?.ok_or("the server closed the subscription")?;
    Ok(Subscribing { subscriber, end })
}

impl ProcessPeer for Nats {
    const NAME: &'static str = "nats";
    const HAS_THREADS_BESIDE: bool = true;
    const IS_ATTENDED: bool = true;

    type Sender = Publishing;
    type Receiver = Subscribing;

    fn probe() -> Result<(), String> {
        server::probe(SERVER)
    }

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        attend(meeting)
    }

    fn sender(meeting: &Meeting) -> Opened<Publishing> {
        publishing(meeting)
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Subscribing>> {
        Ok(vec![subscribing(meeting)?])
    }
}

impl ProcessSleepingPeer for Nats {
    const NAME: &'static str = "nats";
    const HAS_THREADS_BESIDE: bool = true;
    const IS_ATTENDED: bool = true;

    type Sender = Publishing;
    type Receiver = Subscribing;

    fn probe() -> Result<(), String> {
        server::probe(SERVER)
    }

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        attend(meeting)
    }

    fn sender(meeting: &Meeting) -> Opened<Publishing> {
        publishing(meeting)
    }

    fn receiver(meeting: &Meeting) -> Opened<Subscribing> {
        subscribing(meeting)
    }
}
