//! Places for clients that the node did not start: who has which, and in which generation.
//!
//! It knows no socket and no process: the driver gives a place back when its connection ends.

use std::ops::Range;

use corelane_agent::supervisor::Generation;
use corelane_router::ClientId;

/// The places, behind those of the workers.
#[derive(Debug)]
pub(crate) struct Guests {
    first: usize,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    agents: Range<u32>,
    generation: u64,
    is_taken: bool,
}

impl Guests {
    /// A place for each range of agents; the first has the client id `first`.
    pub(crate) fn new(first: usize, agents: Vec<Range<u32>>) -> Self {
        let place = |agents| Place { agents, generation: 0, is_taken: false };
        Self { first, places: agents.into_iter().map(place).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn has_free(&self) -> bool {
        self.places.iter().any(|place| !place.is_taken)
    }

    /// Takes the first free place; generations of a place only grow.
    pub(crate) fn take(&mut self) -> Option<(ClientId, Generation, Range<u32>)> {
        let index = self.places.iter().position(|place| !place.is_taken)?;
        let place = &mut self.places[index];
        place.is_taken = true;
        place.generation += 1;
        let client = ClientId((self.first + index) as u16);
        Some((client, Generation(place.generation), place.agents.clone()))
    }

    /// Whether this client is a guest's, taken or not.
    pub(crate) fn is_guest(&self, client: ClientId) -> bool {
        (self.first..self.first + self.places.len()).contains(&(client.0 as usize))
    }

    /// Gives a place back.
    pub(crate) fn free(&mut self, client: ClientId) {
        if self.is_guest(client) {
            self.places[client.0 as usize - self.first].is_taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_its_generations_grow() {
        let mut guests = Guests::new(3, vec![10..12, 20..21]);
        assert_eq!(guests.take(), Some((ClientId(3), Generation(1), 10..12)));
        assert_eq!(guests.take(), Some((ClientId(4), Generation(1), 20..21)));
        assert!(!guests.has_free() && guests.take().is_none());
        assert!(!guests.is_guest(ClientId(2)) && !guests.is_guest(ClientId(5)));
        guests.free(ClientId(2));
        assert!(!guests.has_free());
        guests.free(ClientId(4));
        assert_eq!(guests.take(), Some((ClientId(4), Generation(2), 20..21)));
    }

    #[test]
    fn without_places_there_are_no_guests() {
        let mut guests = Guests::new(0, Vec::new());
        assert!(!guests.has_free() && guests.take().is_none() && !guests.is_guest(ClientId(0)));
    }
}
