//! ipc-channel: a Unix socket for every channel, with shared memory for what is large.

use ::ipc_channel::{
    TryRecvError,
    ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel},
};
use corelane_bench::process::{Meeting, Opened, ProcessPeer, ProcessSleepingPeer};

use super::bytes::{Asleep, ByteReceiver, ByteSender, ByteSleeper, Bytes};

const STAYS: &str = "the other end stays until the pass is over";

/// Its channel of bytes, which it recommends for speed.
#[derive(Debug)]
pub(crate) struct IpcChannel;

/// Either end: one process sends, the other one receives.
pub(crate) enum End {
    Sends(IpcBytesSender),
    Receives(IpcBytesReceiver),
}

impl End {
    fn receiver(&self) -> &IpcBytesReceiver {
        match self {
            Self::Receives(receiver) => receiver,
            Self::Sends(_) => unreachable!("a sender is not asked to receive"),
        }
    }

    fn sender(&self) -> &IpcBytesSender {
        match self {
            Self::Sends(sender) => sender,
            Self::Receives(_) => unreachable!("a receiver is not asked to send"),
        }
    }
}

impl ByteSender for End {
    fn try_send(&mut self, bytes: &[u8]) -> bool {
        // It waits for room by itself.
        self.sender().send(bytes).expect(STAYS);
        true
    }
}

impl ByteReceiver for End {
    fn try_recv(&mut self, look: impl FnOnce(&[u8])) -> bool {
        match self.receiver().try_recv() {
            Ok(bytes) => {
                look(&bytes);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(error) => panic!("{STAYS}: {error}"),
        }
    }
}

impl ByteSleeper for End {
    fn send(&mut self, bytes: &[u8]) {
        self.sender().send(bytes).expect(STAYS);
    }

    fn recv(&mut self, look: impl FnOnce(&[u8])) {
        look(&self.receiver().recv().expect(STAYS));
    }
}

/// The receiving process listens once, and is sent its end there.
fn sender(meeting: &Meeting) -> Opened<End> {
    let name = String::from_utf8(meeting.take_from(0)?.bytes)?;
    let (sender, receiver) = bytes_channel()?;
    IpcSender::connect(name)?.send(receiver)?;
    Ok(End::Sends(sender))
}

fn receiver(meeting: &Meeting) -> Opened<End> {
    let (server, name) = IpcOneShotServer::<IpcBytesReceiver>::new()?;
    meeting.give(name.as_bytes(), &[])?;
    Ok(End::Receives(server.accept()?.1))
}

impl ProcessPeer for IpcChannel {
    const NAME: &'static str = "ipc-channel";

    type Sender = Bytes<End>;
    type Receiver = Bytes<End>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Ok(Bytes(sender(meeting)?))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![Bytes(receiver(meeting)?)])
    }
}

impl ProcessSleepingPeer for IpcChannel {
    const NAME: &'static str = "ipc-channel";

    type Sender = Asleep<End>;
    type Receiver = Asleep<End>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Ok(Asleep(sender(meeting)?))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(Asleep(receiver(meeting)?))
    }
}
