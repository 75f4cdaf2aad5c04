//! The way of one child through its operation, by which others are led faster than step by step.
//!
//! A child that was stepped to the end tells where each instruction lies. To bring another one to
//! the same place a breakpoint of the processor is set there, and passed as often as the first
//! child passed it: a handful of stops instead of thousands. A child that takes another way is led
//! step by step after all; which way it takes changes nothing about what is judged.

use std::{collections::HashMap, fs};

use nix::unistd::Pid;

use super::victim::{Pace, Reached, Victim};

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

/// Every instruction of a child's operation, in the order in which it came to them.
#[derive(Debug)]
struct Route {
    images: Images,
    /// The place after so many steps, and how often the child had come there.
    steps: Vec<(Place, u64)>,
}

impl Route {
    /// Steps a child from the first mark to the second, and counts; without a route where
    /// breakpoints cannot be set.
    fn of(victim: &mut Victim) -> Result<(Option<Self>, u64), String> {
        let images = Images::of(victim.pid()).filter(|_| victim.has_breakpoints());
        let (mut steps, mut seen) = (Vec::new(), HashMap::new());
        for passed in 0.. {
            let address = victim.instruction();
            let place = images.as_ref().zip(address).and_then(|(all, at)| all.place(at));
            if let Some(place) = place {
                let count = seen.entry(place.clone()).or_insert(0);
                *count += 1;
                steps.push((place, *count));
            }
            if victim.step(Pace::Instruction)? == Reached::End {
                let is_whole = steps.len() as u64 == passed + 1;
                let route = images.filter(|_| is_whole).map(|images| Self { images, steps });
                return Ok((route, passed));
            }
        }
        unreachable!("because an operation ends before numbers do")
    }

    /// Leads a child from the first mark to where the first one was after `goal` steps, or to the
    /// end if it takes another way.
    fn lead(&self, victim: &mut Victim, goal: u64) -> Result<Reached, String> {
        let (place, count) = &self.steps[goal as usize];
        let images = Images::of(victim.pid()).ok_or("the child tells nothing of its memory")?;
        let (name, ..) = &self.images.0[place.image];
        let image = images.0.iter().find(|(known, ..)| known == name);
        let (_, start, _) = image.ok_or("the child has other files mapped than the first one")?;
        let address = start + place.offset;
        let mut left = *count;
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
    route: Option<Route>,
    /// The last child took another way: the next is led to the same point step by step.
    is_lost: bool,
    /// Points that there are, once it is known.
    points: Option<u64>,
}

impl Guide {
    pub(super) fn new(explores: bool) -> Self {
        Self { explores, route: None, is_lost: false, points: None }
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
            let (route, passed) = Route::of(victim)?;
            self.points = route.is_some().then_some(passed);
            self.route = route;
            return Ok(Led { passed, is_over: true, is_there: false });
        }
        match self.route.as_ref().filter(|_| !self.is_lost) {
            Some(route) => {
                self.is_lost = route.lead(victim, goal)? == Reached::End;
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
