//! What runs beside the ends of a pass: a server, a driver, or nothing.

use std::{any::Any, fmt, process::Child};

/// Something that lives as long as the pass.
pub enum Attendant {
    /// Nothing has to run.
    Nobody,
    /// Something of this process, such as threads; dropping it ends it.
    Inside(Box<dyn Any>),
    /// Another program; it is killed at the end.
    Program(Child),
}

impl fmt::Debug for Attendant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Inside(_) => f.write_str("Inside"),
            Self::Program(child) => f.debug_tuple("Program").field(&child.id()).finish(),
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if let Self::Program(child) = self {
            // One that has ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
