//! The way of one child through its operation, by which others are led faster than step by step.
//!
//! A child that was stepped to the end tells where each instruction lies. To bring another one to
//! the same place a breakpoint of the processor is set there, and passed as often as the first
//! child passed it: a handful of stops instead of thousands. A child that takes another way is led
//! step by step after all; which way it takes changes nothing about what is judged.
//!
//! Where points are stores to shared memory, those at the breakpoint are counted, not the visits: a
//! child is killed right behind a store of its own, whatever else it did before.

use std::{collections::HashMap, fs};

use nix::unistd::Pid;

use super::{
    shared::Shared,
    victim::{Pace, Reached, Victim},
};

/// An instruction, as a place in a file that every child maps, wherever the kernel puts it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    image: usize,
    offset: u64,
}

/// Files that a child has mapped, each with its lowest address.
#[derive(Debug)]
struct Images(Vec<(String, u64, u64)>);

impl Images {
    fn of(pid: Pid) -> Option<Self> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let mut images: Vec<(String, u64, u64)> = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let start = u64::from_str_radix(start, 16).ok()?;
            let end = u64::from_str_radix(end, 16).ok()?;
            let Some(name) = fields.nth(4) else { continue };
            match images.iter_mut().find(|(known, ..)| known == name) {
                Some((_, _, last)) => *last = end,
                None => images.push((name.to_owned(), start, end)),
            }
        }
        Some(Self(images))
    }

    fn place(&self, address: u64) -> Option<Place> {
        let holds = |(_, start, end): &(String, u64, u64)| (*start..*end).contains(&address);
        let image = self.0.iter().position(holds)?;
        Some(Place { image, offset: address - self.0[image].1 })
    }
}

/// What a child came past, in the order in which it came to it.
#[derive(Debug)]
struct Route {
    images: Images,
    /// The place after so many steps, and how often the child had come there. Of stores: the place
    /// of each, and how often the child had changed shared memory there when it had made it.
    steps: Vec<(Place, u64)>,
}

/// Counts how often a child came to each place.
#[derive(Debug, Default)]
struct Passed {
    steps: Vec<(Place, u64)>,
    seen: HashMap<Place, u64>,
}

impl Passed {
    fn push(&mut self, place: Option<Place>) {
        let Some(place) = place else { return };
        let count = self.seen.entry(place.clone()).or_insert(0);
        *count += 1;
        self.steps.push((place, *count));
    }
}

impl Route {
    /// Steps a child from the first mark to the second, and counts; without a route where
    /// breakpoints cannot be set.
    fn of(victim: &mut Victim) -> Result<(Option<Self>, u64), String> {
        let images = Images::of(victim.pid()).filter(|_| victim.has_breakpoints());
        let mut passed = Passed::default();
        for count in 0.. {
            let address = victim.instruction();
            passed.push(images.as_ref().zip(address).and_then(|(all, at)| all.place(at)));
            if victim.step(Pace::Instruction)? == Reached::End {
                return Ok((Self::whole(images, passed, count + 1), count));
            }
        }
        unreachable!("because an operation ends before numbers do")
    }

    /// The same, which counts only what changed shared memory.
    fn of_stores(victim: &mut Victim) -> Result<(Option<Self>, u64), String> {
        let images = Images::of(victim.pid()).filter(|_| victim.has_breakpoints());
        let mut shared = Shared::of(victim)?;
        let (mut passed, mut count) = (Passed::default(), 0);
        loop {
            let address = victim.instruction();
            let (reached, is_changed) = shared.step(victim)?;
            if reached == Reached::End {
                return Ok((Self::whole(images, passed, count), count));
            }
            if is_changed {
                count += 1;
                passed.push(images.as_ref().zip(address).and_then(|(all, at)| all.place(at)));
            }
        }
    }

    /// The route, if every place of it is known.
    fn whole(images: Option<Images>, passed: Passed, count: u64) -> Option<Self> {
        let is_whole = passed.steps.len() as u64 == count;
        images.filter(|_| is_whole).map(|images| Self { images, steps: passed.steps })
    }

