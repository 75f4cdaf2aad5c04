//! Aeron: a log in shared memory, with a media driver in a process of its own.

use std::{
    thread,
    time::{Duration, Instant},
};

use corelane_bench::{
    FanoutMessage, Receiver, Sender,
    process::{Attendant, Meeting, Opened, ProcessPeer},
};
use rusteron_client::{
    Aeron as Client, AeronExclusivePublication, AeronOfferError, AeronSubscription, Handlers,
    IntoCString,
};
use rusteron_media_driver::{AeronDriver, AeronDriverContext};

use super::bytes::{decode, encode};
use crate::held_back::HeldBack;

/// Over its IPC channel, through an exclusive publication, which it recommends for one sender.
#[derive(Debug)]
pub(crate) struct Aeron;

const STAYS: &str = "the driver stays until the pass is over";
/// Short terms, so that a log stays in the caches as the others' queues do.
const CHANNEL: &str = "aeron:ipc?term-length=256k";
const STREAM: i32 = 1001;
const OPENING: Duration = Duration::from_secs(10);
/// Fragments that are taken at one poll.
const FRAGMENTS: usize = 64;

/// Offers messages.
pub(crate) struct Offering {
    publication: AeronExclusivePublication,
    _client: Client,
}

/// Polls for messages.
pub(crate) struct Polling {
    subscription: AeronSubscription,
    held: HeldBack<FanoutMessage>,
    _client: Client,
}

impl Sender<FanoutMessage> for Offering {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        match self.publication.offer(&encode(message)) {
            Ok(_) => Ok(()),
            Err(AeronOfferError::BackPressured | AeronOfferError::AdminAction) => Err(message),
            Err(error) => panic!("{STAYS}: {error:?}"),
        }
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        for _ in 0..count {
            let mut message = make();
            // A message that was made must go.
            while let Err(refused) = self.try_send(message) {
                message = refused;
                thread::yield_now();
            }
        }
        count
    }
}

impl Polling {
    fn poll(&mut self) {
        let messages = &mut self.held.messages;
        let polled = self.subscription.poll_fn(|bytes, _| messages.push(decode(bytes)), FRAGMENTS);
        polled.expect(STAYS);
    }
}

impl Receiver<FanoutMessage> for Polling {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        self.held.next().or_else(|| {
            self.poll();
            self.held.next()
        })
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        if self.held.messages.is_empty() {
            self.poll();
        }
        self.held.hand_out(count, take)
    }
}

fn driver_folder(meeting: &Meeting) -> String {
    meeting.folder().join("aeron").display().to_string()
}

impl ProcessPeer for Aeron {
    const NAME: &'static str = "aeron";
    const FANS_OUT: bool = true;
    const HAS_THREADS_BESIDE: bool = true;
    const IS_ATTENDED: bool = true;

    type Sender = Offering;
    type Receiver = Polling;

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        let context = AeronDriverContext::new()?;
        context.set_dir(&driver_folder(meeting).into_c_string())?;
        context.set_dir_delete_on_start(true)?;
        context.set_dir_delete_on_shutdown(true)?;
        Ok(Attendant::Inside(Box::new(AeronDriver::launch_embedded_guard(context, false))))
    }

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let client = Client::connect_dir(&driver_folder(meeting))?;
        let (channel, stream) = (CHANNEL.into_c_string(), STREAM + meeting.lane() as i32);
        let publication = client.async_add_exclusive_publication(&channel, stream)?;
        let publication = publication.poll_blocking(OPENING)?;
        meeting.give(b"there", &[])?;
        // What is offered before a subscriber is there is not for it.
        (0..meeting.others().len()).try_for_each(|other| meeting.take_from(other).map(drop))?;
        Ok(Offering { publication, _client: client })
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        meeting.take_from(0)?;
        let client = Client::connect_dir(&driver_folder(meeting))?;
        let (channel, stream) = (CHANNEL.into_c_string(), STREAM + meeting.lane() as i32);
        let mut receivers = Vec::new();
        for _ in 0..meeting.receivers() {
            let subscription =
                client.async_add_subscription(&channel, stream, Handlers::NONE, Handlers::NONE)?;
            let subscription = subscription.poll_blocking(OPENING)?;
            let since = Instant::now();
            while subscription.image_count()? == 0 {
                if since.elapsed() > OPENING {
                    return Err("the subscription does not see the publication".into());
                }
                thread::yield_now();
            }
            let held = HeldBack::with_capacity(FRAGMENTS);
            receivers.push(Polling { subscription, held, _client: client.clone() });
        }
        meeting.give(b"here", &[])?;
        Ok(receivers)
    }
}
