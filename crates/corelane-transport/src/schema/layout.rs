//! The parts of a schema and the rules that they keep.
//!
//! A [`Struct`] cannot be made without its rules holding, so that whoever reads by one need not ask
//! again: fields lie one behind the other without a gap, none is empty, and sizes are bounded.

use std::fmt;

use thiserror::Error;

/// Largest message that a schema describes, in bytes: 1 GiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// Most fields of one struct.
pub const FIELDS_MAX: usize = 1024;
/// How deep structs and arrays may lie within each other.
pub const DEPTH_MAX: usize = 16;
/// Longest name of a message, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest name of a field, in bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// Strictest alignment of a message, in bytes: a page.
const ALIGNMENT_MAX: usize = 4096;

/// What the messages of a lane or a topic look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(pub(super) Body);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Struct(Struct),
    Bytes(String),
}

/// A struct: the message itself, or one within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    name: String,
    size: usize,
    alignment: usize,
    fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    offset: usize,
    ty: Type,
}

/// Type of a field or of an array's element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Scalar(Scalar),
    /// So many of one type, one behind the other.
    Array {
        /// What it holds.
        of: Box<Type>,
        /// How many.
        length: usize,
    },
    /// Fields of its own.
    Struct(Struct),
}

/// A number; all of them are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Unsigned, 1 byte.
    U8,
    /// Unsigned, 2 bytes.
    U16,
    /// Unsigned, 4 bytes.
    U32,
    /// Unsigned, 8 bytes.
    U64,
    /// Signed, 1 byte.
    I8,
    /// Signed, 2 bytes.
    I16,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 8 bytes.
    I64,
    /// IEEE 754, 4 bytes.
    F32,
    /// IEEE 754, 8 bytes.
    F64,
}

/// Why there is no such schema.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is written in a form of another version.
    #[error("schema has format={found}, this build reads format={expected}: use the same release")]
    Format {
        /// What it says.
        found: u32,
        /// What this build reads.
        expected: u32,
    },
    /// No memory looks like that, or it exceeds a limit.
    #[error("schema is not possible: {what}: {rule}")]
    Impossible {
        /// Which part.
        what: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// It is no JSON, or not the JSON of a schema.
    #[error("text is no schema: {0}: take what `Schema::to_json` wrote")]
    NotASchema(#[source] serde_json::Error),
}

impl SchemaError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => "CL-0432",
            Self::Impossible { .. } => "CL-0433",
            Self::NotASchema(_) => "CL-0434",
        }
    }
}

impl Schema {
    /// The schema of messages that are one struct.
    pub fn new(message: Struct) -> Self {
        Self(Body::Struct(message))
    }

    /// The schema of messages that are bytes of any number and without fields.
    ///
    /// # Errors
    /// - [`SchemaError::Impossible`]: the name is empty, too long or has control characters.
    pub fn bytes(name: &str) -> Result<Self, SchemaError> {
        check_name(name)?;
        Ok(Self(Body::Bytes(name.to_owned())))
    }

    /// The schema of a Rust type; what the derive macro calls.
    ///
    /// # Panics
    /// When the fields do not describe the type, or it exceeds a limit of this module.
    pub fn of<T: bytemuck::Pod>(name: &str, fields: Vec<Field>) -> Self {
        match Struct::new(name, size_of::<T>(), align_of::<T>(), fields) {
            Ok(message) => Self::new(message),
            Err(error) => panic!("{}: {error}", std::any::type_name::<T>()),
        }
    }

    /// The name that its maker gave, for people: two schemas with different names may be equal in
    /// all that counts.
    pub fn name(&self) -> &str {
        match &self.0 {
            Body::Struct(message) => &message.name,
            Body::Bytes(name) => name,
        }
    }

    /// Bytes of every message; none where they differ.
    pub fn size(&self) -> Option<usize> {
        self.message().map(Struct::size)
    }

    /// What the address of a message is a multiple of; 1 for raw bytes.
    pub fn alignment(&self) -> usize {
        self.message().map_or(1, Struct::alignment)
    }

    /// The fields in the order in which they lie in memory; none in raw bytes.
    pub fn fields(&self) -> &[Field] {
        self.message().map_or(&[], Struct::fields)
    }

    /// The struct that its messages are, unless they are raw bytes.
    pub fn message(&self) -> Option<&Struct> {
        match &self.0 {
            Body::Struct(message) => Some(message),
            Body::Bytes(_) => None,
        }
    }
}

