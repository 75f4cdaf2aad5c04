//! What clients say, from the hello to their reports, and what the driver does about it.
//!
//! It waits for nobody: a packet that is not there yet is looked for in the next turn.

use std::{os::fd::OwnedFd, time::Duration};

use corelane_agent::{Command, supervisor::Event};
use corelane_router::ClientId;
use corelane_shm::fdpass::{ChannelError, Packet};

use super::{ChildId, Connection, Driver, PACKETS_PER_TURN, Phase, Request, SEND_PATIENCE};
use crate::{
    children::Child,
    control::{self, Hello, Lost, Named, PROTOCOL, Refusal, ToClient, ToNode, Welcome},
    handshake::{broken, judge, short_of},
    lanes::Side,
    node::NodeEvent,
};

impl Driver {
    /// Handles what one client sent; false when the connection is to be closed.
    pub(super) fn read_connection(&mut self, connection: &mut Connection) -> bool {
        for _ in 0..PACKETS_PER_TURN {
            let packet = match connection.channel.recv(Some(Duration::ZERO)) {
                Ok(packet) => packet,
                Err(ChannelError::TimedOut) => return true,
                Err(ChannelError::Closed) => return false,
                Err(error) => {
                    self.refuse(connection, broken(&error));
                    return false;
                }
            };
            if let Err(refusal) = self.handle(connection, packet) {
                self.refuse(connection, refusal);
                return false;
            }
        }
        true
    }

    fn handle(&mut self, connection: &mut Connection, packet: Packet) -> Result<(), Refusal> {
        let message = control::decode(&packet.bytes).map_err(|error| broken(&error))?;
        match (message, &connection.phase) {
            (ToNode::Hello(hello), Phase::Connected) => self.welcome(connection, &hello),
            (ToNode::Lanes {}, Phase::Welcomed(..)) => self.attach(connection, packet),
            (ToNode::Report(Named { name, body }), &Phase::Attached(client, _)) => {
                let report = Command { name, body };
                (self.on_event)(NodeEvent::Report { client, report });
                Ok(())
            }
            (ToNode::ReportLost(Lost { name, reason, lost }), &Phase::Attached(client, _)) => {
                (self.on_event)(NodeEvent::ReportLost { client, name, reason, lost });
                Ok(())
            }
            (ToNode::Unknown, _) => Ok(()),
            (message, _) => Err(broken(&format!("{message:?} is out of turn"))),
        }
    }

    fn welcome(&mut self, connection: &mut Connection, hello: &Hello) -> Result<(), Refusal> {
        let peer = connection.channel.peer_credentials().map_err(|error| broken(&error))?;
        let is_child = |child: &Option<Child>| {
            child.as_ref().is_some_and(|child| child.pid == peer.pid && !child.is_up)
        };
        let index = self.children.iter().position(is_child);
        let is_expected = index.is_some() || self.guests.has_free();
        let own_uid = rustix::process::geteuid().as_raw();
        judge(hello, peer, own_uid, is_expected, self.guests.count())?;
        let (client, generation, agents) = match index {
            Some(index) => {
                let child = self.children[index].as_ref().expect("because it was found");
                (ClientId(index as u16), child.generation, self.specs[index].agents.clone())
            }
            None => {
                let place = self.guests.take();
                let place = place.expect("because judge refuses whoever is not expected");
                connection.guest = Some(place.0);
                place
            }
        };
        let segment =
            self.plan.create(Side::Node, generation.0).map_err(|error| short_of(&error))?;
        let welcome = ToClient::Welcome(Welcome {
            protocol: hello.protocol.min(PROTOCOL),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            client: client.0,
            generation: generation.0,
            epoch: self.epoch,
            routers: self.plan.routers,
            lane_slots: self.plan.shape.slots(),
            slot_lines: self.plan.shape.slot_lines(),
            agent_first: agents.start,
            agent_count: agents.end - agents.start,
        });
        let packet = control::encode(&welcome);
        let sent = connection.channel.send(&packet, &[segment.fd()], Some(SEND_PATIENCE));
        sent.map_err(|error| broken(&error))?;
        connection.phase = Phase::Welcomed(client, generation, segment);
        Ok(())
    }

    fn attach(&mut self, connection: &mut Connection, packet: Packet) -> Result<(), Refusal> {
        let phase = std::mem::replace(&mut connection.phase, Phase::Connected);
        let Phase::Welcomed(client, generation, own) = phase else {
            return Err(broken(&"lanes before the welcome"));
        };
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(packet.fds) else {
            return Err(broken(&"lanes come with exactly one descriptor"));
        };
        let peer = self.plan.open(Side::Client, fd).map_err(|error| broken(&error))?;
        let ports = self.plan.ports(own, &peer).map_err(|error| broken(&error))?;
        let pid = if connection.guest.is_some() {
            connection.channel.peer_credentials().map_err(|error| broken(&error))?.pid
        } else {
            // Between its hello and now the worker may have died and been replaced.
            let child = self.children[client.0 as usize].as_mut();
            let child = child.filter(|child| child.generation == generation && !child.is_up);
            let child = child.ok_or_else(|| broken(&"this generation is gone"))?;
            (child.is_up, child.deadline_ns) = (true, None);
            self.events.push_back(Event::ChildStarted { id: ChildId(client.0.into()), generation });
            child.pid
        };
        for (router, port) in self.routers.iter().zip(ports) {
            router.attach(client, port);
        }
        self.epoch += 1;
        connection.phase = Phase::Attached(client, generation);
        (self.on_event)(NodeEvent::Up { client, generation, pid });
        let ready = control::encode(&ToClient::Ready {});
        let sent = connection.channel.send(&ready, &[], Some(SEND_PATIENCE));
        sent.map_err(|error| broken(&error))
    }

    fn refuse(&mut self, connection: &Connection, refusal: Refusal) {
        let reason = refusal.to_string();
        let packet = control::encode(&ToClient::Refused(refusal));
        // It is told if it listens; it is cut off in any case.
        let _ = connection.channel.send(&packet, &[], Some(Duration::ZERO));
        (self.on_event)(NodeEvent::Refused { reason });
        if let Phase::Attached(client, _) = connection.phase {
            self.obey(Request::Kill(client));
        }
    }
}
