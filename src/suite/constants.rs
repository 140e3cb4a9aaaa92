//! Values of the suite's constants on this architecture.

use core::mem::offset_of;
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

/// Offsets in `struct procmap_query`, in bytes. The device is two numbers of 32 bits.
const FIELD_SIZE: usize = offset_of!(procmap_query, size);
const FIELD_PAGE_SIZE: usize = offset_of!(procmap_query, vma_page_size);
const FIELD_OFFSET: usize = offset_of!(procmap_query, vma_offset);
const FIELD_INODE: usize = offset_of!(procmap_query, inode);
const FIELD_DEVICE: usize = offset_of!(procmap_query, dev_major);
const FIELD_NAME_SIZE: usize = offset_of!(procmap_query, vma_name_size);
const FIELD_BUILD_ID_SIZE: usize = offset_of!(procmap_query, build_id_size);
const FIELD_NAME: usize = offset_of!(procmap_query, vma_name_addr);
const FIELD_BUILD_ID: usize = offset_of!(procmap_query, build_id_addr);

/// `include/uapi/linux/mempolicy.h`.
const MPOL_DEFAULT: u32 = 0;
const MPOL_PREFERRED: u32 = 1;

/// `include/uapi/linux/userfaultfd.h`.
const UFFD_API: u32 = 0xaa;
const UFFD_USER_MODE_ONLY: u32 = 1;
const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_REGISTER_MODE_MISSING: u32 = 1;
const UFFDIO_UNREGISTER: u32 = 0x8010_aa01;

macro_rules! values {
    ($($name:ident)*) => { &[$($name as u32),*] };
}

/// The values, in the order of the names in `calls.rs`.
pub(super) const VALUES: &[u32] = crate::constants!(values);
