//! What a typed message looks like in memory: its schema, the hash of it, and reading by it.
//!
//! A [`Schema`] names the fields of a message with their offsets, sizes and types. Two programs
//! that were built apart compare its [hash](Schema::hash) when they meet; where the hashes differ,
//! [`differences`](Schema::differences) says why in words. Reordered fields of one size do not pass
//! for each other, and the name of a struct, or the crate that it lives in, changes nothing.
//! People read messages through a schema: [`Schema::decode`] gives names and values, a [`Filter`]
//! picks messages by them.
//!
//! A schema is written by the derive macro:
//!
//! ```
//! use corelane_transport::schema::{Message, Pod, Zeroable, bytes_of};
//!
//! #[derive(Clone, Copy, Pod, Zeroable, Message)]
//! #[repr(C)]
//! #[bytemuck(crate = "corelane_transport::bytemuck")]
//! #[message(name = "trade")]
//! struct Trade {
//!     price: f64,
//!     quantity: u32,
//!     venue: [u8; 4],
//! }
//!
//! let schema = Trade::schema();
//! let trade = Trade { price: 10.5, quantity: 3, venue: *b"XETR" };
//! let decoded = schema.decode(bytes_of(&trade))?;
//! assert_eq!(decoded.to_string(), "price=10.5 quantity=3 venue=[88,69,84,82]");
//!
//! let filter = "price > 10 && venue[0] == 88".parse::<corelane_transport::schema::Filter>()?;
//! assert!(filter.bind(&schema)?.matches(bytes_of(&trade))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The line `#[bytemuck(crate = …)]` is for packages that do not name `bytemuck` as a dependency of
//! their own; through the facade it is `corelane::transport::bytemuck`, and the macro needs
//! `#[message(crate = "corelane::transport")]`. Nothing here is needed to move a message, and
//! nothing here is unsafe: that a struct has no padding and that every byte pattern is a value of
//! it is what [`Pod`] proves.
//!
//! What it does not do: it converts no message to another schema, and knows no text, no lists of
//! varying length and no pointers, because none of them is plain memory.
//!
//! # What the macro refuses
//!
//! Types that are not the same in every process are no fields, and what has no fixed layout is no
//! message:
//!
//! ```compile_fail,E0277
//! use corelane_transport::schema::{Message, Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable, Message)]
//! #[repr(C)]
//! #[bytemuck(crate = "corelane_transport::bytemuck")]
//! struct Wide { length: usize }
//! ```
//!
//! ```compile_fail,E0277
//! use corelane_transport::schema::Message;
//! #[derive(Clone, Copy, Message)]
//! #[repr(C)]
//! struct NobodyProvedThatThisIsPlainMemory { a: u8 }
//! ```
//!
//! ```compile_fail,E0080
//! use corelane_transport::schema::{Message, Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable, Message)]
//! #[repr(C)]
//! #[bytemuck(crate = "corelane_transport::bytemuck")]
//! struct Padded { a: u8, b: u32 }
//! ```
//!
//! ```compile_fail
//! use corelane_transport::schema::{Message, Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable, Message)]
//! #[repr(transparent)]
//! #[bytemuck(crate = "corelane_transport::bytemuck")]
//! struct WithoutReprC { a: u8 }
//! ```
//!
//! ```compile_fail
//! #[derive(Clone, Copy, corelane_transport::schema::Message)]
//! #[repr(u8)]
//! enum Side { Buy, Sell }
//! ```

mod decode;
mod differences;
mod filter;
mod form;
mod hash;
mod layout;
mod message;

pub use bytemuck::{Pod, Zeroable, bytes_of};
pub use corelane_derive::Message;

pub use decode::{DecodeError, Decoded, Value};
pub use filter::{BoundFilter, Filter, FilterError};
pub use layout::{
    DEPTH_MAX, FIELD_NAME_BYTES_MAX, FIELDS_MAX, Field, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, Scalar,
    Schema, SchemaError, Struct, Type,
};
pub use message::{FieldType, Message};

#[cfg(test)]
mod tests;
