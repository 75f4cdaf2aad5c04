//! The trait of typed messages, and which Rust types can be their fields.

use bytemuck::Pod;

use super::layout::{Field, Scalar, Schema, Type};

/// A struct that is sent as it lies in memory.
///
/// Derive it, see [the module](super). The trait is safe to implement: that a message may be read
/// from any bytes is what [`Pod`] promises, and a schema that describes another type only confuses
/// people and peers.
pub trait Message: Pod {
    /// What its fields are and where they lie. Allocates: keep it when it is asked for often.
    ///
    /// # Panics
    /// What the derive macro writes panics for a struct that exceeds a limit of this module, such
    /// as [`DEPTH_MAX`](super::DEPTH_MAX).
    fn schema() -> Schema;
}

/// A type that a field of a message can have: the numbers of [`Scalar`], arrays of such types, and
/// messages themselves. Nobody else can implement it; derive [`Message`] for a type of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a message",
    label = "not a number of a fixed size, an array of such, or a message",
    note = "write a `bool` as `u8`, a `usize` as `u64`; a struct needs `#[derive(Message)]`"
)]
pub trait FieldType: Pod + sealed::Sealed {
    /// The type as a schema says it.
    fn field_type() -> Type;
}

mod sealed {
    pub trait Sealed {}
    impl<T: super::Message> Sealed for T {}
    impl<T: super::FieldType, const LENGTH: usize> Sealed for [T; LENGTH] {}
}

impl<T: Message> FieldType for T {
    fn field_type() -> Type {
        match T::schema().message() {
            Some(message) => Type::Struct(message.clone()),
            None => panic!("{}: a message within another has fields", std::any::type_name::<T>()),
        }
    }
}

impl<T: FieldType, const LENGTH: usize> FieldType for [T; LENGTH] {
    fn field_type() -> Type {
        Type::Array { of: Box::new(T::field_type()), length: LENGTH }
    }
}

macro_rules! scalars {
    ($($rust:ty: $scalar:ident,)*) => {$(
        impl sealed::Sealed for $rust {}
        impl FieldType for $rust {
            fn field_type() -> Type {
                Type::Scalar(Scalar::$scalar)
            }
        }
    )*};
}

scalars! {
    u8: U8, u16: U16, u32: U32, u64: U64,
    i8: I8, i16: I16, i32: I32, i64: I64,
    f32: F32, f64: F64,
}

impl Field {
    /// A field of a Rust type; what the derive macro calls.
    pub fn of<T: FieldType>(name: &str, offset: usize) -> Self {
        Self::new(name, offset, T::field_type())
    }
}
