//! Why two schemas are not one, in words that stand in a refusal.

use super::layout::{Body, Schema, Struct, Type};

impl Schema {
    /// Each way in which `other` is not this schema, as "field `price`: offset 8 here, 16 there".
    /// Empty exactly when both have one [hash](Self::hash); names of structs do not count.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        match (&self.0, &other.0) {
            (Body::Struct(here), Body::Struct(there)) => {
                compare_structs(&mut found, "", here, there);
            }
            (Body::Bytes(_), Body::Bytes(_)) => {}
            (Body::Struct(here), Body::Bytes(_)) => {
                found.push(format!("a struct of {} bytes here, raw bytes there", here.size()));
            }
            (Body::Bytes(_), Body::Struct(there)) => {
                found.push(format!("raw bytes here, a struct of {} bytes there", there.size()));
            }
        }
        found
    }
}

/// `path` is that of the struct, with what separates it from its fields.
fn compare_structs(found: &mut Vec<String>, path: &str, here: &Struct, there: &Struct) {
    let whole = match path.trim_end_matches('.') {
        "" => String::new(),
        path => format!("field `{path}`: "),
    };
    let mut compare = |what: &str, here: usize, there: usize| {
        if here != there {
            found.push(format!("{whole}{what} {here} here, {there} there"));
        }
    };
    compare("size", here.size(), there.size());
    compare("alignment", here.alignment(), there.alignment());
    for field in here.fields() {
        let path = format!("{path}{}", field.name());
        let Some(other) = there.field(field.name()) else {
            found.push(format!("field `{path}` is missing there"));
            continue;
        };
        if field.offset() != other.offset() {
            let (here, there) = (field.offset(), other.offset());
            found.push(format!("field `{path}`: offset {here} here, {there} there"));
        }
        compare_types(found, &path, field.ty(), other.ty());
    }
    for field in there.fields().iter().filter(|field| here.field(field.name()).is_none()) {
        found.push(format!("field `{path}{}` is missing here", field.name()));
    }
}

fn compare_types(found: &mut Vec<String>, path: &str, here: &Type, there: &Type) {
    match (here, there) {
        (Type::Struct(here), Type::Struct(there)) => {
            compare_structs(found, &format!("{path}."), here, there);
        }
        (Type::Array { of: here, length }, Type::Array { of: there, length: other })
            if length == other =>
        {
            compare_types(found, &format!("{path}[]"), here, there);
        }
        (Type::Scalar(here), Type::Scalar(there)) if here == there => {}
        _ => found.push(format!("field `{path}`: type {here} here, {there} there")),
    }
}
