//! What the attributes of a struct say: its representation, and `#[message(…)]`.

use syn::{Attribute, DeriveInput, Error, LitStr, Path, Result};

/// Longest name of a message, as in `corelane_transport::schema`.
const NAME_BYTES_MAX: usize = 255;

/// What `#[message(…)]` says.
#[derive(Default)]
pub(crate) struct Options {
    /// The name for people.
    pub(crate) name: Option<String>,
    /// Where the transport crate is found.
    pub(crate) transport: Option<Path>,
}

impl Options {
    /// Reads every `#[message(…)]` of the struct.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self> {
        let mut options = Self::default();
        for attribute in input.attrs.iter().filter(|a| a.path().is_ident("message")) {
            options.read_one(attribute)?;
        }
        Ok(options)
    }

    fn read_one(&mut self, attribute: &Attribute) -> Result<()> {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                let literal: LitStr = meta.value()?.parse()?;
                if self.name.replace(checked_name(&literal)?).is_some() {
                    return Err(meta.error("the name is given twice"));
                }
                return Ok(());
            }
            if meta.path.is_ident("crate") {
                let literal: LitStr = meta.value()?.parse()?;
                if self.transport.replace(literal.parse()?).is_some() {
                    return Err(meta.error("the crate is given twice"));
                }
                return Ok(());
            }
            Err(meta.error("not known here: write `name = \"…\"` or `crate = \"…\"`"))
        })
    }
}

fn checked_name(literal: &LitStr) -> Result<String> {
    let name = literal.value();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let rule = format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
        return Err(Error::new(literal.span(), rule));
    }
    Ok(name)
}

/// Whether a `#[repr(…)]` names `C`.
pub(crate) fn is_repr_c(input: &DeriveInput) -> bool {
    let mut is_c = false;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("repr")) {
        // What is not understood here is judged by the compiler, which reads it too.
        let _ = attribute.parse_nested_meta(|meta| {
            is_c |= meta.path.is_ident("C");
            if meta.input.peek(syn::token::Paren) {
                let argument;
                syn::parenthesized!(argument in meta.input);
                argument.parse::<proc_macro2::TokenStream>()?;
            }
            Ok(())
        });
    }
    is_c
}