impl Struct {
    /// A struct with these fields, in the order in which they lie in memory.
    ///
    /// # Errors
    /// - [`SchemaError::Impossible`]: the fields overlap, leave a gap, are too many, or do not add
    ///   up to `size`; a name is no identifier or used twice; the alignment is no power of two that
    ///   divides the size; something exceeds a limit of this module.
    pub fn new(
        name: &str,
        size: usize,
        alignment: usize,
        fields: Vec<Field>,
    ) -> Result<Self, SchemaError> {
        check_name(name)?;
        let whole = Self { name: name.to_owned(), size, alignment, fields };
        whole.check().map_err(|(what, rule)| SchemaError::Impossible { what, rule })?;
        Ok(whole)
    }

    /// What the first broken rule is about, and the rule.
    fn check(&self) -> Result<(), (String, String)> {
        let refuse = |rule: String| Err((format!("`{}`", self.name), rule));
        if self.fields.is_empty() || self.fields.len() > FIELDS_MAX {
            return refuse(format!("it has {} fields, not 1 to {FIELDS_MAX}", self.fields.len()));
        }
        if self.size > MESSAGE_BYTES_MAX {
            return refuse(format!("it has {} bytes, at most {MESSAGE_BYTES_MAX}", self.size));
        }
        if !self.alignment.is_power_of_two() || self.alignment > ALIGNMENT_MAX {
            let rule = "no power of two up to";
            return refuse(format!("its alignment {} is {rule} {ALIGNMENT_MAX}", self.alignment));
        }
        if !self.size.is_multiple_of(self.alignment) {
            let (size, alignment) = (self.size, self.alignment);
            return refuse(format!("its size {size} is no multiple of its alignment {alignment}"));
        }
        let mut names = std::collections::BTreeSet::new();
        let mut end = 0;
        for field in &self.fields {
            let refuse = |rule: String| Err((format!("field `{}`", field.name), rule));
            if !is_field_name(&field.name) {
                let limit = FIELD_NAME_BYTES_MAX;
                return refuse(format!("its name is no ASCII identifier of 1 to {limit} bytes"));
            }
            if !names.insert(&field.name) {
                return refuse("its name is used twice".to_owned());
            }
            if field.ty.depth() >= DEPTH_MAX {
                return refuse(format!("it lies deeper than {DEPTH_MAX} structs and arrays"));
            }
            if field.offset != end {
                return refuse(format!(
                    "it begins at {}, the one before ends at {end}",
                    field.offset
                ));
            }
            let size = field.ty.size();
            if size == 0 || size > self.size - end {
                return refuse(format!("it has {size} bytes, {} are left", self.size - end));
            }
            end += size;
        }
        if end != self.size {
            return refuse(format!("its fields end at {end} of {} bytes", self.size));
        }
        Ok(())
    }

    /// The name that its maker gave, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What its address is a multiple of.
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// Its fields in the order in which they lie in memory.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// A field at a distance from the begin of its struct.
    pub fn new(name: &str, offset: usize, ty: Type) -> Self {
        Self { name: name.to_owned(), offset, ty }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes from the begin of its struct.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }
}

impl Type {
    /// Bytes of a value; what exceeds the machine's largest number counts as that.
    pub fn size(&self) -> usize {
        match self {
            Self::Scalar(scalar) => scalar.size(),
            Self::Array { of, length } => of.size().saturating_mul(*length),
            Self::Struct(inner) => inner.size,
        }
    }

    /// Structs and arrays within each other, this one included.
    fn depth(&self) -> usize {
        match self {
            Self::Scalar(_) => 0,
            Self::Array { of, .. } => 1 + of.depth(),
            Self::Struct(inner) => {
                1 + inner.fields.iter().map(|field| field.ty.depth()).max().unwrap_or(0)
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => f.write_str(scalar.name()),
            Self::Array { of, length } => write!(f, "[{of}; {length}]"),
            Self::Struct(inner) => write!(f, "struct {}", inner.name),
        }
    }
}

impl Scalar {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F32,
        Self::F64,
    ];

    /// Its name in Rust, which is also that in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Its bytes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

fn check_name(name: &str) -> Result<(), SchemaError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let rule = format!("it has not 1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(SchemaError::Impossible { what: format!("name {name:?}"), rule });
    }
    Ok(())
}