    /// The address of a step in this child, and how often it is to be counted there.
    fn address(&self, victim: &Victim, index: u64) -> Result<(u64, u64), String> {
        let (place, count) = &self.steps[index as usize];
        let images = Images::of(victim.pid()).ok_or("the child tells nothing of its memory")?;
        let (name, ..) = &self.images.0[place.image];
        let image = images.0.iter().find(|(known, ..)| known == name);
        let (_, start, _) = image.ok_or("the child has other files mapped than the first one")?;
        Ok((start + place.offset, *count))
    }

    /// Leads a child from the first mark to where the first one was after `goal` steps, or to the
    /// end if it takes another way.
    fn lead(&self, victim: &mut Victim, goal: u64) -> Result<Reached, String> {
        let (address, mut left) = self.address(victim, goal)?;
        loop {
            if victim.instruction() == Some(address) {
                left -= 1;
                if left == 0 {
                    return Ok(Reached::Point);
                }
            }
            if victim.step_to(address)? == Reached::End {
                return Ok(Reached::End);
            }
        }
    }

    /// The same on a route of stores, to behind the store of this number: the child itself has
    /// made it, however it came there.
    fn lead_to_store(&self, victim: &mut Victim, goal: u64) -> Result<Reached, String> {
        let Some(index) = goal.checked_sub(1) else { return Ok(Reached::Point) };
        let (address, mut left) = self.address(victim, index)?;
        let mut shared = Shared::of(victim)?;
        loop {
            if victim.instruction() == Some(address) {
                shared.look()?;
                victim.clear_breakpoint()?;
                let (reached, is_changed) = shared.step(victim)?;
                left -= u64::from(is_changed && reached == Reached::Point);
                if reached == Reached::End || left == 0 {
                    return Ok(reached);
                }
            } else if victim.step_to(address)? == Reached::End {
                return Ok(Reached::End);
            }
        }
    }
}

/// How a child was led.
#[derive(Debug, Clone, Copy)]
pub(super) struct Led {
    /// Points that it came past.
    pub(super) passed: u64,
    /// Whether its operation is over.
    pub(super) is_over: bool,
    /// Whether it came to where it was to be led, or there is nothing there.
    pub(super) is_there: bool,
}

/// Leads one child after the other, by a route where there can be one.
#[derive(Debug)]
pub(super) struct Guide {
    /// Whether the next child shows the route.
    explores: bool,
    /// Whether points are stores to shared memory, not instructions.
    counts_stores: bool,
    route: Option<Route>,
    /// The last child took another way: the next is led to the same point step by step.
    is_lost: bool,
    /// Points that there are, once it is known.
    points: Option<u64>,
}

impl Guide {
    pub(super) fn new(explores: bool, counts_stores: bool) -> Self {
        Self { explores, counts_stores, route: None, is_lost: false, points: None }
    }

    /// How many points there are, once `goal` lies behind the last.
    pub(super) fn is_done(&self, goal: u64) -> Option<u64> {
        self.points.filter(|&points| goal > points)
    }

    /// Leads a child past `goal` points; `step_by_step` does it without a route, and tells how many
    /// it came past.
    pub(super) fn lead(
        &mut self,
        victim: &mut Victim,
        goal: u64,
        step_by_step: impl FnOnce(&mut Victim) -> Result<u64, String>,
    ) -> Result<Led, String> {
        if std::mem::take(&mut self.explores) {
            let of = if self.counts_stores { Route::of_stores } else { Route::of };
            let (route, passed) = of(victim)?;
            self.points = (route.is_some() || self.counts_stores).then_some(passed);
            self.route = route;
            return Ok(Led { passed, is_over: true, is_there: false });
        }
        match self.route.as_ref().filter(|_| !self.is_lost) {
            Some(route) => {
                let lead = if self.counts_stores { Route::lead_to_store } else { Route::lead };
                self.is_lost = lead(route, victim, goal)? == Reached::End;
                let is_lost = self.is_lost;
                Ok(Led { passed: goal, is_over: is_lost, is_there: !is_lost })
            }
            None => {
                let passed = step_by_step(victim)?;
                self.is_lost = false;
                if self.route.is_none() && passed < goal {
                    self.points = Some(passed);
                }
                Ok(Led { passed, is_over: passed < goal, is_there: true })
            }
        }
    }
}
