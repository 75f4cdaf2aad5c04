//! What an exchange decides: who is linked to whom. Pure: it opens no socket.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{
    Listed, NAME_BYTES_MAX, PROTOCOL_OF_TAPS, Refusal, Registration, Role, TAG_BYTES_MAX, TAPS_MAX,
    TypeTag, encode,
};

/// Most ends that one exchange knows.
pub const ENDS_MAX: usize = 65_536;

/// Number of a participant, for as long as it is connected.
pub(super) type Participant = u64;

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Tell the participant that its end is known.
    Registered { to: Participant, end: u64, tag: Option<TypeTag>, links: usize },
    /// Tell the participant that its end was not taken.
    Refused { to: Participant, end: u64, refusal: Refusal },
    /// Make a socket and give an end of it to each of two ends.
    Link { one: (Participant, u64), other: (Participant, u64) },
}

#[derive(Debug)]
struct End {
    participant: Participant,
    number: u64,
    role: Role,
}

/// A topic or lane: there as long as it has an end.
#[derive(Debug)]
struct Name {
    tag: Option<TypeTag>,
    ends: Vec<End>,
}

impl Name {
    /// Whether it is a lane. Taps do not decide it, unless there are only taps: whoever waits to
    /// read along keeps nobody from making a topic.
    fn is_lane(&self) -> bool {
        self.ends.iter().find(|end| end.role != Role::Tap).is_none_or(|end| end.role.is_of_lane())
    }

    fn count(&self, roles: &[Role]) -> usize {
        self.ends.iter().filter(|end| roles.contains(&end.role)).count()
    }

    /// Why an end is not taken.
    fn refuse(&self, asked: &Registration) -> Option<Refusal> {
        let (is_lane, has_taps_only) =
            (self.is_lane(), self.count(&[Role::Tap]) == self.ends.len());
        if is_lane != asked.role.is_of_lane() && !has_taps_only {
            return Some(Refusal::Form { is_lane });
        }
        if asked.role == Role::Tap && self.count(&[Role::Tap]) >= TAPS_MAX {
            return Some(Refusal::Taps { limit: TAPS_MAX });
        }
        if let (Some(found), Some(tag)) = (&self.tag, &asked.tag)
            && found.hash != tag.hash
        {
            return Some(Refusal::Type { found: found.clone() });
        }
        let is_taken = asked.role.is_single() && self.ends.iter().any(|end| end.role == asked.role);
        is_taken.then_some(Refusal::Taken { role: asked.role })
    }
}

/// Every name with its ends.
#[derive(Debug, Default)]
pub(super) struct State {
    names: BTreeMap<String, Name>,
    /// Numbers of all ends: peers know an end by its number, so nobody may take another's.
    numbers: BTreeSet<u64>,
    /// Participants of a version that does not know of taps.
    older: BTreeSet<Participant>,
}

impl State {
    /// A participant has said which version it speaks.
    pub(super) fn greeted(&mut self, from: Participant, protocol: u32) {
        if protocol < PROTOCOL_OF_TAPS {
            self.older.insert(from);
        }
    }

    /// A participant brings an end.
    pub(super) fn register(&mut self, from: Participant, asked: Registration) -> Vec<Action> {
        let refused = |refusal| vec![Action::Refused { to: from, end: asked.end, refusal }];
        if !(1..=NAME_BYTES_MAX).contains(&asked.name.len()) {
            return refused(Refusal::Name { limit: NAME_BYTES_MAX });
        }
        if self.numbers.len() == ENDS_MAX {
            return refused(Refusal::TooMany { limit: ENDS_MAX });
        }
        if self.numbers.contains(&asked.end) {
            return refused(Refusal::Number);
        }
        // As it will be told, which may take more than as it came.
        if asked.tag.as_ref().is_some_and(|tag| encode(tag).len() > TAG_BYTES_MAX) {
            return refused(Refusal::Schema { limit: TAG_BYTES_MAX });
        }
        if let Some(refusal) = self.names.get(&asked.name).and_then(|name| name.refuse(&asked)) {
            return refused(refusal);
        }
        let name = self.names.entry(asked.name);
        let name = name.or_insert_with(|| Name { tag: None, ends: Vec::new() });
        name.tag = name.tag.take().or(asked.tag);
        let tag = name.tag.clone();
        let is_known = |peer: &End| match (peer.role, asked.role) {
            // A sender that does not know of taps is left alone.
            (_, Role::Tap) => !self.older.contains(&peer.participant),
            (Role::Tap, _) => !self.older.contains(&from),
            _ => true,
        };
        let is_new = |peer: &&End| {
            let is_peer = peer.role.is_linked_to(asked.role) && is_known(peer);
            is_peer && !asked.linked.contains(&peer.number)
        };
        let link = |peer: &End| Action::Link {
            one: (peer.participant, peer.number),
            other: (from, asked.end),
        };
        let peers: Vec<&End> = name.ends.iter().filter(is_new).collect();
        // Nobody waits for a tap.
        let waited_for = peers.iter().filter(|peer| peer.role != Role::Tap).count();
        let links: Vec<Action> = peers.into_iter().map(link).collect();
        let registered = Action::Registered { to: from, end: asked.end, tag, links: waited_for };
        let actions = std::iter::once(registered).chain(links).collect();
        name.ends.push(End { participant: from, number: asked.end, role: asked.role });
        self.numbers.insert(asked.end);
        actions
    }

