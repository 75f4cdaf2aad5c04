//! From the tokens of a struct to its `impl Message`, or to an error at the place of the mistake.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, FieldsNamed, Ident, Result};

use crate::attributes::{Options, is_repr_c};

/// Most fields of one struct, as in `corelane_transport::schema`.
const FIELDS_MAX: usize = 1024;
/// Longest name of a field, as there.
const FIELD_NAME_BYTES_MAX: usize = 64;

/// The whole macro, over tokens that also tests can make.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let options = Options::read(&input)?;
    let fields = named_fields(&input)?;
    refuse_generics(&input)?;
    if !is_repr_c(&input) {
        let message = "a message has a layout that is the same in every build: add `#[repr(C)]`";
        return Err(Error::new(input.ident.span(), message));
    }

    let transport = match &options.transport {
        Some(path) => quote!(#path),
        None => quote!(::corelane_transport),
    };
    let schema = quote!(#transport::schema);
    let (ident, name) = (&input.ident, options.name.unwrap_or_else(|| plain(&input.ident)));
    let fields = fields.named.iter().map(|field| field_of(field, &schema));
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(quote! {
        #[automatically_derived]
        impl #schema::Message for #ident {
            fn schema() -> #schema::Schema {
                #schema::Schema::of::<Self>(#name, ::std::vec![#(#fields),*])
            }
        }
    })
}

fn named_fields(input: &DeriveInput) -> Result<&FieldsNamed> {
    let refuse = |span: Span, message: &str| Err(Error::new(span, message));
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => {
            let message = "an enum is no message, because not every byte pattern is one of its \
                           values: send a struct with a number that names the variant";
            return refuse(data.enum_token.span, message);
        }
        Data::Union(data) => {
            let message = "a union is no message, because nothing says which of its fields holds: \
                           send a struct";
            return refuse(data.union_token.span, message);
        }
    };
    match &data.fields {
        Fields::Named(fields) if fields.named.is_empty() => {
            refuse(input.ident.span(), "a message has at least one field")
        }
        Fields::Named(fields) if fields.named.len() > FIELDS_MAX => {
            refuse(input.ident.span(), &format!("a message has at most {FIELDS_MAX} fields"))
        }
        Fields::Named(fields) => Ok(fields),
        Fields::Unnamed(fields) => {
            refuse(fields.span(), "the fields of a message have names: write `{ name: type }`")
        }
        Fields::Unit => refuse(input.ident.span(), "a message has at least one field"),
    }
}

fn refuse_generics(input: &DeriveInput) -> Result<()> {
    if input.generics.params.is_empty() {
        return Ok(());
    }
    let message = "a message has no generic parameters, because its layout would depend on them: \
                   derive it for a struct with concrete types";
    Err(Error::new(input.generics.params.span(), message))
}

/// `Field::of::<T>("name", offset)`, with the place of the type, so that a type that cannot be in
/// a message is reported there.
fn field_of(field: &Field, schema: &TokenStream) -> Result<TokenStream> {
    let ident = field.ident.as_ref().expect("the field has a name because only such get here");
    let (name, ty) = (plain(ident), &field.ty);
    if !name.is_ascii() || name.len() > FIELD_NAME_BYTES_MAX {
        let rule = format!(
            "a field of a message has a name of at most {FIELD_NAME_BYTES_MAX} ASCII characters, \
             because other languages read it too"
        );
        return Err(Error::new(ident.span(), rule));
    }
    Ok(quote_spanned! {ty.span()=>
        #schema::Field::of::<#ty>(#name, ::core::mem::offset_of!(Self, #ident))
    })
}

/// An identifier without the `r#` that keeps it apart from a keyword.
fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of the error and the text that it points to.
    fn refusal(text: &str) -> (String, String) {
        let tokens: TokenStream = text.parse().expect("the sample is Rust");
        let error = expand(tokens).expect_err("the sample is refused");
        let (start, end) = (error.span().start(), error.span().end());
        assert_eq!(start.line, end.line, "{error}");
        let line = text.lines().nth(start.line - 1).unwrap_or_default();
        let place = line.chars().skip(start.column).take(end.column - start.column).collect();
        (error.to_string(), place)
    }

    fn expansion(text: &str) -> String {
        expand(text.parse().expect("the sample is Rust")).expect("it expands").to_string()
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let long = format!("#[repr(C)] struct A {{ {}: u8 }}", "a".repeat(65));
        #[rustfmt::skip]
        let cases = [
            ("#[repr(C)]\nenum A { B }", "an enum is no message", "enum"),
            ("#[repr(C)]\nunion A { a: u8 }", "a union is no message", "union"),
            ("#[repr(C)] struct A(u8);", "have names", "(u8)"),
            ("#[repr(C)] struct A;", "at least one field", "A"),
            ("#[repr(C)] struct A {}", "at least one field", "A"),
            ("#[repr(C)] struct A<T> { a: T }", "no generic parameters", "T"),
            ("#[repr(C)] struct A<'a> { a: &'a u8 }", "no generic parameters", "'a"),
            ("struct A { a: u8 }", "add `#[repr(C)]`", "A"),
            ("#[repr(transparent)] struct A { a: u8 }", "add `#[repr(C)]`", "A"),
            ("#[repr(C)] struct A { größe: u8 }", "ASCII", "größe"),
            (&long, "at most 64", &long[22..87]),
            ("#[message(name = \"\")] struct A { a: u8 }", "1 to 255 bytes", "\"\""),
            ("#[message(name = \"a\\n\")] struct A { a: u8 }", "control characters", "\"a\\n\""),
            ("#[message(name = \"a\", name = \"b\")] struct A { a: u8 }", "twice", "name = \"b\""),
            ("#[message(title = \"a\")] struct A { a: u8 }", "not known here", "title"),
        ];
        for (text, message, place) in cases {
            let (told, at) = refusal(text);
            assert!(told.contains(message), "{text}: {told}");
            assert_eq!(at, place, "{text}");
        }
        let many: String = (0..1025).map(|index| format!("f{index}: u8, ")).collect();
        let (told, _) = refusal(&format!("#[repr(C)] struct A {{ {many} }}"));
        assert!(told.contains("at most 1024 fields"), "{told}");
    }

    #[test]
    fn names_come_from_the_attribute_or_the_plain_identifier() {
        let plain = expansion("#[repr(C)] struct Trade { r#type: u8 }");
        assert!(plain.contains(":: of :: < Self > (\"Trade\""), "{plain}");
        assert!(plain.contains(":: of :: < u8 > (\"type\""), "{plain}");
        let named = expansion("#[repr(C)] #[message(name = \"trade v2\")] struct Trade { a: u8 }");
        assert!(named.contains("(\"trade v2\""), "{named}");
        let moved = expansion(
            "#[repr(C, align(16))] #[message(crate = \"corelane::transport\")] struct A { a: u8 }",
        );
        assert!(moved.contains("impl corelane :: transport :: schema :: Message for A"), "{moved}");
    }

    #[test]
    fn the_generated_code_holds_nothing_unsafe() {
        let text = expansion("#[repr(C)] struct A { a: u8, b: [u16; 4] }");
        assert!(!text.contains("unsafe"), "{text}");
    }
}
