//! `maps`: the mappings of a process.

use crate::{
    commands::status,
    console::{Console, error},
    subject::{BUFFER, Subject},
    sys::Result,
    unreadable::report,
};
use heapless::Vec;
use vm_anon_name::{
    format::Sink,
    listing::{HEADS, Listing},
    options::Options,
    put,
    scan::number_32,
};

/// Lists the mappings of the process that `options` names, or of this one, whose id is
/// `own`. Returns the exit status.
#[inline(never)] // Its frame must not add to the frames of other commands.
pub(crate) fn run(options: &Options, own: u32, console: &mut Console) -> u8 {
    let pid = match options.words.as_slice() {
        [] => Some(own),
        [word] => number_32(word.to_bytes()),
        _ => None,
    };
    let Some(pid) = pid else {
        error!(console, "maps: give one process number");
        return status::USAGE;
    };
    let mut listing = Listing::default();
    if let Err(errno) = list(pid, &mut listing, console) {
        return report(pid, errno, console);
    }
    let Listing {
        vmas,
        kibibytes,
        named,
        overlaps,
        ..
    } = listing;
    put!(
        console,
        "TOTAL {} VMAs, {} KiB, {} named\n",
        vmas,
        kibibytes,
        named
    );
    if overlaps > 0 {
        error!(console, "the process changed: {} VMAs overlap", overlaps);
    }
    status::SUCCESS
}

fn list(pid: u32, listing: &mut Listing, console: &mut Console) -> Result {
    let subject = Subject::open(pid)?;
    let mut buffer = Vec::<u8, BUFFER>::new();
    let reading = subject.read(c"maps", &mut buffer, &mut |line| {
        if listing.vmas == 0 {
            console.put(HEADS);
        }
        listing.line(line, console);
    });
    subject.close();
    reading?.finish()
}
