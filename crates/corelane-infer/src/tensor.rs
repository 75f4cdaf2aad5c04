//! Tensors as borrowed views: dense, row-major, no strides, no ownership.
//!
//! The enums are exhaustive on purpose: a new element type must make every backend decide.

use std::fmt;

use serde::Deserialize;

/// The element types that cross the backend boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit IEEE float.
    F32,
    /// Unsigned byte.
    U8,
    /// 64-bit signed integer.
    I64,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I64 => "i64",
        })
    }
}

/// Elements to read.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// 32-bit IEEE floats.
    F32(&'a [f32]),
    /// Unsigned bytes.
    U8(&'a [u8]),
    /// 64-bit signed integers.
    I64(&'a [i64]),
}

impl Elements<'_> {
    /// Their type.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::U8(_) => Dtype::U8,
            Self::I64(_) => Dtype::I64,
        }
    }

    /// Their number.
    pub fn count(&self) -> usize {
        match self {
            Self::F32(e) => e.len(),
            Self::U8(e) => e.len(),
            Self::I64(e) => e.len(),
        }
    }
}

/// Room for elements, provided by the caller.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// 32-bit IEEE floats.
    F32(&'a mut [f32]),
    /// Unsigned bytes.
    U8(&'a mut [u8]),
    /// 64-bit signed integers.
    I64(&'a mut [i64]),
}

impl ElementsMut<'_> {
    /// Their type.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::U8(_) => Dtype::U8,
            Self::I64(_) => Dtype::I64,
        }
    }

    /// Their number.
    pub fn count(&self) -> usize {
        match self {
            Self::F32(e) => e.len(),
            Self::U8(e) => e.len(),
            Self::I64(e) => e.len(),
        }
    }
}

/// An input: elements and the shape they are to be read in. `Backend::run` checks both.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Extent of each axis, slowest first.
    pub shape: &'a [usize],
    /// The elements, row-major.
    pub elements: Elements<'a>,
}

impl<'a> TensorView<'a> {
    /// A view of 32-bit floats.
    pub fn f32(shape: &'a [usize], elements: &'a [f32]) -> Self {
        Self { shape, elements: Elements::F32(elements) }
    }
}

/// What a session takes or gives at one position; every extent is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in the program.
    pub name: String,
    /// The element type.
    pub dtype: Dtype,
    /// Extent of each axis, slowest first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> u64 {
        (self.count() * self.dtype.bytes()) as u64
    }
}
