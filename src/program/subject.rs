//! A process whose memory is read.

use crate::sys::{Errno, Fd, Result, file, io, raw};
use core::ffi::CStr;
use heapless::{Vec, VecView};
use linux_raw_sys::general::O_RDONLY;
use vm_anon_name::lines::Lines;

/// The size of the buffer that files are read into, in bytes. A longer line loses its end.
pub(crate) const BUFFER: usize = 4 << 10;

/// The name of a program. That of a kernel thread can be longer than 16 bytes.
pub(crate) type Program = Vec<u8, 64>;

/// The error for a process that ended while it was read, or that executes another program now.
/// If it was reaped, reading its maps fails with the same error.
pub(crate) const ENDED: Errno = Errno::ESRCH;

/// The error for a process without memory of its own. No system call of this module returns it.
pub(crate) const NO_MEMORY: Errno = Errno::ENOTTY;

/// A process, by a descriptor of its directory in /proc, where all its files are opened. So
/// a later process with the same id is never taken for it.
pub(crate) struct Subject {
    pub(crate) pid: u32,
    directory: Fd,
}

impl Subject {
    /// The process with this id.
    pub(crate) fn open(pid: u32) -> Result<Self> {
        let directory = file::open_process(pid)?;
        Ok(Subject { pid, directory })
    }

    /// Reads the name of its program, which stays empty if that fails.
    pub(crate) fn read_program(&self, name: &mut Program) {
        if let Ok(file) = file::open(&self.directory, c"comm", O_RDONLY) {
            let _ = io::read(&file, name);
            let _ = file::close(file);
        }
        let _ = name.pop(); // The newline.
    }

    /// Calls `each` with each line of its file `path`; [`NO_MEMORY`] if it has none.
    pub(crate) fn read(
        &self,
        path: &CStr,
        buffer: &mut VecView<u8>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<Reading> {
        let file = Reading(file::open(&self.directory, path, O_RDONLY)?);
        match stream(&file.0, buffer, each) {
            Ok(true) => return Ok(file),
            Ok(false) => file.close(),
            Err(errno) => {
                file.close();
                return Err(errno);
            }
        }
        Err(NO_MEMORY)
    }

    pub(crate) fn close(self) {
        let _ = file::close(self.directory); // Nothing was written to it.
    }
}

/// An open file of a process that has been read to its end.
pub(crate) struct Reading(Fd);

impl Reading {
    /// Checks that the file was read whole, and closes it. If the process ends or executes
    /// another program, the file ends early, without an error. Read again from its start, it is
    /// then empty.
    pub(crate) fn finish(self) -> Result {
        let first = raw::rewind(&self.0).and_then(|()| io::read_byte(&self.0));
        self.close();
        first?.map(drop).ok_or(ENDED)
    }

    pub(crate) fn close(self) {
        let _ = file::close(self.0); // Nothing was written to it.
    }
}

/// Calls `each` with each line of `file`, without its newline. Returns whether there was
/// any. A line that is longer than `buffer` loses its end.
pub(crate) fn stream(
    file: &Fd,
    buffer: &mut VecView<u8>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<bool> {
    buffer.clear();
    let (mut lines, mut is_empty) = (Lines::default(), true);
    while io::read(file, buffer)? > 0 {
        is_empty = false;
        let done = lines.take(buffer, buffer.is_full(), each);
        io::remove(buffer, done);
    }
    lines.finish(buffer, each);
    Ok(!is_empty)
}