    /// A participant takes an end away.
    pub(super) fn withdraw(&mut self, from: Participant, number: u64) {
        self.retain(|end| end.participant != from || end.number != number);
    }

    /// A participant is gone.
    pub(super) fn gone(&mut self, participant: Participant) {
        self.older.remove(&participant);
        self.retain(|end| end.participant != participant);
    }

    fn retain(&mut self, is_kept: impl Fn(&End) -> bool) {
        self.names.retain(|_, name| {
            name.ends.retain(&is_kept);
            !name.ends.is_empty()
        });
        let ends = self.names.values().flat_map(|name| &name.ends);
        self.numbers = ends.map(|end| end.number).collect();
    }

    /// What there is, by name.
    pub(super) fn list(&self) -> Vec<Listed> {
        let listed = |(key, name): (&String, &Name)| Listed {
            name: key.clone(),
            is_lane: name.is_lane(),
            sources: name.count(&[Role::Publisher, Role::Sender]),
            sinks: name.count(&[Role::Subscriber, Role::Receiver]),
            taps: name.count(&[Role::Tap]),
            tag: name.tag.clone(),
        };
        self.names.iter().map(listed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(end: u64, role: Role, name: &str) -> Registration {
        Registration { end, role, name: name.into(), tag: None, linked: Vec::new() }
    }

    fn tag(hash: &str) -> Option<TypeTag> {
        Some(TypeTag { hash: hash.into(), schema: serde_json::Value::Null })
    }

    fn links(actions: &[Action]) -> Vec<(u64, u64)> {
        let link = |action: &Action| match action {
            Action::Link { one, other } => Some((one.1, other.1)),
            _ => None,
        };
        actions.iter().filter_map(link).collect()
    }

    fn refusal(actions: &[Action]) -> &Refusal {
        let [Action::Refused { refusal, .. }] = actions else { panic!("{actions:?}") };
        refusal
    }

    #[test]
    fn every_publisher_is_linked_to_every_subscriber_of_its_topic_once() {
        let mut state = State::default();
        assert_eq!(links(&state.register(1, asked(10, Role::Publisher, "a"))), []);
        assert_eq!(links(&state.register(2, asked(20, Role::Subscriber, "a"))), [(10, 20)]);
        assert_eq!(links(&state.register(2, asked(21, Role::Subscriber, "b"))), []);
        assert_eq!(links(&state.register(3, asked(30, Role::Subscriber, "a"))), [(10, 30)]);
        let second = state.register(3, asked(31, Role::Publisher, "a"));
        assert_eq!(links(&second), [(20, 31), (30, 31)]);
        let back = Registration { linked: vec![10], ..asked(40, Role::Subscriber, "a") };
        assert_eq!(links(&state.register(4, back)), [(31, 40)]);
    }

    #[test]
    fn a_lane_has_one_sender_and_one_receiver_at_a_time() {
        let mut state = State::default();
        state.register(1, asked(10, Role::Sender, "a"));
        let second = state.register(2, asked(20, Role::Sender, "a"));
        assert_eq!(*refusal(&second), Refusal::Taken { role: Role::Sender });
        assert_eq!(links(&state.register(2, asked(20, Role::Receiver, "a"))), [(10, 20)]);
        state.gone(1);
        assert_eq!(links(&state.register(3, asked(30, Role::Sender, "a"))), [(20, 30)]);
        state.withdraw(2, 20);
        assert_eq!(links(&state.register(2, asked(21, Role::Receiver, "a"))), [(30, 21)]);
    }

    #[test]
    fn a_lane_has_some_taps_which_are_linked_to_its_sender_alone() {
        let mut state = State::default();
        assert_eq!(links(&state.register(1, asked(10, Role::Tap, "a"))), []);
        let sender = state.register(2, asked(20, Role::Sender, "a"));
        assert_eq!(links(&sender), [(10, 20)]);
        assert!(matches!(sender[0], Action::Registered { links: 0, .. }), "nobody waits for a tap");
        assert_eq!(links(&state.register(3, asked(30, Role::Receiver, "a"))), [(20, 30)]);
        for number in 11..10 + TAPS_MAX as u64 {
            let tap = state.register(1, asked(number, Role::Tap, "a"));
            assert_eq!(links(&tap), [(20, number)]);
            assert!(matches!(tap[0], Action::Registered { links: 1, .. }));
        }
        let refused = state.register(4, asked(40, Role::Tap, "a"));
        assert_eq!(*refusal(&refused), Refusal::Taps { limit: TAPS_MAX });
        let listed = &state.list()[0];
        assert_eq!((listed.sources, listed.sinks, listed.taps), (1, 1, TAPS_MAX));
        state.withdraw(1, 10);
        let back = Registration { linked: vec![20], ..asked(40, Role::Tap, "a") };
        assert_eq!(links(&state.register(4, back)), []);
    }

    #[test]
    fn taps_keep_nobody_from_making_a_topic_and_read_along_on_none() {
        let mut state = State::default();
        state.register(1, asked(10, Role::Tap, "a"));
        assert!(state.list()[0].is_lane);
        assert_eq!(links(&state.register(2, asked(20, Role::Publisher, "a"))), []);
        assert_eq!((state.list()[0].is_lane, state.list()[0].taps), (false, 1));
        let tap = state.register(3, asked(30, Role::Tap, "a"));
        assert_eq!(*refusal(&tap), Refusal::Form { is_lane: false });
        let sender = state.register(3, asked(31, Role::Sender, "a"));
        assert_eq!(*refusal(&sender), Refusal::Form { is_lane: false });
    }

    #[test]
    fn participants_of_an_earlier_version_hear_of_no_tap() {
        let mut state = State::default();
        state.greeted(1, 1);
        state.greeted(2, PROTOCOL_OF_TAPS);
        state.register(1, asked(10, Role::Sender, "a"));
        state.register(2, asked(20, Role::Sender, "b"));
        for (name, expected) in [("a", vec![]), ("b", vec![(20, 31)])] {
            let number = 30 + u64::from(name == "b");
            assert_eq!(links(&state.register(3, asked(number, Role::Tap, name))), expected);
        }
        state.withdraw(1, 10);
        assert_eq!(links(&state.register(1, asked(11, Role::Sender, "a"))), []);
        state.gone(1);
        assert_eq!(links(&state.register(1, asked(12, Role::Sender, "a"))), [(30, 12)]);
    }

    #[test]
    fn another_type_or_form_or_a_wrong_name_is_refused() {
        let mut state = State::default();
        let typed = |end, role, hash| Registration { tag: tag(hash), ..asked(end, role, "a") };
        let untyped = state.register(1, asked(10, Role::Subscriber, "a"));
        assert!(matches!(&untyped[0], Action::Registered { tag: None, .. }));
        state.register(1, typed(11, Role::Publisher, "x"));
        let other = state.register(2, typed(20, Role::Publisher, "y"));
        assert_eq!(*refusal(&other), Refusal::Type { found: tag("x").unwrap() });
        let told = state.register(2, asked(21, Role::Subscriber, "a"));
        assert!(matches!(&told[0], Action::Registered { tag: Some(_), .. }));
        let lane = state.register(2, asked(22, Role::Sender, "a"));
        assert_eq!(*refusal(&lane), Refusal::Form { is_lane: false });
        for name in [String::new(), "n".repeat(NAME_BYTES_MAX + 1)] {
            let refused = state.register(2, asked(23, Role::Sender, &name));
            assert_eq!(*refusal(&refused), Refusal::Name { limit: NAME_BYTES_MAX });
        }
    }

    #[test]
    fn nobody_has_the_number_of_another_end() {
        let mut state = State::default();
        state.register(1, asked(10, Role::Publisher, "a"));
        for name in ["a", "b"] {
            let twice = state.register(2, asked(10, Role::Subscriber, name));
            assert_eq!(*refusal(&twice), Refusal::Number);
        }
        state.gone(1);
        assert_eq!(links(&state.register(2, asked(10, Role::Subscriber, "a"))), []);
    }

    #[test]
    fn a_schema_is_judged_as_it_will_be_told() {
        let mut state = State::default();
        // A number that is written with four bytes and told with twelve.
        let schema = serde_json::from_str(&format!("[{}1]", "1e9,".repeat(10_000))).unwrap();
        let tag = Some(TypeTag { hash: "x".into(), schema });
        let long = Registration { tag, ..asked(10, Role::Publisher, "a") };
        let refused = state.register(1, long);
        assert_eq!(*refusal(&refused), Refusal::Schema { limit: TAG_BYTES_MAX });
        assert_eq!(state.list(), []);
    }

    #[test]
    fn a_name_is_there_as_long_as_it_has_an_end() {
        let mut state = State::default();
        state.register(1, asked(10, Role::Publisher, "a"));
        state.register(2, asked(20, Role::Subscriber, "a"));
        state.register(2, asked(21, Role::Receiver, "b"));
        let listed = state.list();
        assert_eq!((listed[0].sources, listed[0].sinks, listed[0].is_lane), (1, 1, false));
        assert_eq!((listed[1].sources, listed[1].sinks, listed[1].is_lane), (0, 1, true));
        state.withdraw(1, 20);
        assert_eq!(state.list().len(), 2, "nobody takes away the end of another");
        state.gone(2);
        assert_eq!((state.list().len(), state.numbers.len()), (1, 1));
    }
}