fn is_field_name(name: &str) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= FIELD_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(is_start)
        && name.bytes().all(|byte| is_start(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, offset: usize, ty: Type) -> Field {
        Field::new(name, offset, ty)
    }

    fn array(of: Type, length: usize) -> Type {
        Type::Array { of: Box::new(of), length }
    }

    #[test]
    fn what_no_memory_looks_like_is_refused() {
        let byte = || Type::Scalar(Scalar::U8);
        let bytes = |count: usize| (0..count).map(|i| field(&format!("f{i}"), i, byte())).collect();
        let deep = |levels: usize| (0..levels).fold(byte(), |ty, _| array(ty, 1));
        let huge = MESSAGE_BYTES_MAX + 1;
        let (zero, wide) = (array(byte(), 0), array(array(byte(), usize::MAX), 2));
        let short = Type::Scalar(Scalar::U16);
        #[rustfmt::skip]
        let cases: [(usize, usize, Vec<Field>, &str); 16] = [
            (0, 1, vec![], "0 fields"),
            (1025, 1, bytes(1025), "1025 fields"),
            (huge, 1, vec![field("a", 0, array(byte(), huge))], "at most 1073741824"),
            (1, 3, bytes(1), "alignment 3 is no power of two"),
            (8192, 8192, vec![field("a", 0, array(byte(), 8192))], "up to 4096"),
            (3, 2, bytes(3), "size 3 is no multiple"),
            (1, 1, vec![field("", 0, byte())], "no ASCII identifier"),
            (1, 1, vec![field("1a", 0, byte())], "no ASCII identifier"),
            (1, 1, vec![field("größe", 0, byte())], "no ASCII identifier"),
            (2, 1, vec![field("a", 0, byte()), field("a", 1, byte())], "used twice"),
            (1, 1, vec![field("a", 0, deep(16))], "deeper than 16"),
            (3, 1, vec![field("a", 0, byte()), field("b", 2, byte())], "the one before ends at 1"),
            (1, 1, vec![field("a", 0, zero)], "has 0 bytes"),
            (8, 1, vec![field("a", 0, wide)], "8 are left"),
            (2, 1, vec![field("a", 0, byte()), field("b", 1, short)], "2 bytes, 1 are left"),
            (2, 1, bytes(1), "end at 1 of 2"),
        ];
        for (size, alignment, fields, expected) in cases {
            let error = Struct::new("a", size, alignment, fields).unwrap_err();
            assert_eq!(error.code(), "CL-0433");
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        }
        assert!(Struct::new("a", 1, 1, vec![field("a", 0, deep(15))]).is_ok());
        for name in ["", "a\nb", &"a".repeat(256)] {
            assert_eq!(Schema::bytes(name).unwrap_err().code(), "CL-0433");
            assert!(Struct::new(name, 1, 1, bytes(1)).is_err());
        }
    }

    #[test]
    fn what_just_keeps_to_the_limits_is_taken() {
        let byte = || Type::Scalar(Scalar::U8);
        let bytes = |count: usize| (0..count).map(|i| field(&format!("f{i}"), i, byte())).collect();
        let one = |name: &str| vec![field(name, 0, byte())];
        let of = |name: &str, size, alignment, fields| Struct::new(name, size, alignment, fields);
        assert!(of("a", FIELDS_MAX, 1, bytes(FIELDS_MAX)).is_ok());
        let whole = vec![field("a", 0, array(byte(), MESSAGE_BYTES_MAX))];
        assert!(of("a", MESSAGE_BYTES_MAX, 4096, whole).is_ok());
        for (length, is_taken) in [(NAME_BYTES_MAX, true), (NAME_BYTES_MAX + 1, false)] {
            assert_eq!(of(&"n".repeat(length), 1, 1, one("a")).is_ok(), is_taken);
            assert_eq!(Schema::bytes(&"n".repeat(length)).is_ok(), is_taken);
        }
        let long = |length| "n".repeat(length);
        for name in ["_", "_1", "A0", "z", &long(FIELD_NAME_BYTES_MAX)] {
            assert!(of("a", 1, 1, one(name)).is_ok(), "{name}");
        }
        for name in ["a-b", "a b", "1", &long(FIELD_NAME_BYTES_MAX + 1)] {
            assert!(of("a", 1, 1, one(name)).is_err(), "{name}");
        }
        // A message that needs no alignment, and one whose fields leave it a byte too short.
        assert!(of("a", 2, 1, bytes(2)).is_ok());
        assert!(of("a", 1, 1, vec![field("a", 0, Type::Scalar(Scalar::U16))]).is_err());
    }

    #[test]
    fn structs_and_arrays_within_each_other_count_as_levels() {
        let within = |ty: Type| {
            let size = ty.size();
            let fields = vec![field("inner", 0, ty), field("byte", size, Type::Scalar(Scalar::U8))];
            Struct::new("s", size + 1, 1, fields)
        };
        let mut ty = Type::Scalar(Scalar::U8);
        for _ in 0..7 {
            ty = array(Type::Struct(within(ty).expect("it is less than 16 deep")), 1);
        }
        assert_eq!(ty.depth(), 14);
        let ty = Type::Struct(within(ty).expect("because 14 are fewer than 16"));
        let last = within(ty).expect("because 15 are fewer than 16");
        assert!(within(Type::Struct(last)).is_err());
    }

    #[test]
    fn a_type_that_is_described_wrongly_is_a_panic_with_its_name() {
        let panic = std::panic::catch_unwind(|| Schema::of::<u64>("a", vec![])).unwrap_err();
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(text.starts_with("u64: schema is not possible"), "{text}");
    }
}
