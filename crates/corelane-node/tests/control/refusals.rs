//! Who is turned away, in which words, and that the node goes on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corelane_agent::{Command, supervisor::ExitReason};
use corelane_node::NodeEvent;
use corelane_router::ClientId;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_get_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::{Value, json};

use crate::connection::{Connection, hello, segment, words_for};
use crate::hosted::{GOOD_WORKER, Hosted, serve, socket_of_node};

/// A hello with one field changed.
fn hello_with(field: &str, value: Value) -> Value {
    let mut hello = hello();
    hello[field] = value;
    hello
}

#[test]
fn strangers_are_refused_in_readable_words_and_the_node_goes_on() {
    let hosted = Hosted::with_worker(GOOD_WORKER);
    hosted.assert_up(1);
    let cases = [
        (hello_with("layout_version", json!(99)), "layout-version: ", "memory layout version=99"),
        (hello_with("layout_hash", json!("00ff")), "layout-hash: ", "memory layout hash=00ff"),
        (hello_with("protocol", json!(99)), "protocol: ", "upgrade the older of the two"),
        (hello_with("protocol", json!(0)), "protocol: ", "client speaks protocol=0"),
        (hello(), "not-expected: ", "no worker that this node started"),
        (hello_with("protocol", json!("one")), "broken: ", "invalid type"),
        (hello_with("type", json!("lanes")), "broken: ", "Lanes is out of turn"),
        (json!({"type": "report", "name": "x"}), "broken: ", "is out of turn"),
        (json!({"type": "hello"}), "broken: ", "missing field"),
        (json!([]), "broken: ", "is no message"),
        (json!(7), "broken: ", "is no message"),
    ];
    for (message, code, words) in cases {
        let connection = Connection::open(&hosted.socket());
        connection.send(&message);
        let told = connection.refusal();
        assert!(told.starts_with(code) && told.contains(words), "{message}: {told}");
        let heard = hosted.refused();
        assert!(heard.contains(words), "{message}: the node's owner hears {heard}");
    }
    assert_serves(hosted);
}

#[test]
fn packets_that_are_no_messages_are_cut_off_and_the_node_goes_on() {
    let hosted = Hosted::with_worker(GOOD_WORKER);
    hosted.assert_up(1);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for length in [1, 2, 63, 4096, 65_536] {
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        };
        let garbage: Vec<u8> = (0..length).map(|_| next()).collect();
        let connection = Connection::open(&hosted.socket());
        connection.0.send(&garbage, &[], None).expect("the node reads");
        assert!(connection.refusal().contains("is no message"), "{length} bytes");
        assert!(hosted.refused().contains("is no message"), "{length} bytes");
    }

    // More than a packet may have: past the limits of the crate's own channel.
    let connection = Connection::open(&hosted.socket());
    rustix::net::send(&connection.0, &vec![b' '; 65_537], SendFlags::empty()).expect("it is sent");
    assert!(connection.refusal().contains("bytes_limit=65536"));
    assert!(hosted.refused().contains("bytes_limit=65536"));

    let connection = Connection::open(&hosted.socket());
    let file = tempfile::tempfile().expect("the temporary folder is writable");
    let fds = [file.as_fd(); 32];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    let bytes = [std::io::IoSlice::new(b"{}")];
    rustix::net::sendmsg(&connection.0, &bytes, &mut ancillary, SendFlags::empty()).expect("sent");
    assert!(connection.refusal().contains("fds_limit=16"));
    assert!(hosted.refused().contains("fds_limit=16"));
    assert_serves(hosted);
}

#[test]
fn messages_and_fields_of_later_versions_are_skipped() {
    let hosted = Hosted::with_worker(GOOD_WORKER);
    hosted.assert_up(1);
    let connection = Connection::open(&hosted.socket());
    connection.send(&json!({"type": "from-the-future", "x": 1}));
    connection.send(&hello_with("colour", json!("blue")));
    assert!(connection.refusal().starts_with("not-expected"));
    assert!(hosted.refused().contains("not-expected"));
    assert_serves(hosted);
}

/// The worker that is attached answers, its next generation attaches, and all ends in order.
fn assert_serves(hosted: Hosted) {
    for generation in [2, 3] {
        let command = Command { name: "echo".to_owned(), body: json!({"n": generation}) };
        hosted.node.command(None, command.clone());
        let report = NodeEvent::Report { client: ClientId(0), report: command };
        assert_eq!(hosted.event(), report);
        hosted.node.kill(ClientId(0));
        assert_killed(&hosted);
        hosted.assert_up(generation);
    }
    let rest = hosted.stop();
    let is_normal = matches!(rest[..], [NodeEvent::Down { reason: ExitReason::Normal, .. }]);
    assert!(is_normal, "{rest:?}");
}

