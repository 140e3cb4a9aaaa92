//! The operations and constants that `verbs.txt` may use, by name.
//!
//! The assembled suite contains, instead of a name, its place in these lists. The program
//! looks up the number that the name has on its architecture, so the assembled suite is the
//! same for every architecture.
//!
//! To use another system call or constant, add its name at the end of its list.

/// Passes the names of the system calls to the macro `$use`. The suite passes no argument of
/// 64 bits, such as the offset of pwrite64: it would take two registers on a 32-bit machine.
/// Where an architecture has another call instead, as 32-bit ones have mmap2 for mmap, its file
/// in `src/program/arch` says so.
#[macro_export]
macro_rules! system_calls {
    ($use:ident) => {
        $use! {
            prctl brk chdir close dup execve fcntl ftruncate ioctl madvise memfd_create memfd_secret
            mlock mmap mprotect mremap mseal munlock munmap openat pwrite64 read setresuid
            shmat shmctl shmget unlinkat lseek readlinkat userfaultfd mbind statx
        }
    };
}

/// Passes the names of the constants to the macro `$use`. The first 15 take one byte in the
/// assembled suite, the others two.
#[macro_export]
macro_rules! constants {
    ($use:ident) => {
        $use! {
            PROT_READ PROT_WRITE MAP_PRIVATE MAP_ANONYMOUS MAP_FIXED MAP_SHARED PR_SET_VMA
            PR_SET_VMA_ANON_NAME AT_FDCWD O_RDONLY MREMAP_MAYMOVE MREMAP_FIXED MAP_NORESERVE
            O_RDWR PROT_NONE PROT_EXEC
            F_GET_SEALS IPC_PRIVATE IPC_RMID MADV_DODUMP MADV_DOFORK MADV_DONTDUMP
            MADV_DONTFORK MADV_DONTNEED MADV_FREE MADV_GUARD_INSTALL MADV_KEEPONFORK
            MADV_MERGEABLE MADV_UNMERGEABLE MADV_WIPEONFORK MAP_DROPPABLE
            MAP_FIXED_NOREPLACE MAP_GROWSDOWN MAP_HUGETLB MAP_STACK MFD_HUGETLB
            MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_RANDOM MADV_REMOVE MADV_SEQUENTIAL
            MREMAP_DONTUNMAP O_CLOEXEC O_CREAT O_EXCL PROCMAP_QUERY
            PROCMAP_QUERY_COVERING_OR_NEXT_VMA PROCMAP_QUERY_FILE_BACKED_VMA
            PROCMAP_QUERY_VMA_EXECUTABLE PROCMAP_QUERY_VMA_READABLE PROCMAP_QUERY_VMA_SHARED
            PROCMAP_QUERY_VMA_WRITABLE PR_SET_TAGGED_ADDR_CTRL
            PR_TAGGED_ADDR_ENABLE S_IRUSR S_IWUSR FIELD_SIZE FIELD_PAGE_SIZE FIELD_OFFSET
            FIELD_INODE FIELD_DEVICE FIELD_NAME_SIZE FIELD_BUILD_ID_SIZE FIELD_NAME
            FIELD_BUILD_ID UFFD_API UFFD_USER_MODE_ONLY UFFDIO_API UFFDIO_REGISTER
            UFFDIO_REGISTER_MODE_MISSING UFFDIO_UNREGISTER MPOL_DEFAULT MPOL_PREFERRED
            AT_EMPTY_PATH STATX_BASIC_STATS
        }
    };
}

/// Joins names, with a blank after each.
macro_rules! joined {
    ($($name:ident)*) => { concat!($(stringify!($name), " "),*) };
}

/// Names of the constants, counted from 1.
pub const CONSTANTS: &str = constants!(joined);

/// The system calls, counted from 0.
macro_rules! enumeration {
    ($($name:ident)*) => {
        #[allow(non_camel_case_types, dead_code)]
        enum Call { $($name),* }
    };
}
system_calls!(enumeration);

