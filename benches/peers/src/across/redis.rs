//! Redis Streams: every message an entry of a stream in a server of its own, over a Unix socket.

use std::{collections::VecDeque, os::unix::net::UnixStream};

use ::redis::{Client, Connection, Value, cmd, pipe, streams::StreamReadReply};
use corelane_bench::{
    FanoutMessage, Receiver, Sender, SleepingReceiver, SleepingSender,
    process::{Attendant, Meeting, Opened, ProcessPeer, ProcessSleepingPeer},
};

use super::{
    bytes::{decode, encode},
    server,
};

const STAYS: &str = "the server stays until the pass is over";
const SERVER: &str = "redis-server";
const FIELD: &str = "m";
/// Entries that are asked for at once.
const READ_MAX: usize = 64;
/// An entry that does not come within this time never will.
const WAIT_MS: usize = 10_000;

/// With a pipeline for batches. Nothing limits a stream.
#[derive(Debug)]
pub(crate) struct Redis;

/// Adds to a stream.
pub(crate) struct Adder {
    connection: Connection,
    stream: String,
}

/// Reads a stream from the entry on that it had last.
pub(crate) struct Reader {
    connection: Connection,
    stream: String,
    last: String,
    /// What was read and not given out.
    read: VecDeque<Vec<u8>>,
}

impl Adder {
    fn add(&mut self, bytes: &[u8]) {
        let mut add = cmd("XADD");
        add.arg(&self.stream).arg("*").arg(FIELD).arg(bytes);
        add.exec(&mut self.connection).expect(STAYS);
    }
}

impl Reader {
    /// Asks for what comes next, if nothing is left, and waits for it so long.
    fn read(&mut self, wait_ms: Option<usize>) -> Option<Vec<u8>> {
        if self.read.is_empty() {
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(READ_MAX);
            if let Some(wait_ms) = wait_ms {
                read.arg("BLOCK").arg(wait_ms);
            }
            read.arg("STREAMS").arg(&self.stream).arg(&self.last);
            let reply: Option<StreamReadReply> = read.query(&mut self.connection).expect(STAYS);
            for entry in reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
                if let Some(Value::BulkString(bytes)) = entry.map.get(FIELD) {
                    self.read.push_back(bytes.clone());
                }
                self.last = entry.id;
            }
        }
        self.read.pop_front()
    }
}

impl Sender<FanoutMessage> for Adder {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        self.add(&encode(message));
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        let mut batch = pipe();
        for _ in 0..count {
            let add = batch.cmd("XADD").arg(&self.stream).arg("*");
            add.arg(FIELD).arg(&encode(make())[..]).ignore();
        }
        batch.exec(&mut self.connection).expect(STAYS);
        count
    }
}

impl Receiver<FanoutMessage> for Reader {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        self.read(None).map(|bytes| decode(&bytes))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl SleepingSender for Adder {
    fn send(&mut self, number: u64) {
        self.add(&number.to_ne_bytes());
    }
}

impl SleepingReceiver for Reader {
    fn recv(&mut self) -> u64 {
        let bytes = self.read(Some(WAIT_MS)).expect(STAYS);
        u64::from_ne_bytes(bytes.as_slice().try_into().expect("a number has eight bytes"))
    }
}

fn attend(meeting: &Meeting) -> Opened<Attendant> {
    let path = server::socket(meeting);
    let text = path.to_str().ok_or("the folder's name is no text")?;
    let folder = meeting.folder().to_str().ok_or("the folder's name is no text")?;
    let arguments =
        ["--port", "0", "--unixsocket", text, "--dir", folder, "--save", "", "--appendonly", "no"];
    server::start(SERVER, &arguments, || UnixStream::connect(&path).is_ok())
}

fn connect(meeting: &Meeting) -> Opened<(Connection, String)> {
    let address = format!("redis+unix://{}", server::socket(meeting).display());
    Ok((Client::open(address)?.get_connection()?, meeting.name()))
}

fn adder(meeting: &Meeting) -> Opened<Adder> {
    let (connection, stream) = connect(meeting)?;
    Ok(Adder { connection, stream })
}

fn reader(meeting: &Meeting) -> Opened<Reader> {
    let (connection, stream) = connect(meeting)?;
    Ok(Reader { connection, stream, last: "0".to_owned(), read: VecDeque::new() })
}

impl ProcessPeer for Redis {
    const NAME: &'static str = "redis streams";
    const HAS_BATCHES: bool = true;
    const HAS_THREADS_BESIDE: bool = true;
    const IS_ATTENDED: bool = true;

    type Sender = Adder;
    type Receiver = Reader;

    fn probe() -> Result<(), String> {
        server::probe(SERVER)
    }

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        attend(meeting)
    }

    fn sender(meeting: &Meeting) -> Opened<Adder> {
        adder(meeting)
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Reader>> {
        Ok(vec![reader(meeting)?])
    }
}

impl ProcessSleepingPeer for Redis {
    const NAME: &'static str = "redis streams";
    const HAS_THREADS_BESIDE: bool = true;
    const IS_ATTENDED: bool = true;

    type Sender = Adder;
    type Receiver = Reader;

    fn probe() -> Result<(), String> {
        server::probe(SERVER)
    }

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        attend(meeting)
    }

    fn sender(meeting: &Meeting) -> Opened<Adder> {
        adder(meeting)
    }

    fn receiver(meeting: &Meeting) -> Opened<Reader> {
        reader(meeting)
    }
}
