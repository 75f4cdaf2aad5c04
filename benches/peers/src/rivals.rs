//! Who is measured: ours, the rivals, and what the machine itself has.

use corelane_bench::{
    BulkPeer, FanoutPeer, HandOver, Peer, Pooled, SleepingPeer, Suite,
    ours::{
        Broadcast, FanIn, Mpmc, Mpsc, Sharing, Spsc, SpscEventFd, SpscFutex, Throughput, WordRing,
    },
    process::EndCommand,
    standard::{EventFd, Parking, Pipe, SeqPacket, StdEach, UnixPair},
};

use crate::{
    across,
    array_queue::CrossbeamArrayQueue,
    bus::BusPeer,
    concurrent_queue::Concurrent,
    crossbeam_channel::{CrossbeamChannel, CrossbeamChannelParking},
    crossfire::{
        CrossfireMpmc, CrossfireMpmcParking, CrossfireMpsc, CrossfireMpscParking, CrossfireSpsc,
    },
    disruptor::{DisruptorBroadcast, DisruptorMulti, DisruptorSingle},
    flume::{Flume, FlumeParking},
    heapless::{HeaplessMpmc, HeaplessSpsc},
    kanal::{Kanal, KanalParking},
    nexus::{NexusMpsc, NexusSpmc, NexusSpsc},
    omango::{OmangoMpmc, OmangoSpsc},
    ringbuf::Ringbuf,
    rtrb::Rtrb,
    side_by_side::{CrossbeamSideBySide, RtrbSideBySide},
    standard::Standard,
    thingbuf::Thingbuf,
    tokio_broadcast::TokioBroadcast,
    tokio_mpsc::{TokioBlocking, TokioMpsc, TokioRuntimes},
};

/// What the name of every queue of ours begins with.
const OURS: &str = "corelane";

/// Whether a queue of this name is ours.
pub(crate) fn is_ours(peer: &str) -> bool {
    peer.starts_with(OURS)
}

/// A suite, and the names of the peers that are wanted in it.
pub(crate) struct Cast<'a> {
    pub(crate) suite: &'a mut Suite,
    /// Parts of names; without any, everybody is wanted.
    pub(crate) only: &'a [String],
}

impl Cast<'_> {
    /// Adds everybody who is wanted.
    pub(crate) fn add_all(&mut self, end: EndCommand) {
        self.add_ours();
        self.bulk::<HandOver>();
        self.fanout::<StdEach>();
        self.add_one_to_one();
        self.add_many_ends();
        self.add_broadcasts();
        self.add_sleeping();
        self.add_across(&end);
    }

    /// Those whose ends lie in processes of their own, which `end` starts.
    fn add_across(&mut self, end: &EndCommand) {
        let mut cast = across::cast();
        cast.retain(|name| self.is_wanted(name));
        self.suite.add_processes(&cast, end);
    }

    fn add_ours(&mut self) {
        self.queue::<Spsc>();
        self.queue::<WordRing>();
        self.queue::<FanIn>();
        self.queue::<Mpsc>();
        self.queue::<Sharing>();
        self.queue::<Mpmc>();
        self.queue::<Broadcast>();
        self.fanout::<Broadcast>();
        self.bulk::<Throughput>();
        self.bulk::<Pooled<Spsc>>();
        self.sleeping::<SpscFutex>();
        self.sleeping::<SpscEventFd>();
    }

    fn add_one_to_one(&mut self) {
        self.queue::<CrossfireSpsc>();
        self.queue::<DisruptorSingle>();
        self.queue::<HeaplessSpsc>();
        self.queue::<NexusSpmc>();
        self.queue::<NexusSpsc>();
        self.queue::<OmangoSpsc>();
        self.queue::<Ringbuf>();
        self.queue::<Rtrb>();
    }

    fn add_many_ends(&mut self) {
        self.queue::<Concurrent>();
        self.queue::<CrossbeamArrayQueue>();
        self.queue::<CrossbeamChannel>();
        self.waiting_queue::<CrossbeamChannelParking>();
        self.queue::<CrossfireMpmc>();
        self.waiting_queue::<CrossfireMpmcParking>();
        self.queue::<CrossfireMpsc>();
        self.waiting_queue::<CrossfireMpscParking>();
        self.queue::<DisruptorMulti>();
        self.queue::<Flume>();
        self.waiting_queue::<FlumeParking>();
        self.queue::<HeaplessMpmc>();
        self.queue::<Kanal>();
        self.waiting_queue::<KanalParking>();
        self.queue::<NexusMpsc>();
        self.queue::<OmangoMpmc>();
        self.queue::<Thingbuf>();
        self.queue::<TokioMpsc>();
    }

    fn add_broadcasts(&mut self) {
        self.queue::<BusPeer>();
        self.queue::<CrossbeamSideBySide>();
        self.queue::<DisruptorBroadcast>();
        self.queue::<RtrbSideBySide>();
        self.queue::<TokioBroadcast>();
    }

    fn add_sleeping(&mut self) {
        self.sleeping::<CrossbeamChannel>();
        self.sleeping::<CrossfireSpsc>();
        self.sleeping::<EventFd>();
        self.sleeping::<Flume>();
        self.sleeping::<Kanal>();
        self.sleeping::<Parking>();
        self.sleeping::<Pipe>();
        self.sleeping::<SeqPacket>();
        self.sleeping::<Standard>();
        self.sleeping::<TokioBlocking>();
        self.sleeping::<TokioRuntimes>();
        self.sleeping::<UnixPair>();
    }

    fn queue<P: Peer>(&mut self) {
        if self.is_wanted(P::NAME) {
            self.suite.add_queue::<P>();
        }
    }

    fn waiting_queue<P: Peer>(&mut self) {
        if self.is_wanted(P::NAME) {
            self.suite.add_waiting_queue::<P>();
        }
    }

    fn bulk<P: BulkPeer>(&mut self) {
        if self.is_wanted(P::NAME) {
            self.suite.add_bulk::<P>();
        }
    }

    fn fanout<P: FanoutPeer>(&mut self) {
        if self.is_wanted(P::NAME) {
            self.suite.add_fanout::<P>();
        }
    }

    fn sleeping<P: SleepingPeer>(&mut self) {
        if self.is_wanted(P::NAME) {
            self.suite.add_sleeping::<P>();
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelane_bench::{Options, Workload};

    fn names(only: &[String]) -> Vec<String> {
        let workloads = vec![Workload::Throughput, Workload::Wakeup];
        let mut suite =
            Suite::new(Options::for_cpus(workloads, 2)).expect("the defaults are valid");
        Cast { suite: &mut suite, only }.add_all(EndCommand::new("true".into(), [""; 0]));
        let mut names: Vec<String> = suite.rows().map(|row| row.peer.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn everybody_has_a_row_and_a_part_of_a_name_chooses() {
        assert!(names(&[]).len() > 35, "{:?}", names(&[]));
        let chosen = names(&["kanal".to_owned(), "bus".to_owned()]);
        assert_eq!(chosen, ["bus", "kanal", "kanal, parking"]);
        assert!(names(&[]).iter().any(|name| is_ours(name)));
    }
}
