//! Whether a client may attach: a pure judgement over what it says and who the kernel says it is.
//! Also the words for clients that are turned away later.

use corelane_shm::fdpass::PeerCredentials;
use corelane_transport::{LAYOUT_HASH, LAYOUT_VERSION};

use crate::control::{Hello, PROTOCOL, PROTOCOL_MIN, Refusal};

/// Checks a hello, in the order in which a person would want to know.
pub(crate) fn judge(
    hello: &Hello,
    peer: PeerCredentials,
    own_uid: u32,
    is_expected: bool,
    guests: usize,
) -> Result<(), Refusal> {
    let refuse = |code: &str, reason: String, remedy: &str| {
        Err(Refusal { code: code.to_owned(), reason, remedy: remedy.to_owned() })
    };
    if peer.uid != own_uid {
        let reason = format!("peer runs as uid={}, this node as uid={own_uid}", peer.uid);
        return refuse("other-user", reason, "run both as the same user");
    }
    if !(PROTOCOL_MIN..=PROTOCOL).contains(&hello.protocol) {
        let reason = format!(
            "client speaks protocol={}, this node {PROTOCOL_MIN} to {PROTOCOL}",
            hello.protocol
        );
        return refuse("protocol", reason, "upgrade the older of the two");
    }
    if hello.layout_version != LAYOUT_VERSION {
        let reason = format!(
            "client {} uses memory layout version={}, this node version={LAYOUT_VERSION}",
            hello.product, hello.layout_version
        );
        return refuse("layout-version", reason, "use a client of the node's major version");
    }
    if hello.layout_hash != format!("{LAYOUT_HASH:016x}") {
        let reason = format!(
            "client {} has memory layout hash={}, this node {LAYOUT_HASH:016x}",
            hello.product, hello.layout_hash
        );
        return refuse("layout-hash", reason, "build client and node from one version");
    }
    if !is_expected {
        let pid = peer.pid;
        let reason = format!(
            "pid={pid} is no worker that this node started, and of {guests} places for guests \
             none is free"
        );
        let remedy = "let the node start it, configure more places, or detach another guest";
        return refuse("not-expected", reason, remedy);
    }
    Ok(())
}

/// What a client is told that does not follow the protocol, or whose lanes cannot be used.
pub(crate) fn broken(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        code: "broken".to_owned(),
        reason: error.to_string(),
        remedy: "check that client and node are of one version".to_owned(),
    }
}

/// What a client is told when this node lacks what the client needs.
pub(crate) fn short_of(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        code: "resources".to_owned(),
        reason: error.to_string(),
        remedy: "raise the node's limits (`ulimit -n`, memory), or run fewer workers".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerCredentials = PeerCredentials { pid: 7, uid: 1000, gid: 1000 };

    /// The reason's name and its code.
    fn codes(change: impl FnOnce(&mut Hello), own_uid: u32, is_expected: bool) -> [String; 2] {
        let mut hello = Hello::of_this_build();
        change(&mut hello);
        let refusal = judge(&hello, PEER, own_uid, is_expected, 0).unwrap_err();
        [refusal.code.clone(), refusal.code().to_owned()]
    }

    #[test]
    fn each_rule_has_its_refusal() {
        let mut hello = Hello::of_this_build();
        assert_eq!(judge(&hello, PEER, 1000, true, 0), Ok(()));
        hello.product = "0.0.1".into();
        assert_eq!(judge(&hello, PEER, 1000, true, 0), Ok(()));
        assert_eq!(codes(|_| {}, 0, true), ["other-user", "CL-0821"]);
        assert_eq!(
            codes(|hello| hello.protocol = PROTOCOL + 1, 1000, true),
            ["protocol", "CL-0822"]
        );
        assert_eq!(codes(|hello| hello.protocol = 0, 1000, true), ["protocol", "CL-0822"]);
        assert_eq!(
            codes(|hello| hello.layout_version += 1, 1000, true),
            ["layout-version", "CL-0823"]
        );
        assert_eq!(
            codes(|hello| hello.layout_hash = "0".into(), 1000, true),
            ["layout-hash", "CL-0824"]
        );
        assert_eq!(codes(|_| {}, 1000, false), ["not-expected", "CL-0825"]);
    }

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let mut hello = Hello::of_this_build();
        hello.layout_version = 9;
        let text = judge(&hello, PEER, 1000, true, 0).unwrap_err().to_string();
        for part in ["version=9", "version=1", "use a client of the node's major version"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
