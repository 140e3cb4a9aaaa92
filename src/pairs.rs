//! Messages packed by pairs: a byte that is no ASCII stands for two others.
//!
//! The build script takes the two bytes that most often stand side by side in all messages,
//! lets one new byte stand for both, and goes on so with what that makes, until a pair
//! would save nothing (P. Gage, A New Algorithm for Data Compression, 1994). Unlike
//! what [`packing`](crate::packing) makes, each message can be read by itself, without
//! memory. A `%`, where a value comes, is in no pair. In bytes:
//!
//! ```text
//! PAIR... NUL MESSAGE...      a pair for 255, one for 254 and so on
//! MESSAGE     byte... NUL
//! ```

use crate::{
    messages::Message,
    text::{Sink, split},
};

/// As the build script left them.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/messages"));

/// `message`, packed.
pub(crate) fn find(message: Message) -> &'static [u8] {
    let mut rest = PACKED;
    for _ in 0..=message.0 {
        (_, rest) = split(rest, 0);
    }
    split(rest, 0).0
}

/// Writes what `byte` stands for to `out`.
pub(crate) fn unpack(byte: u8, out: &mut dyn Sink) {
    let (pairs, _) = PACKED.as_chunks();
    match pairs.get(usize::from(!byte)) {
        Some([first, second]) if !byte.is_ascii() => {
            unpack(*first, out);
            unpack(*second, out);
        }
        _ => out.put(&[byte]),
    }
}
