//! The structural hash of a schema, and the bytes that it is taken over.
//!
//! Every number is little-endian; `n * x` is that many of the next thing.
//!
//! ```text
//! schema   u32 format | u8 0: raw bytes
//!                     | u8 1, struct
//! struct   u64 size, u64 alignment, u32 n, n * field
//! field    u32 n, n bytes of the name in UTF-8, u64 offset, u64 size, type
//! type     u8 1 to 10: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64
//!          u8 32, u64 length, type: an array
//!          u8 33, struct
//! ```
//!
//! Names of structs are not in it.

use xxhash_rust::xxh3::xxh3_64;

use super::form::FORMAT;
use super::layout::{Body, Scalar, Schema, Struct, Type};

const BYTES: u8 = 0;
const STRUCT: u8 = 1;
const ARRAY_TYPE: u8 = 32;
const STRUCT_TYPE: u8 = 33;

impl Schema {
    /// What two peers compare: 64 bits of XXH3 over the [canonical bytes](Self::canonical_bytes).
    ///
    /// It says whether two builds agree about every field's name, offset, size and type. It is no
    /// protection from somebody who wants two schemas to have one hash.
    pub fn hash(&self) -> u64 {
        xxh3_64(&self.canonical_bytes())
    }

    /// The schema as the bytes that [`hash`](Self::hash) is taken over; their form is described in
    /// the source of this module and does not change within a format version. Names of structs are
    /// left out.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_le_bytes().to_vec();
        match &self.0 {
            Body::Bytes(_) => bytes.push(BYTES),
            Body::Struct(message) => {
                bytes.push(STRUCT);
                put_struct(&mut bytes, message);
            }
        }
        bytes
    }
}

fn put_struct(bytes: &mut Vec<u8>, it: &Struct) {
    put_u64(bytes, it.size());
    put_u64(bytes, it.alignment());
    put_u32(bytes, it.fields().len());
    for field in it.fields() {
        put_u32(bytes, field.name().len());
        bytes.extend(field.name().as_bytes());
        put_u64(bytes, field.offset());
        put_u64(bytes, field.ty().size());
        put_type(bytes, field.ty());
    }
}

fn put_type(bytes: &mut Vec<u8>, ty: &Type) {
    match ty {
        Type::Scalar(scalar) => bytes.push(tag(*scalar)),
        Type::Array { of, length } => {
            bytes.push(ARRAY_TYPE);
            put_u64(bytes, *length);
            put_type(bytes, of);
        }
        Type::Struct(inner) => {
            bytes.push(STRUCT_TYPE);
            put_struct(bytes, inner);
        }
    }
}

fn tag(scalar: Scalar) -> u8 {
    match scalar {
        Scalar::U8 => 1,
        Scalar::U16 => 2,
        Scalar::U32 => 3,
        Scalar::U64 => 4,
        Scalar::I8 => 5,
        Scalar::I16 => 6,
        Scalar::I32 => 7,
        Scalar::I64 => 8,
        Scalar::F32 => 9,
        Scalar::F64 => 10,
    }
}

fn put_u64(bytes: &mut Vec<u8>, value: usize) {
    bytes.extend((value as u64).to_le_bytes());
}

/// Of counts and lengths that the limits of a schema keep far below 32 bits.
fn put_u32(bytes: &mut Vec<u8>, value: usize) {
    bytes.extend((value as u32).to_le_bytes());
}
