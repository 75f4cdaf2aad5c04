//! `#[derive(Message)]`: the schema of a struct, written down by the compiler.
//!
//! It is used through `corelane_transport::schema`, which re-exports it beside the trait and says
//! how. This crate reads tokens and writes tokens; it knows no transport.
#![forbid(unsafe_code)]

mod attributes;
mod message;

/// Implements `corelane_transport::schema::Message` for a struct.
///
/// The struct is `#[repr(C)]`, has named fields and no generic parameters, and is `bytemuck::Pod`,
/// which its own derive proves. `#[message(name = "…")]` names it for people; without it the name
/// is that of the struct, without its path. `#[message(crate = "…")]` says where the transport
/// crate is found when it is not `corelane_transport`.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    message::expand(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
