//! The functions that set, keep and show names.
//!
//! The functions of [`WHOLE`] are mutated in every statement. Every other function of
//! [`FILES`], and every macro with parameters, is mutated only in statements that mention a
//! name. Files and functions that a version of Linux does not have are skipped.

/// The files on the naming path, from 6.1 to 7.3.
pub const FILES: &[&str] = &[
    "kernel/sys.c",
    "kernel/fork.c",
    "mm/madvise.c",
    "mm/shmem.c",
    "mm/mmap.c",
    "mm/mremap.c",
    "mm/vma.c",
    "mm/vma.h",
    "mm/vma_init.c",
    "fs/proc/task_mmu.c",
    "include/linux/mm_inline.h",
];

/// The functions in which every statement is on the naming path.
pub const WHOLE: &[&str] = &[
    // The system call.
    "prctl_set_vma",
    "set_anon_vma_name",
    "is_valid_name_char",
    "madvise_set_anon_name",
    "madvise_vma_anon_name",
    "madvise_walk_vmas",
    "madvise_update_vma",
    // The name as an object with a reference count.
    "anon_vma_name",
    "anon_vma_name_alloc",
    "anon_vma_name_eq",
    "anon_vma_name_free",
    "anon_vma_name_get",
    "anon_vma_name_put",
    "anon_vma_name_reuse",
    "dup_anon_vma_name",
    "free_anon_vma_name",
    "replace_anon_vma_name",
    // Merge and split.
    "is_mergeable_vma",
    "split_vma",
    "vma_modify",
    "vma_modify_flags_name",
    "vma_modify_name",
    // /proc/PID/maps and PROCMAP_QUERY.
    "do_procmap_query",
    "get_next_vma",
    "get_vma_name",
    "m_next",
    "m_start",
    "proc_get_vma",
    "procfs_procmap_ioctl",
    "query_matching_vma",
    "query_vma_find_by_addr",
    "show_map",
    "show_map_vma",
    "show_vma_header_prefix",
    // Shared memory.
    "__shmem_zero_setup",
    "shmem_mmap",
    "shmem_mmap_prepare",
    "shmem_zero_setup",
    "shmem_zero_setup_desc",
    "vma_is_anon_shmem",
];

/// Functions that contain [`WORDS`] for another purpose: huge pages and userfaultfd have to
/// know whether memory is shared.
pub const OTHERS: &[&str] = &["shmem_allowable_huge_orders", "vma_is_shmem"];

/// A statement of any other function mentions a name if this expression matches it.
pub const WORDS: &str = r"anon_name|anon_vma_name|ANON_NAME|ANON_VMA_NAME|show_map_vma\
|get_vma_name|shmem_anon_vm_ops|vma_is_anon_shmem|vma_modify_\w*name";

/// Calls that check the kernel itself. Mutating them changes no behaviour.
pub const ASSERTIONS: &str = r"^(VM_)?(WARN|BUG)_ON|assert|^ASSERT_|^lockdep_";

/// Macros whose arguments are types and fields, not values.
pub const OF_TYPES: &str = r"^(offsetof|offsetofend|container_of|sizeof_field|struct_size)$";
