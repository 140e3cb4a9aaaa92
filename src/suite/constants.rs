//! Values of the suite's constants on this architecture.

use linux_raw_sys::{general::*, prctl::*};

/// `include/uapi/linux/ipc.h`.
const IPC_PRIVATE: u32 = 0;
const IPC_RMID: u32 = 0;

/// `include/uapi/linux/fs.h`: `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: u32 = 0xc068_6611;

macro_rules! values {
    ($($name:ident)*) => { &[$($name as u64),*] };
}

/// The values, in the order of the names in `calls.rs`.
pub(super) const VALUES: &[u64] = crate::constants!(values);
