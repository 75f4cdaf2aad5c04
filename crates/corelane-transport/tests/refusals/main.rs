//! Refusals of participants, topics and lanes that the tests beside the code do not meet, over real
//! sockets and segments. Peers that break the rules are played in `broken`, by a `stranger` that
//! knows what stands in the protocol and nothing of the library's ends.

mod bells;
mod broken;
mod stranger;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use corelane_shm::fdpass::Listener;
use corelane_testkit::process::{Call, forbidding};
use corelane_transport::exchange::message::{Registration, ToExchange, ToParticipant, encode};
use corelane_transport::exchange::{ENDS_MAX, Exchange, Role};
use corelane_transport::topic::{LagPolicy, PublishOptions, ReceiveError, SubscribeOptions};
use corelane_transport::{Participant, ParticipantError};

use stranger::Stranger;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange");
    (folder, path)
}

/// An exchange whose one participant is answered by `answer`, if it is, and then left waiting.
fn false_exchange(path: &Path, answer: Option<ToParticipant>) -> ParticipantError {
    let listener = Listener::bind(path).unwrap();
    thread::scope(|scope| {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let channel = listener.accept(Some(PATIENCE)).unwrap();
            channel.recv(Some(PATIENCE)).unwrap();
            if let Some(answer) = answer {
                channel.send(&encode(&answer), &[], Some(PATIENCE)).unwrap();
            }
            // It stays until the participant has given up.
            let _ = is_done.recv();
        });
        let refused = Participant::join(path).unwrap_err();
        drop(done);
        refused
    })
}

#[test]
fn an_exchange_that_turns_away_or_talks_nonsense_is_told() {
    for answer in
        [ToParticipant::Rejected { reason: "it is full".into() }, ToParticipant::ListEnd {}]
    {
        let (_folder, path) = folder();
        let refused = false_exchange(&path, Some(answer));
        assert_eq!(refused.code(), "CL-0443", "{refused}");
    }
}

#[test]
fn an_exchange_that_knows_no_taps_is_not_asked() {
    let (_folder, path) = folder();
    let listener = Listener::bind(&path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let channel = listener.accept(Some(PATIENCE)).unwrap();
            channel.recv(Some(PATIENCE)).unwrap();
            let welcome = encode(&ToParticipant::Welcome { protocol: 1 });
            channel.send(&welcome, &[], Some(PATIENCE)).unwrap();
            // Nothing more is said: the next is the end of the participant.
            assert!(channel.recv(Some(PATIENCE)).is_err());
        });
        let participant = Participant::join(&path).unwrap();
        let refused = participant.lane_tap("a").unwrap_err();
        assert_eq!(refused.code(), "CL-0468", "{refused}");
    });
}

#[test]
fn an_exchange_that_does_not_answer_is_told() {
    let (_folder, path) = folder();
    assert_eq!(false_exchange(&path, None).code(), "CL-0444");
}

#[test]
fn an_exchange_of_another_user_is_refused() {
    use rustix::{process::geteuid, thread::set_thread_uid};
    if !geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let (folder, path) = folder();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    // The kernel keeps the user of the thread that listens.
    let listener = thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            set_thread_uid(rustix::process::Uid::from_raw(65_534)).expect("because root may");
            Listener::bind(&path).expect("because the path is free")
        });
        stranger.join().expect("because it does not panic")
    });
    let refused = Participant::join(&path).unwrap_err();
    let is_other = matches!(refused, ParticipantError::OtherUser { exchange: 65_534, own: 0 });
    assert!(is_other, "{refused}");
    drop(listener);
}

#[test]
fn without_threads_there_is_neither_exchange_nor_participant() {
    let (_folder, path) = folder();
    let (_other_folder, other) = folder();
    let _exchange = Exchange::open(&path).unwrap();
    let refused = forbidding(Call::Clone, || {
        (Exchange::open(&other).unwrap_err().code(), Participant::join(&path).unwrap_err().code())
    });
    match refused {
        Ok(codes) => assert_eq!(codes, ("CL-0441", "CL-0450")),
        Err(reason) => println!("skipped: no system call can be forbidden: {reason}"),
    }
}

#[test]
fn an_exchange_has_so_many_ends_and_no_more() {
    let (_folder, path) = folder();
    let _exchange = Exchange::open(&path).unwrap();
    let stranger = Stranger::join(&path);
    for end in 1..=ENDS_MAX as u64 {
        let registration = Registration {
            end,
            role: Role::Publisher,
            name: format!("topic {end}"),
            tag: None,
            linked: Vec::new(),
        };
        stranger.tell(&ToExchange::Register(registration));
        let answer = stranger.hear();
        assert!(matches!(answer, ToParticipant::Registered { .. }), "{answer:?}");
    }
    let participant = Participant::join(&path).unwrap();
    let options = PublishOptions::default();
    let refused = participant.publish_bytes("one more", &options).unwrap_err();
    assert_eq!(refused.code(), "CL-0449", "{refused}");
    drop(stranger);
    while participant.publish_bytes("one more", &options).is_err() {
        thread::yield_now();
    }
}

/// Publishes until a reliable subscriber that reads nothing has lost its place; what it is told.
fn lag_behind(lag: LagPolicy) -> (ReceiveError, Result<Option<u64>, ReceiveError>) {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let options = PublishOptions { slots: 8, subscribers_max: 4, lag, ..PublishOptions::default() };
    let mut publisher = participant.publish_bytes("a", &options).unwrap();
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    for index in 0..20_u8 {
        publisher.publish(&[index]).unwrap();
    }
    let told = subscriber.try_receive().unwrap_err();
    let next = subscriber.try_receive().map(|sample| sample.map(|sample| sample.origin.sequence));
    (told, next)
}

#[test]
fn a_subscriber_that_lags_is_demoted_or_evicted_as_the_publisher_chose() {
    let (told, next) = lag_behind(LagPolicy::Demote { lag_max: 4 });
    assert_eq!(told.code(), "CL-0457", "{told}");
    let lagged = next.unwrap_err();
    assert!(matches!(lagged, ReceiveError::Lagged { missed, .. } if missed > 0), "{lagged}");
    let (told, next) = lag_behind(LagPolicy::Evict { lag_max: 4 });
    assert_eq!(told.code(), "CL-0458", "{told}");
    assert_eq!(next.unwrap(), None, "it hears nothing any more");
}
