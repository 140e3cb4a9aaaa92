//! The four stages: start, mmap, name, munmap.
//!
//! The words are those of the description that started this program, spelling
//! included; the maps files they name are the ones that `--output` writes.

use crate::{
    console::Console,
    pause::Pause,
    sys::{self, Errno, Memory},
};
use core::ffi::CStr;
use vm_anon_name::text::{Sink, digits};

/// A state of the process whose maps are worth a look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Start,
    Mmap,
    Name,
    Munmap,
}

/// What the stages are to do.
pub(crate) struct Plan<'a> {
    /// Whose maps the prompts tell the user to copy.
    pub(crate) pid: u32,
    /// The size of a page, in bytes.
    pub(crate) page: usize,
    /// How much to map, in bytes, whole pages.
    pub(crate) length: usize,
    /// Whether to map it `MAP_SHARED`.
    pub(crate) shared: bool,
    /// The name to give.
    pub(crate) name: &'a CStr,
    /// Whether to wait for Enter.
    pub(crate) pauses: bool,
}

/// Looks on while the stages are walked. Nothing it does may change the maps.
pub(crate) trait Watch {
    /// `stage` is reached, whose maps belong into `file`. `named` is the memory that
    /// has been given the name, if any.
    fn reached(&mut self, stage: Stage, file: &CStr, named: Memory, console: &mut Console);

    /// To map so many bytes failed.
    fn mmap_failed(&mut self, length: usize, errno: Errno, console: &mut Console);

    /// To name `memory` failed.
    fn name_failed(&mut self, memory: Memory, errno: Errno, console: &mut Console);

    /// To unmap `memory` failed.
    fn munmap_failed(&mut self, memory: Memory, errno: Errno, console: &mut Console);

    /// To read the Enter failed.
    fn read_failed(&mut self, errno: Errno, console: &mut Console);
}

/// Pages of the neighbour, as many as the anonymous region above the mapping has
/// in the description.
const NEIGHBOUR_PAGES: usize = 6;

/// Walks the stages, pausing after each.
pub(crate) fn walk(plan: &Plan, console: &mut Console, watch: &mut impl Watch) {
    let mut room = [0; 32];
    let mut walk = Walk {
        plan,
        pid: digits(plan.pid.into(), 10, 1, &mut room),
        console,
        watch,
        pause: Pause::new(plan.pauses),
    };
    walk.console
        .put(b"Memory map a region and print vm_area_struct\nPID: ");
    walk.console.put(walk.pid);
    walk.console.put(b"\n");
    // The new memory shall join anonymous memory that is there, as it does in a
    // program with a libc. It is asked for right below, so that it joins even
    // where large mappings are aligned to huge pages.
    let neighbour = walk.map(0, NEIGHBOUR_PAGES * plan.page, false);
    walk.end(Stage::Start, "mmap", c"maps_1_start.txt", Memory::NONE);

    let hint = neighbour.start.saturating_sub(plan.length);
    let memory = walk.map(hint, plan.length, plan.shared);
    if memory != Memory::NONE {
        walk.console.put(b"\nmmap addr: ");
        walk.console.address(memory.start);
        walk.console.put(b" size: ");
        walk.console.decimal(memory.length);
        walk.console.put(b"\n");
    }
    walk.end(
        Stage::Mmap,
        "set vm_area_struct's name",
        c"maps_2_mmap.txt",
        Memory::NONE,
    );

    let named = walk.name(memory);
    walk.end(
        Stage::Name,
        "unmmap the region",
        c"maps_3_set_vm_name.txt",
        named,
    );

    walk.unmap(memory);
    walk.end(Stage::Munmap, "exit", c"maps_4_ummap.txt", Memory::NONE);
}

/// The stages while they are walked.
struct Walk<'a, W> {
    plan: &'a Plan<'a>,
    /// The process's number in decimal, which is printed five times.
    pid: &'a [u8],
    console: &'a mut Console,
    watch: &'a mut W,
    pause: Pause,
}

impl<W: Watch> Walk<'_, W> {
    fn map(&mut self, hint: usize, length: usize, shared: bool) -> Memory {
        sys::mmap(hint, length, shared).unwrap_or_else(|errno| {
            self.watch.mmap_failed(length, errno, self.console);
            Memory::NONE
        })
    }

    /// Names `memory`, says so, and gives what has the name now.
    fn name(&mut self, memory: Memory) -> Memory {
        if memory == Memory::NONE {
            return memory;
        }
        if let Err(errno) = sys::set_anon_name(memory, Some(self.plan.name)) {
            self.watch.name_failed(memory, errno, self.console);
            return Memory::NONE;
        }
        self.console.put(b"\nSet [");
        self.console.address(memory.start);
        self.console.put(b", ");
        self.console.address(memory.end());
        self.console.put(b"] = ");
        // As it is: the kernel has taken it, so it is printable.
        self.console.put(self.plan.name.to_bytes());
        self.console.put(b"\n");
        memory
    }

    fn unmap(&mut self, memory: Memory) {
        if memory != Memory::NONE
            && let Err(errno) = sys::munmap(memory)
        {
            self.watch.munmap_failed(memory, errno, self.console);
        }
    }

    /// Ends `stage`: Enter will do what `next` says.
    #[inline(never)] // It is called four times.
    fn end(&mut self, stage: Stage, next: &str, file: &CStr, named: Memory) {
        self.watch.reached(stage, file, named, self.console);
        self.console.put(b"\nPress enter to ");
        self.console.put(next.as_bytes());
        self.console.put(b" - cat /proc/");
        self.console.put(self.pid);
        self.console.put(b"/maps > ");
        self.console.put(file.to_bytes());
        if let Err(errno) = self.pause.wait(self.console) {
            self.watch.read_failed(errno, self.console);
        }
    }
}
