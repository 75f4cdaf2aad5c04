//! The JSON form of a schema, which other languages read and write.
//!
//! ```json
//! {"format": 1, "struct": {"name": "trade", "size": 16, "alignment": 8, "fields": [
//!     {"name": "price", "offset": 0, "size": 8, "type": "f64"},
//!     {"name": "venue", "offset": 8, "size": 4, "type": {"array": {"of": "u8", "length": 4}}},
//!     {"name": "side", "offset": 12, "size": 4, "type": {"struct": {"name": "…", …}}}
//! ]}}
//! {"format": 1, "bytes": {"name": "frames"}}
//! ```
//!
//! The names of types are those of [`Scalar`]. Keys that are not known are skipped; whatever
//! changes the meaning of the others is a new format. What is read is checked as if
//! it were made by hand.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::layout::{Body, Field, Scalar, Schema, SchemaError, Struct, Type};

/// Version of the form and of the bytes that are hashed.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct SchemaForm {
    format: u32,
    #[serde(rename = "struct", default, skip_serializing_if = "Option::is_none")]
    message: Option<StructForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<BytesForm>,
}

/// Read before everything else, so that another format is told apart from nonsense.
#[derive(Deserialize)]
struct FormatForm {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct BytesForm {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct StructForm {
    name: String,
    size: usize,
    alignment: usize,
    fields: Vec<FieldForm>,
}

#[derive(Serialize, Deserialize)]
struct FieldForm {
    name: String,
    offset: usize,
    size: usize,
    #[serde(rename = "type")]
    ty: TypeForm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TypeForm {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    Array { of: Box<TypeForm>, length: usize },
    Struct(StructForm),
}

impl Schema {
    /// The schema as one line of JSON; `docs/SPECIFICATION.md` describes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&SchemaForm::from(self))
            .expect("it is written because it has only text, numbers and lists")
    }

    /// Reads what [`to_json`](Self::to_json) wrote, here or in another language.
    ///
    /// # Errors
    /// - [`SchemaError::Format`]: it is of another format.
    /// - [`SchemaError::NotASchema`]: it is no JSON of this form.
    /// - [`SchemaError::Impossible`]: it describes nothing that can lie in memory.
    pub fn from_json(text: &str) -> Result<Self, SchemaError> {
        let head: FormatForm = serde_json::from_str(text).map_err(SchemaError::NotASchema)?;
        if head.format != FORMAT {
            return Err(SchemaError::Format { found: head.format, expected: FORMAT });
        }
        let form: SchemaForm = serde_json::from_str(text).map_err(SchemaError::NotASchema)?;
        form.check()
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SchemaForm::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SchemaForm::deserialize(deserializer)?.check().map_err(D::Error::custom)
    }
}

impl SchemaForm {
    fn check(self) -> Result<Schema, SchemaError> {
        if self.format != FORMAT {
            return Err(SchemaError::Format { found: self.format, expected: FORMAT });
        }
        match (self.message, self.bytes) {
            (Some(message), None) => Ok(Schema::new(message.check()?)),
            (None, Some(bytes)) => Schema::bytes(&bytes.name),
            _ => {
                let message = "it has not one of `struct` and `bytes`";
                Err(SchemaError::NotASchema(serde_json::Error::custom(message)))
            }
        }
    }
}

impl StructForm {
    fn check(self) -> Result<Struct, SchemaError> {
        let fields = self.fields.into_iter().map(FieldForm::check);
        let fields = fields.collect::<Result<_, _>>()?;
        Struct::new(&self.name, self.size, self.alignment, fields)
    }
}

impl FieldForm {
    fn check(self) -> Result<Field, SchemaError> {
        let ty = self.ty.check()?;
        if ty.size() != self.size {
            let (what, said) = (format!("field `{}`", self.name), self.size);
            let rule = format!("it says {said} bytes, its type {ty} has {}", ty.size());
            return Err(SchemaError::Impossible { what, rule });
        }
        Ok(Field::new(&self.name, self.offset, ty))
    }
}

impl TypeForm {
    fn check(self) -> Result<Type, SchemaError> {
        let scalar = match self {
            Self::Array { of, length } => {
                return Ok(Type::Array { of: Box::new(of.check()?), length });
            }
            Self::Struct(inner) => return Ok(Type::Struct(inner.check()?)),
            Self::U8 => Scalar::U8,
            Self::U16 => Scalar::U16,
            Self::U32 => Scalar::U32,
            Self::U64 => Scalar::U64,
            Self::I8 => Scalar::I8,
            Self::I16 => Scalar::I16,
            Self::I32 => Scalar::I32,
            Self::I64 => Scalar::I64,
            Self::F32 => Scalar::F32,
            Self::F64 => Scalar::F64,
        };
        Ok(Type::Scalar(scalar))
    }
}

impl From<&Schema> for SchemaForm {
    fn from(schema: &Schema) -> Self {
        let (message, bytes) = match &schema.0 {
            Body::Struct(message) => (Some(StructForm::from(message)), None),
            Body::Bytes(name) => (None, Some(BytesForm { name: name.clone() })),
        };
        Self { format: FORMAT, message, bytes }
    }
}

impl From<&Struct> for StructForm {
    fn from(it: &Struct) -> Self {
        let field = |field: &Field| FieldForm {
            name: field.name().to_owned(),
            offset: field.offset(),
            size: field.ty().size(),
            ty: TypeForm::from(field.ty()),
        };
        Self {
            name: it.name().to_owned(),
            size: it.size(),
            alignment: it.alignment(),
            fields: it.fields().iter().map(field).collect(),
        }
    }
}

impl From<&Type> for TypeForm {
    fn from(ty: &Type) -> Self {
        match ty {
            Type::Array { of, length } => {
                Self::Array { of: Box::new(Self::from(&**of)), length: *length }
            }
            Type::Struct(inner) => Self::Struct(StructForm::from(inner)),
            Type::Scalar(Scalar::U8) => Self::U8,
            Type::Scalar(Scalar::U16) => Self::U16,
            Type::Scalar(Scalar::U32) => Self::U32,
            Type::Scalar(Scalar::U64) => Self::U64,
            Type::Scalar(Scalar::I8) => Self::I8,
            Type::Scalar(Scalar::I16) => Self::I16,
            Type::Scalar(Scalar::I32) => Self::I32,
            Type::Scalar(Scalar::I64) => Self::I64,
            Type::Scalar(Scalar::F32) => Self::F32,
            Type::Scalar(Scalar::F64) => Self::F64,
        }
    }
}
