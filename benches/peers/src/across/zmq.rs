//! ZeroMQ: PUSH and PULL over its `ipc` transport, a Unix socket served by a thread of its own.

use ::zmq::{Context, DONTWAIT, Error, PULL, PUSH, Socket, SocketType};
use corelane_bench::process::{Meeting, Opened, ProcessPeer, ProcessSleepingPeer};

use super::bytes::{Asleep, ByteReceiver, ByteSender, ByteSleeper, Bytes};

const STAYS: &str = "the other end stays until the pass is over";
/// A message that does not come within this time never will.
const WAIT_MS: i32 = 10_000;

/// With as many messages under way as all others have room for.
#[derive(Debug)]
pub(crate) struct ZeroMq;

/// A socket, and the context that its thread belongs to.
pub(crate) struct End {
    socket: Socket,
    bytes: [u8; 64],
    _context: Context,
}

impl ByteSender for End {
    fn try_send(&mut self, bytes: &[u8]) -> bool {
        match self.socket.send(bytes, DONTWAIT) {
            Ok(()) => true,
            Err(Error::EAGAIN | Error::EINTR) => false,
            Err(error) => panic!("{STAYS}: {error}"),
        }
    }
}

impl ByteReceiver for End {
    fn try_recv(&mut self, look: impl FnOnce(&[u8])) -> bool {
        match self.socket.recv_into(&mut self.bytes, DONTWAIT) {
            Ok(length) => {
                look(&self.bytes[..length]);
                true
            }
            Err(Error::EAGAIN | Error::EINTR) => false,
            Err(error) => panic!("{STAYS}: {error}"),
        }
    }
}

impl ByteSleeper for End {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.send(bytes, 0).expect(STAYS);
    }

    fn recv(&mut self, look: impl FnOnce(&[u8])) {
        let length = self.socket.recv_into(&mut self.bytes, 0).expect(STAYS);
        look(&self.bytes[..length]);
    }
}

fn end(meeting: &Meeting, kind: SocketType) -> Opened<(End, String)> {
    let context = Context::new();
    let socket = context.socket(kind)?;
    let capacity = i32::try_from(meeting.capacity())?;
    socket.set_sndhwm(capacity)?;
    socket.set_rcvhwm(capacity)?;
    socket.set_rcvtimeo(WAIT_MS)?;
    socket.set_linger(0)?;
    let path = meeting.folder().join(format!("zmq-{}", meeting.lane()));
    let address = format!("ipc://{}", path.display());
    Ok((End { socket, bytes: [0; 64], _context: context }, address))
}

fn sender(meeting: &Meeting) -> Opened<End> {
    let (end, address) = end(meeting, PUSH)?;
    end.socket.bind(&address)?;
    meeting.give(b"bound", &[])?;
    Ok(end)
}

fn receiver(meeting: &Meeting) -> Opened<End> {
    meeting.take_from(0)?;
    let (end, address) = end(meeting, PULL)?;
    end.socket.connect(&address)?;
    Ok(end)
}

impl ProcessPeer for ZeroMq {
    const NAME: &'static str = "zeromq";
    const HAS_THREADS_BESIDE: bool = true;

    type Sender = Bytes<End>;
    type Receiver = Bytes<End>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Ok(Bytes(sender(meeting)?))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![Bytes(receiver(meeting)?)])
    }
}

impl ProcessSleepingPeer for ZeroMq {
    const NAME: &'static str = "zeromq";
    const HAS_THREADS_BESIDE: bool = true;

    type Sender = Asleep<End>;
    type Receiver = Asleep<End>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Ok(Asleep(sender(meeting)?))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(Asleep(receiver(meeting)?))
    }
}
