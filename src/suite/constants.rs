//! Values of the suite's constants on this architecture.

use linux_raw_sys::{general::*, prctl::*};

/// `include/uapi/linux/ipc.h`.
const IPC_PRIVATE: u32 = 0;
const IPC_RMID: u32 = 0;

/// `include/uapi/linux/fs.h`: `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: u32 = 0xc068_6611;
const PROCMAP_QUERY_VMA_READABLE: u32 = 0x01;
const PROCMAP_QUERY_VMA_WRITABLE: u32 = 0x02;
const PROCMAP_QUERY_VMA_EXECUTABLE: u32 = 0x04;
const PROCMAP_QUERY_VMA_SHARED: u32 = 0x08;
const PROCMAP_QUERY_COVERING_OR_NEXT_VMA: u32 = 0x10;
const PROCMAP_QUERY_FILE_BACKED_VMA: u32 = 0x20;

macro_rules! values {
    ($($name:ident)*) => { &[$($name as u32),*] };
}

/// The values, in the order of the names in `calls.rs`.
pub(super) const VALUES: &[u32] = crate::constants!(values);
