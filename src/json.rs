//! Strings, numbers and labels as JSON.

use crate::{
    format::{Sink, put_decimal, put_escaped},
    label::kind,
    maps::name,
};

/// Appends `text` as a JSON string. A byte that is not printable ASCII becomes the code
/// point of the same number, because JSON has no byte strings.
pub fn put_string(text: &[u8], out: &mut impl Sink) {
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    out.put(b"\"");
    put_escaped(text, is_special, (b"\\u", 4), out);
    out.put(b"\"");
}

/// Appends `,"NAME":NUMBER`, or `null` for `None`.
pub fn put_member(name: &[u8], number: Option<u64>, out: &mut impl Sink) {
    put_name(name, out);
    match number {
        Some(number) => put_decimal(number, out),
        None => out.put(b"null"),
    }
}

/// Appends `,` and the members `name`, `kind` and `label` of an object.
pub fn put_label(label: &[u8], out: &mut impl Sink) {
    match name(label) {
        Some(name) => {
            put_name(b"name", out);
            put_string(name, out);
        }
        None => put_member(b"name", None, out),
    }
    put_name(b"kind", out);
    put_string(kind(label), out);
    put_name(b"label", out);
    put_string(label, out);
}

fn put_name(name: &[u8], out: &mut impl Sink) {
    out.put(b",\"");
    out.put(name);
    out.put(b"\":");
}
