//! Messages packed by pairs: a byte that is no ASCII stands for two others.
//!
//! The build script takes the two bytes that most often stand side by side in all messages,
//! lets one new byte stand for both, and goes on so with what that makes, until a pair
//! would save nothing (P. Gage, A New Algorithm for Data Compression, 1994). Unlike
//! what [`packing`](crate::packing) makes, each message can be read by itself, without
//! memory. In bytes:
//!
//! ```text
//! PAIR... NUL MESSAGE...      a pair for 255, one for 254 and so on
//! MESSAGE     byte... NUL
//! ```

use crate::{messages::Message, text::split};

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

/// What `byte` stands for; `None` if for itself.
pub(crate) fn pair(byte: u8) -> Option<&'static [u8; 2]> {
    let (pairs, _) = PACKED.as_chunks();
    if byte.is_ascii() {
        None
    } else {
        pairs.get(usize::from(!byte))
    }
}
