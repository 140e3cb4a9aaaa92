//! The four stages: start, mmap, name, munmap.
//!
//! The words are those of the description that started this program, spelling
//! included; the maps files they name are the ones that `--output` writes.

use crate::{
    console::Console,
    pause::Pause,
    sys::{self, Errno, Result},
};
use core::{ffi::CStr, ops::Range};
use vm_anon_name::text::Value::*;

/// A state of the process whose maps are worth a look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Start,
    Mmap,
    Name,
    Munmap,
}

impl Stage {
    /// The prompt that ends the stage, by what Enter does then.
    fn prompt(self) -> &'static [u8] {
        match self {
            Stage::Start => b"mmap",
            Stage::Mmap => b"set vm_area_struct's name",
            Stage::Name => b"unmmap the region",
            Stage::Munmap => b"exit",
        }
    }

    /// The file to which the prompt suggests to copy the maps.
    pub(crate) fn file(self) -> &'static CStr {
        match self {
            Stage::Start => c"maps_1_start.txt",
            Stage::Mmap => c"maps_2_mmap.txt",
            Stage::Name => c"maps_3_set_vm_name.txt",
            Stage::Munmap => c"maps_4_ummap.txt",
        }
    }
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

/// A call that the stages make, with what it was made on.
pub(crate) enum Call<'a> {
    Mmap(usize),
    Name(&'a Range<usize>),
    Munmap(&'a Range<usize>),
    ReadEnter,
}

/// Looks on while the stages are walked. Nothing it does may change the maps.
pub(crate) trait Watch {
    /// `stage` is reached. `named` is the memory that has been given the name.
    fn reached(&mut self, stage: Stage, named: Option<&Range<usize>>, console: &mut Console);

    /// `call` failed with `errno`.
    fn failed(&mut self, call: Call, errno: Errno, console: &mut Console);
}

/// Pages of the neighbour, as many as the anonymous region above the mapping has
/// in the description.
const NEIGHBOUR_PAGES: usize = 6;

/// Walks the stages, pausing after each.
pub(crate) fn walk(plan: &Plan, console: &mut Console, watch: &mut impl Watch) {
    let mut pause = Pause::new(plan.pauses);
    let mut end_stage = |stage: Stage, console: &mut Console, watch: &mut _| {
        prompt(stage, plan.pid, console);
        if let Err(errno) = pause.wait(console) {
            Watch::failed(watch, Call::ReadEnter, errno, console);
        }
    };

    let head = b"Memory map a region and print vm_area_struct\nPID: %\n";
    console.print(head, &[Number(plan.pid.into())]);
    // The new memory shall join anonymous memory that is there, as it does in a
    // program with a libc. It is asked for right below, so that it joins even
    // where large mappings are aligned to huge pages.
    let neighbour = map(0, NEIGHBOUR_PAGES * plan.page, false, console, watch);
    let hint = neighbour.map_or(0, |neighbour| neighbour.start.saturating_sub(plan.length));
    watch.reached(Stage::Start, None, console);
    end_stage(Stage::Start, console, watch);

    let region = map(hint, plan.length, plan.shared, console, watch);
    if let Some(region) = &region {
        let values = [Address(region.start as u64), Number(plan.length as u64)];
        console.print(b"\nmmap addr: % size: %\n", &values);
    }
    watch.reached(Stage::Mmap, None, console);
    end_stage(Stage::Mmap, console, watch);

    let named = region
        .as_ref()
        .filter(|region| set_name(plan, region, console, watch));
    watch.reached(Stage::Name, named, console);
    end_stage(Stage::Name, console, watch);

    if let Some(region) = &region
        && let Err(errno) = unmap(region)
    {
        watch.failed(Call::Munmap(region), errno, console);
    }
    watch.reached(Stage::Munmap, None, console);
    end_stage(Stage::Munmap, console, watch);
}

fn prompt(stage: Stage, pid: u32, console: &mut Console) {
    let (what, file) = (Text(stage.prompt()), Text(stage.file().to_bytes()));
    let text = b"\nPress enter to % - cat /proc/%/maps > %";
    console.print(text, &[what, Number(pid.into()), file]);
}

fn map(
    hint: usize,
    length: usize,
    shared: bool,
    console: &mut Console,
    watch: &mut impl Watch,
) -> Option<Range<usize>> {
    let region = sys::mmap(hint, length, shared);
    region
        .inspect_err(|errno| watch.failed(Call::Mmap(length), *errno, console))
        .ok()
}

/// Names `region` and says so. Tells whether that worked.
fn set_name(
    plan: &Plan,
    region: &Range<usize>,
    console: &mut Console,
    watch: &mut impl Watch,
) -> bool {
    if let Err(errno) = sys::set_anon_name(region, Some(plan.name)) {
        watch.failed(Call::Name(region), errno, console);
        return false;
    }
    let (start, end) = (Address(region.start as u64), Address(region.end as u64));
    let name = Foreign(plan.name.to_bytes());
    console.print(b"\nSet [%, %] = %\n", &[start, end, name]);
    true
}

fn unmap(region: &Range<usize>) -> Result {
    #[allow(unsafe_code)]
    // SAFETY: The stages never touch what they map.
    unsafe {
        sys::munmap(region)
    }
}