/// Defines the operations of the interpreter, and lists the names of all operations.
macro_rules! own_operations {
    ($($(#[$doc:meta])* $CODE:ident = $name:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($CODE,)* CALL }

        $($(#[$doc])* pub const $CODE: u8 = 1 + Place::$CODE as u8;)*

        /// The first system call; the others follow in the order of their list.
        pub const FIRST_CALL: u8 = 1 + Place::CALL as u8;

        /// prctl(2).
        pub const PRCTL: u8 = FIRST_CALL + Call::prctl as u8;

        /// ioctl(2).
        pub const IOCTL: u8 = FIRST_CALL + Call::ioctl as u8;

        /// Names of the operations, counted from 1, those of the interpreter first.
        pub const OPERATIONS: &str = concat!($($name, " ",)* system_calls!(joined));
    };
}

own_operations! {
    // `exhaust`, `fork` and the system calls come last: `is_unprepared()` in the interpreter
    // depends on it.
    /// `see(TEXT)`: TEXT is the diagram of the window's first pages.
    SEE = "see";
    /// `label(ADDRESS, TEXT)`: TEXT is the label of the VMA at ADDRESS.
    LABEL = "label";
    /// `line(ADDRESS, TEXT)`: TEXT is the maps line of the VMA at ADDRESS after the addresses.
    LINE = "line";
    /// `find(TEXT, LEAST)`: returns the start of the first VMA whose label begins with TEXT
    /// and which is not shorter than LEAST, and sets `length`.
    FIND = "find";
    /// `compare(ADDRESS, TEXT)`: the memory at ADDRESS contains TEXT and a NUL.
    COMPARE = "compare";
    /// `expect(ADDRESS, NUMBER, SIZE)`: the SIZE bytes (4 or 8) at ADDRESS are NUMBER.
    EXPECT = "expect";
    /// `same(ADDRESS, OTHER)`: the 8 bytes there are equal.
    SAME = "same";
    /// `of_file(ADDRESS, STATX)`: the maps line of the VMA at ADDRESS has the device and the
    /// inode of the `struct statx` at STATX.
    OF_FILE = "of_file";
    /// `count(TEXT, ADDRESS, LENGTH, NUMBER)`: NUMBER VMAs in this range have the label TEXT.
    COUNT = "count";
    /// `note_flags(ADDRESS)`: stores the smaps line `VmFlags` of the VMA at ADDRESS.
    NOTE_FLAGS = "note_flags";
    /// `same_flags(ADDRESS)`: that line of the VMA at ADDRESS equals the stored one.
    SAME_FLAGS = "same_flags";
    /// `store(ADDRESS, NUMBER)`: writes a number as wide as an address.
    STORE = "store";
    /// `store64(ADDRESS, NUMBER)`: writes a 64-bit number.
    STORE64 = "store64";
    /// `poke(ADDRESS, TEXT)`: writes TEXT without a NUL.
    POKE = "poke";
    /// `repeat(COUNT, STRIDE, PLACE)`: executes the next step COUNT times, or until it
    /// fails. Its argument at PLACE, counted from 0, grows by STRIDE each time.
    REPEAT = "repeat";
    /// `unique(ADDRESS)`: writes a file name that no other run of the program uses.
    UNIQUE = "unique";
    /// `accept(FIRST, LAST, SIZE)`: see the verb.
    ACCEPT = "accept";
    /// `reject(FIRST, LAST, SIZE)`: see the verb.
    REJECT = "reject";
    /// `vfork_prctl(...)`: prctl(2) in a child process that shares the memory.
    VFORK_PRCTL = "vfork_prctl";
    /// `thread_prctl(...)`: prctl(2) in another thread.
    THREAD_PRCTL = "thread_prctl";
    /// `exhaust(ADDRESS)`: splits every other page off the mapping there, until a split fails.
    /// Fails with E2BIG after 2,048 splits.
    EXHAUST = "exhaust";
    /// `fork(SIZE)`: runs the next SIZE bytes of statements in a child.
    FORK = "fork";
}