/// Role: an expected worker that gets everything wrong first, each time on a new connection.
#[test]
fn clumsy_worker() {
    let Some(socket) = socket_of_node() else { return };
    let file = tempfile::tempfile().expect("the temporary folder is writable");
    let unsealed = |words: usize| {
        let fd = memfd_create("unsealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let fd = fd.expect("there is memory");
        ftruncate(&fd, words as u64 * 8 + 4096).expect("there is memory");
        fd
    };
    let clone = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().expect("there are descriptors");
    type Lanes<'a> = dyn Fn(usize) -> Vec<OwnedFd> + 'a;
    let cases: [(&str, &Lanes<'_>, &str); 7] = [
        ("no descriptor", &|_| vec![], "exactly one descriptor"),
        (
            "two descriptors",
            &|words| vec![clone(segment(1, words).fd()), clone(segment(1, words).fd())],
            "exactly one descriptor",
        ),
        ("a file", &|_| vec![clone(file.as_fd())], "memfd"),
        ("an unsealed memfd", &|words| vec![unsealed(words)], "FUTURE_WRITE"),
        ("too small", &|words| vec![clone(segment(1, words - 8).fd())], "words"),
        ("too large", &|words| vec![clone(segment(1, words + 512).fd())], "words"),
        ("a node's segment", &|words| vec![clone(segment(2, words).fd())], "kind"),
    ];
    for (what, lanes, words) in cases {
        let connection = Connection::open(&socket);
        let (welcome, _node) = connection.be_welcomed();
        let fds = lanes(words_for(&welcome));
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        connection.send_with(&json!({"type": "lanes"}), &fds);
        let told = connection.refusal();
        assert!(told.starts_with("broken: ") && told.contains(words), "{what}: {told}");
    }
    let connection = Connection::open(&socket);
    connection.be_welcomed();
    connection.send(&hello());
    assert!(connection.refusal().contains("out of turn"));

    assert_cannot_write(&Connection::open(&socket).be_welcomed().1);
    serve(&socket);
}

/// The node's segment is sealed: whoever gets it reads.
fn assert_cannot_write(node: &OwnedFd) {
    let seals = fcntl_get_seals(node).expect("it is a memfd");
    let expected = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    assert!(seals.contains(expected), "{seals:?}");
    assert_eq!(rustix::io::pwrite(node, b"x", 0), Err(Errno::PERM));
    assert_eq!(ftruncate(node, 0), Err(Errno::PERM));
}

#[test]
fn a_worker_may_try_again_and_its_lanes_are_checked() {
    let hosted = Hosted::with_worker("refusals::clumsy_worker");
    let refusals: Vec<String> = (0..8).map(|_| hosted.refused()).collect();
    assert!(refusals.iter().all(|reason| reason.contains("broken")), "{refusals:?}");
    hosted.assert_up(1);
    let rest = hosted.stop();
    let is_normal = matches!(rest[..], [NodeEvent::Down { reason: ExitReason::Normal, .. }]);
    assert!(is_normal, "{rest:?}");
}

/// Role: attaches, then sends what is no message.
#[test]
fn raving_worker() {
    let Some(socket) = socket_of_node() else { return };
    let connection = attach(&socket);
    connection.0.send(b"\xff\xfe", &[], None).expect("the node reads");
    // A later generation is told to stop instead, when the test ends first.
    let (message, _) = connection.receive();
    assert!(["refused", "stop"].map(Value::from).contains(&message["type"]), "{message}");
    wait_for_the_end();
}

#[test]
fn an_attached_worker_that_raves_is_replaced() {
    let hosted = Hosted::with_worker("refusals::raving_worker");
    hosted.assert_up(1);
    assert!(hosted.refused().contains("is no message"));
    assert_killed(&hosted);
    hosted.assert_up(2);
    hosted.stop();
}

/// Role: attaches, hangs up and stays.
#[test]
fn silent_worker() {
    let Some(socket) = socket_of_node() else { return };
    drop(attach(&socket));
    wait_for_the_end();
}

#[test]
fn a_worker_that_hangs_up_and_stays_is_replaced() {
    let hosted = Hosted::with_worker("refusals::silent_worker");
    hosted.assert_up(1);
    assert_killed(&hosted);
    hosted.assert_up(2);
    hosted.stop();
}

/// Role: attaches, hangs up and fails: what it exits with is what is reported.
#[test]
fn failing_worker() {
    let Some(socket) = socket_of_node() else { return };
    drop(attach(&socket));
    std::process::exit(7);
}

#[test]
fn how_a_worker_ended_is_reported_as_it_was() {
    let hosted = Hosted::with_worker("refusals::failing_worker");
    hosted.assert_up(1);
    let down = hosted.event();
    let failed = ExitReason::Failed { code: 7 };
    assert!(matches!(down, NodeEvent::Down { reason, .. } if reason == failed), "{down:?}");
    hosted.stop();
}

#[track_caller]
fn assert_killed(hosted: &Hosted) {
    let down = hosted.event();
    let killed = ExitReason::Signal { signal: 9 };
    assert!(matches!(down, NodeEvent::Down { reason, .. } if reason == killed), "{down:?}");
}

fn attach(socket: &Path) -> Connection {
    let connection = Connection::open(socket);
    let (welcome, _node) = connection.be_welcomed();
    let own = segment(1, words_for(&welcome));
    connection.send_with(&json!({"type": "lanes"}), &[own.fd()]);
    assert_eq!(connection.receive().0, json!({"type": "ready"}));
    connection
}

/// The node ends this process; nothing else does.
fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}
