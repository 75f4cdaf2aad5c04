//! A hostile peer: one that writes anything into what it owns and says anything on its sockets.
//!
//! Nothing crashes, nothing loops for ever, no access leaves a mapping (guard pages lie around
//! each), bystanders of the same topic lose nothing, and the peer is cut off with a reason or told
//! so. The gate runs a short form; `CORELANE_HOSTILE_MUTATIONS` makes it a long one
//! (`ci/hostile`), `CORELANE_HOSTILE_SEED` repeats one. Every field that a peer can write is
//! named and counted (`fields.rs`); docs/security.md says what stops each.

mod beside;
mod fields;
mod log;
mod page;
#[path = "../storm/steady.rs"]
mod steady;
mod talk;

use fastrand::Rng;

use fields::Coverage;

const SEED: u64 = 20_261_121;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// What one kind of attack is given: its share of all mutations, and its own random numbers.
fn attack(name: &str, share: u64, run: impl FnOnce(u64, &mut Rng, &mut Coverage)) {
    let mutations = setting("CORELANE_HOSTILE_MUTATIONS", 200_000) / share;
    let seed = setting("CORELANE_HOSTILE_SEED", SEED);
    let mut coverage = Coverage::default();
    println!("hostile {name}: mutations={mutations} CORELANE_HOSTILE_SEED={seed}");
    run(mutations, &mut Rng::with_seed(seed), &mut coverage);
    println!("hostile {name}: {coverage}");
    coverage.check(mutations);
}

#[test]
fn a_hostile_publisher_cannot_harm_a_lossy_subscriber() {
    attack("log, lossy", 8, |mutations, rng, coverage| log::run(false, mutations, rng, coverage));
}

#[test]
fn a_hostile_publisher_cannot_harm_a_reliable_subscriber() {
    attack("log, reliable", 8, |mutations, rng, coverage| log::run(true, mutations, rng, coverage));
}

#[test]
fn a_hostile_publisher_at_work_meanwhile_cannot_either() {
    attack("log, at work", 4, log::run_meanwhile);
}

#[test]
fn a_hostile_subscriber_cannot_harm_a_publisher() {
    attack("group", 8, page::run_group);
}

#[test]
fn a_hostile_subscriber_at_work_meanwhile_cannot_either() {
    attack("group, at work", 8, page::run_group_meanwhile);
}

#[test]
fn a_hostile_sender_cannot_harm_its_receiver() {
    attack("lane", 16, page::run_sender);
}

#[test]
fn a_hostile_receiver_cannot_harm_its_sender() {
    attack("head", 16, page::run_receiver);
}

#[test]
fn hostile_words_cannot_harm_an_exchange_or_a_link() {
    attack("packets", 256, talk::run);
}

#[test]
fn a_hostile_peer_costs_others_what_a_good_one_does() {
    beside::run(setting("CORELANE_HOSTILE_PASSES", 1), setting("CORELANE_HOSTILE_SEED", SEED));
}
