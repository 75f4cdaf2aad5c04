//! A client against nodes that are not what it expects, and a node that cannot be.

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    thread,
};

use corelane_agent::supervisor::SupervisorConfig;
use corelane_node::{AttachError, Client, Node, NodeConfig, control::Refusal};
use corelane_shm::fdpass::Listener;
use corelane_transport::LaneShape;
use serde_json::{Value, json};

/// What a client says when the node answers its hello with these bytes, or nothing.
fn attach_to(answer: Option<&[u8]>, fds: &[BorrowedFd<'_>]) -> AttachError {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let path = folder.path().join("node.sock");
    let listener = Listener::bind(&path).expect("the path is free");
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::attach(&path).expect_err("the node is no good"));
        let channel = listener.accept(None).expect("the client connects");
        if let Some(answer) = answer {
            channel.recv(None).expect("the client says hello");
            channel.send(answer, fds, None).expect("the client listens");
        }
        client.join().expect("a client does not panic")
    })
}

fn answered(answer: &Value, fds: &[BorrowedFd<'_>]) -> AttachError {
    attach_to(Some(answer.to_string().as_bytes()), fds)
}

#[test]
fn a_node_that_does_not_follow_the_protocol_is_refused() {
    let garbage = attach_to(Some(b"\xff\xfe"), &[]);
    assert_eq!(garbage.code(), "CL-0814", "{garbage}");
    let early = answered(&json!({"type": "ready"}), &[]);
    assert_eq!(early.code(), "CL-0812", "{early}");
    let welcome = |routers: usize| {
        json!({
            "type": "welcome", "protocol": 1, "product": "x", "client": 0, "generation": 1,
            "epoch": 1, "routers": routers, "lane_slots": 16, "slot_lines": 1,
            "agent_first": 1, "agent_count": 1,
        })
    };
    let bare = answered(&welcome(1), &[]);
    assert_eq!(bare.code(), "CL-0812", "{bare}");
    let file = tempfile::tempfile().expect("the temporary folder is writable");
    for routers in [0, 1000] {
        let refused = answered(&welcome(routers), &[file.as_fd()]);
        assert_eq!(refused.code(), "CL-0813", "{refused}");
    }
    let unsealed = answered(&welcome(1), &[file.as_fd()]);
    assert_eq!(unsealed.code(), "CL-0303", "{unsealed}");
}

#[test]
fn a_refusal_has_the_code_of_its_reason() {
    for (reason, code) in [("resources", "CL-0827"), ("broken", "CL-0826"), ("moon", "CL-0828")] {
        let refusal = json!({"type": "refused", "code": reason, "reason": "r", "remedy": "d"});
        let refused = answered(&refusal, &[]);
        assert_eq!(refused.code(), code, "{refused}");
        assert!(matches!(refused, AttachError::Refused(Refusal { .. })), "{refused:?}");
    }
}

#[test]
fn a_node_of_another_user_is_refused() {
    use rustix::{process::geteuid, thread::set_thread_uid};
    if !geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).expect("it is our own");
    let path = folder.path().join("node.sock");
    // The kernel keeps the user of the thread that listens.
    let listener = thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            set_thread_uid(rustix::process::Uid::from_raw(65_534)).expect("root may");
            Listener::bind(&path).expect("the path is free")
        });
        stranger.join().expect("it does not panic")
    });
    let refused = Client::attach(&path).expect_err("it is a stranger's");
    assert!(matches!(refused, AttachError::OtherUser { node: 65_534, own: 0 }), "{refused}");
    drop(listener);
}

#[test]
fn a_configuration_that_no_node_can_have_is_refused() {
    let config = NodeConfig {
        socket: Path::new("/nowhere/node.sock").to_path_buf(),
        routers: vec![],
        lanes: LaneShape::new(16, 1).expect("the size is valid"),
        workers: vec![],
        guests: vec![],
        supervision: SupervisorConfig::default(),
    };
    let refused = Node::start(config, |_| {}).expect_err("it has no routers");
    assert_eq!(refused.code(), "CL-0801", "{refused}");
}
