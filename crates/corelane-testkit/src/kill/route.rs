//! The way of one child through its operation, by which others are led faster than step by step.
//!
//! A child that was stepped to the end tells where each instruction lies. To bring another one to
//! the same place a breakpoint of the processor is set there, and passed as often as the first
//! child passed it: a handful of stops instead of thousands. A child that takes another way is led
//! step by step after all; which way it takes changes nothing about what is judged.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

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
    ///
    /// With `shared`, the steps that changed it are noted.
    fn of(
        victim: &mut Victim,
        mut shared: Option<&mut Shared>,
    ) -> Result<(Option<Self>, u64), String> {
        let images = Images::of(victim.pid()).filter(|_| victim.has_breakpoints());
        let (mut steps, mut seen) = (Vec::new(), HashMap::new());
        let memory = File::open(format!("/proc/{}/mem", victim.pid()));
        let memory = memory.map_err(|error| format!("the child has no memory: {error}"))?;
        if let Some(shared) = &mut shared {
            let found = shared.find(victim.pid(), &memory);
            found.map_err(|error| format!("the child's memory cannot be read: {error}"))?;
        }
        for passed in 0.. {
            let address = victim.instruction();
            let place = images.as_ref().zip(address).and_then(|(all, at)| all.place(at));
            if let Some(place) = place {
                let count = seen.entry(place.clone()).or_insert(0);
                *count += 1;
                steps.push((place, *count));
            }
            let reached = match &mut shared {
                Some(shared) => shared.step(victim, &memory, passed)?,
                None => victim.step(Pace::Instruction)?,
            };
            if reached == Reached::End {
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

/// What a child has mapped to share, as it was at the last look.
#[derive(Debug, Default)]
struct Shared {
    memory: Vec<(u64, Vec<u8>)>,
    /// Steps after which it was not as before.
    changes: BTreeSet<u64>,
}

/// How the processor's instruction for a system call begins.
const SYSTEM_CALL: [u8; 2] = [0x0f, 0x05];

impl Shared {
    /// Looks where it is, and takes it as it is.
    fn find(&mut self, pid: Pid, file: &File) -> io::Result<()> {
        self.memory.clear();
        for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
            let mapping = line.split_once(' ').filter(|(_, rest)| rest.starts_with("rw-s"));
            let Some((start, end)) = mapping.and_then(|(range, _)| range.split_once('-')) else {
                continue;
            };
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap_or(0));
            let mut bytes = vec![0; (end - start) as usize];
            file.read_exact_at(&mut bytes, start)?;
            self.memory.push((start, bytes));
        }
        Ok(())
    }

    /// Whether it is different now.
    fn has_changed(&mut self, file: &File) -> io::Result<bool> {
        let mut is_changed = false;
        for (start, known) in &mut self.memory {
            let mut bytes = vec![0; known.len()];
            file.read_exact_at(&mut bytes, *start)?;
            is_changed |= *known != bytes;
            *known = bytes;
        }
        Ok(is_changed)
    }

    /// Steps once, and notes whether that changed it.
    fn step(&mut self, victim: &mut Victim, file: &File, passed: u64) -> Result<Reached, String> {
        let text = |error: io::Error| format!("the child's memory cannot be read: {error}");
        let mut code = [0; SYSTEM_CALL.len()];
        file.read_exact_at(&mut code, victim.instruction().unwrap_or(0)).map_err(text)?;
        let reached = victim.step(Pace::Instruction)?;
        if code == SYSTEM_CALL {
            // It may have mapped more, or less.
            self.find(victim.pid(), file).map_err(text)?;
        } else if self.has_changed(file).map_err(text)? {
            self.changes.insert(passed + 1);
        }
        Ok(reached)
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
    /// The points of interest are those after a change of this.
    shared: Option<Shared>,
    route: Option<Route>,
    /// The last child took another way: the next is led to the same point step by step.
    is_lost: bool,
    /// Points that there are, once it is known.
    points: Option<u64>,
}

impl Guide {
    pub(super) fn new(explores: bool, watches: bool) -> Self {
        let shared = watches.then(Shared::default);
        Self { explores, shared, route: None, is_lost: false, points: None }
    }

    /// The next point, if the one at `goal` is done with and points are `stride` apart.
    pub(super) fn next(&self, goal: u64, stride: u64) -> u64 {
        let changes = self.shared.as_ref().filter(|_| self.route.is_some());
        let next = |shared: &Shared| {
            let next = shared.changes.range(goal + 1..).next().copied();
            next.unwrap_or(u64::MAX)
        };
        changes.map_or(goal + stride, next)
    }

    /// How many children are to die, beside the first and those that lose their way.
    pub(super) fn changes(&self) -> Option<u64> {
        self.shared.as_ref().map(|shared| shared.changes.len() as u64)
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
            let (route, passed) = Route::of(victim, self.shared.as_mut())?;
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
