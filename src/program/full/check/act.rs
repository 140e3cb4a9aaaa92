//! Acts out the statements of a case, and compares what is seen with what is said.

use super::{PATIENCE, explain_end, mappings};
use crate::{
    console::Console,
    full::report,
    start::Process,
    sys::{
        self, Errno, Result, files,
        memory::{self, Arena, End},
    },
};
use heapless::Vec;
use linux_raw_sys::{
    errno,
    general::{O_RDONLY, PROT_NONE, PROT_READ, PROT_WRITE},
};
use syscalls::Sysno;
use vm_anon_name::{
    lines::Lines,
    maps::Vma,
    name,
    picture::{self, Picture},
    suite::{self, Scale, Statement, Verdict},
    text::{
        Sink,
        Value::{self, *},
    },
    words,
};

const EBADMSG: Errno = Errno::new(errno::EBADMSG);
const EDOM: Errno = Errno::new(errno::EDOM);
const EINVAL: Errno = Errno::new(errno::EINVAL);
const ENOENT: Errno = Errno::new(errno::ENOENT);
const ENOMEM: Errno = Errno::new(errno::ENOMEM);

/// How a case ended. The numbers are the exit statuses of its process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed = 0,
    Failed = 1,
    Skipped = 4,
}

words! {
    /// What a statement does; `suite/cases.txt` explains each.
    enum Verb {
        "map" => Map,
        "away" => Away,
        "name" => Name,
        "see" => See,
        "label" => Label,
        "at" => At,
        "brk" => Brk,
        "option" => Option,
        "attribute" => Attribute,
        "touch" => Touch,
        "poke" => Poke,
        "fill" => Fill,
        "bytes" => Bytes,
        "places" => Places,
        "user" => User,
        "tags" => Tags,
        "crowd" => Crowd,
        "fork" => Fork,
        "share" => Share,
        "exec" => Exec,
        "read" => Read,
        "query" => Query,
        "unnamed" => Unnamed,
        "unmap" => Unmap,
        "lock" => Lock,
        "unlock" => Unlock,
        "seal" => Seal,
        "protect" => Protect,
        "advise" => Advise,
        "remap" => Remap,
    }
}

words! {
    /// A protection of memory.
    enum Protection {
        "none" => None,
        "ro" => ReadOnly,
        "rw" => ReadWrite,
    }
}

/// Pages of the arena. The window begins in its middle: a mapping that grows
/// downwards wants 256 free pages below it.
const ARENA_PAGES: u64 = 2048;

/// Bytes of the stack on which a child runs that shares the memory.
const SHARED_STACK: u64 = 1 << 16;

/// What a statement ends with that saw something else than it states. No call
/// under test gives it.
const NOT_AS_STATED: Errno = EBADMSG;

/// A name, a label, or a picture.
type Buffer = Vec<u8, 256>;

/// Performs one case, in its own process.
pub(crate) struct Actor<'a> {
    console: &'a mut Console,
    arena: Arena,
    scale: Scale,
    /// What `option` and `attribute` have set.
    option: u64,
    attribute: u64,
    /// The path that `see` and `label` read, with its NUL.
    maps: Buffer,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(process: &Process, console: &'a mut Console) -> Self {
        let page = process.page_size() as u64;
        // Without an arena every call in it fails with EFAULT, and is reported.
        let arena = Arena::reserve(ARENA_PAGES * page).unwrap_or(Arena(0..0));
        let window = arena.0.start + ARENA_PAGES / 2 * page;
        // A huge page is what one page of page table entries maps, 8 bytes each.
        let scale = Scale {
            page,
            window,
            length: 0,
            huge: page * page / 8,
        };
        let mut maps = Buffer::new();
        maps.put(b"/proc/self/maps\0");
        Actor {
            console,
            arena,
            scale,
            option: 0,
            attribute: 0,
            maps,
        }
    }

    /// Performs `statements` up to their end, their `join`, or the first failure.
    pub(crate) fn run(&mut self, mut statements: &[u8]) -> Outcome {
        let mut verdict = Verdict::Right;
        while verdict == Verdict::Right
            && let Some(statement) = Statement::next(&mut statements)
            && statement.words[0] != b"join"
        {
            let result = self.act(&statement, &mut statements);
            verdict = statement.judge(result.map_err(Errno::number));
            if verdict == Verdict::Wrong {
                self.report(&statement, result);
            }
        }
        mappings::unlink_in_tmpfs();
        match verdict {
            Verdict::Right => Outcome::Passed,
            Verdict::Wrong => Outcome::Failed,
            Verdict::Unavailable => Outcome::Skipped,
        }
    }

    /// Does what the statement says. `fork` and `share` take what they need of the
    /// `rest`.
    fn act(&mut self, statement: &Statement, rest: &mut &[u8]) -> Result {
        let [verb, first, second, third, fourth, fifth] = statement.words;
        // What most verbs take. Where a verb takes other words, these are nonsense
        // that nobody uses.
        let (address, length) = (self.scale.address(first), self.scale.bytes(second));
        let number = self.scale.bytes(first);
        let change = match Verb::of(verb).ok_or(EDOM)? {
            Verb::Map => {
                return mappings::map(&self.arena, third, Some(address), length).map(drop);
            }
            Verb::Away => {
                self.scale.window = mappings::map(&self.arena, second, None, number)?;
                return Ok(());
            }
            Verb::Name => return self.name(address, length, third),
            Verb::See => return self.see(first),
            Verb::Label => return self.expect_label(address, second),
            Verb::At => return self.find(first),
            Verb::Brk => return self.grow_heap(number),
            Verb::Option => {
                self.option = number;
                return Ok(());
            }
            Verb::Attribute => {
                self.attribute = number;
                return Ok(());
            }
            Verb::Touch => return self.touch(address, length),
            Verb::Poke => return self.write(address, second, b"\0"),
            Verb::Fill => return self.write(address, second, b""),
            Verb::Bytes => return self.try_all_bytes(),
            Verb::Places => return self.try_all_places(),
            Verb::User => return memory::drop_privileges(),
            Verb::Tags => return memory::allow_tags(),
            Verb::Crowd => return self.crowd(number),
            Verb::Fork => return self.run_in_child(rest, true),
            Verb::Share => return self.run_in_child(rest, false),
            Verb::Exec => return Err(self.exec(first)),
            Verb::Read => return self.read_from(first),
            Verb::Query => return self.query(address, second, third),
            Verb::Unnamed => return self.expect_unnamed(),
            Verb::Unmap => Sysno::munmap,
            Verb::Lock => Sysno::mlock,
            Verb::Unlock => Sysno::munlock,
            Verb::Seal => Sysno::mseal,
            Verb::Protect => Sysno::mprotect,
            Verb::Advise => Sysno::madvise,
            Verb::Remap => Sysno::mremap,
        };
        let third = match Protection::of(third) {
            Some(Protection::None) => PROT_NONE.into(),
            Some(Protection::ReadOnly) => PROT_READ.into(),
            Some(Protection::ReadWrite) => (PROT_READ | PROT_WRITE).into(),
            None => self.scale.bytes(third),
        };
        let (fourth, fifth) = (self.scale.bytes(fourth), self.scale.address(fifth));
        self.arena
            .change(change, [address, length, third, fourth, fifth])
    }

    /// The call under test.
    fn name(&self, address: u64, length: u64, name: &[u8]) -> Result {
        let pointer = match name {
            b"NULL" => 0,
            [b'&', place @ ..] => self.scale.address(place),
            _ => {
                let mut text = Buffer::new();
                suite::expand(name, &mut text);
                return self.call(address, length, &mut text);
            }
        };
        memory::name_raw(self.option, self.attribute, address, length, pointer)
    }

    /// The call under test with `name`, to which a NUL is added.
    fn call(&self, address: u64, length: u64, name: &mut Buffer) -> Result {
        name.put(b"\0");
        let pointer = name.as_ptr().expose_provenance() as u64;
        memory::name_raw(self.option, self.attribute, address, length, pointer)
    }

    /// Names the window's first page with each byte, and looks each time.
    fn try_all_bytes(&mut self) -> Result {
        let Scale { window, page, .. } = self.scale;
        let (mut before, mut seen) = (Buffer::new(), Buffer::new());
        self.label(window, &mut before)?;
        for byte in 1..=u8::MAX {
            let mut name = Buffer::new();
            name.put(&[byte]);
            let stated = match self.call(window, page, &mut name) {
                Ok(()) => name::is_allowed(byte),
                Err(errno) => !name::is_allowed(byte) && errno == EINVAL,
            };
            if name::is_allowed(byte) {
                before.clear();
                let out: &mut dyn Sink = &mut before;
                out.print(b"[anon:%]", &[Text(&[byte])]);
            }
            self.label(window, &mut seen)?;
            if !stated || seen != before {
                self.diagnose(b"byte %", &[Address(byte.into())]);
                return Err(NOT_AS_STATED);
            }
        }
        Ok(())
    }

    /// Names the window's first page with each forbidden byte at each place.
    fn try_all_places(&mut self) -> Result {
        let Scale { window, page, .. } = self.scale;
        for byte in (1..=u8::MAX).filter(|byte| !name::is_allowed(*byte)) {
            for place in 0..name::LONGEST {
                let mut name = Buffer::new();
                for index in 0..name::LONGEST {
                    name.put(&[if index == place { byte } else { b'a' }]);
                }
                if self.call(window, page, &mut name) != Err(EINVAL) {
                    let values = [Address(byte.into()), Number(place as u64)];
                    self.diagnose(b"byte % at %", &values);
                    return Err(NOT_AS_STATED);
                }
            }
        }
        Ok(())
    }

    fn touch(&self, address: u64, length: u64) -> Result {
        let mut done = 0;
        while done < length {
            self.arena.write(address + done, b"t")?;
            done += self.scale.page;
        }
        Ok(())
    }

    fn write(&self, address: u64, word: &[u8], ending: &[u8]) -> Result {
        let mut text = Buffer::new();
        suite::expand(word, &mut text);
        text.put(ending);
        self.arena.write(address, &text)
    }

    /// Lets the heap have this `length`. The window moves to its beginning.
    fn grow_heap(&mut self, length: u64) -> Result {
        if self.arena.0.contains(&self.scale.window) {
            self.scale.window = memory::brk(0);
        }
        let end = self.scale.window + length;
        if memory::brk(end) == end {
            Ok(())
        } else {
            Err(ENOMEM)
        }
    }

    /// Maps until no more than the limit less `left` more mappings are allowed.
    fn crowd(&mut self, left: u64) -> Result {
        let mut text = Buffer::new();
        let file = files::open(None, c"/proc/sys/vm/max_map_count", O_RDONLY)?;
        files::read_to_end(file, &mut text)?;
        files::close(file)?;
        let limit = Scale {
            page: 1,
            ..Scale::default()
        }
        .bytes(text.trim_ascii_end());
        let mut count = left;
        self.each_vma(&mut |_, _| {
            count += 1;
            true
        })?;
        memory::crowd(limit.saturating_sub(count), self.scale.page)
    }

    /// Performs the rest up to its `join` in a child, and leaves what is behind it.
    fn run_in_child(&mut self, rest: &mut &[u8], copies: bool) -> Result {
        let statements = *rest;
        Statement::skip_to_join(rest);
        self.console.flush();
        let work = &mut || {
            let outcome = self.run(statements);
            self.console.flush();
            outcome as u8
        };
        let end = if copies {
            memory::in_child(PATIENCE, work)
        } else {
            memory::in_sharing_child(PATIENCE, SHARED_STACK, work)
        }?;
        explain_end(&end, self.console);
        if matches!(end, End::Exited(0)) {
            Ok(())
        } else {
            Err(NOT_AS_STATED)
        }
    }

    fn exec(&mut self, case: &[u8]) -> Errno {
        let mut text = Buffer::new();
        text.put(case);
        text.put(b"\0");
        let Some(case) = sys::c_string(&text) else {
            return EDOM;
        };
        self.console.flush();
        memory::exec_self(&[c"vm_anon_name", c"check", case])
    }

    fn read_from(&mut self, which: &[u8]) -> Result {
        self.maps.clear();
        match which {
            b"smaps" => self.maps.put(b"/proc/self/smaps\0"),
            b"thread" => self.maps.put(b"/proc/thread-self/maps\0"),
            _ => {
                let out: &mut dyn Sink = &mut self.maps;
                out.print(b"/proc/%/maps\0", &[Number(memory::getppid())]);
            }
        }
        Ok(())
    }

    /// Hands each line and its VMA to `with`, in the order of their addresses, until it has seen
    /// enough. Lines that are no VMAs, as smaps has them, are passed over.
    fn each_vma(&self, with: &mut dyn FnMut(&[u8], &Vma) -> bool) -> Result {
        let path = sys::c_string(&self.maps).ok_or(EDOM)?;
        let file = files::open(None, path, O_RDONLY)?;
        let mut lines = Lines::new();
        let mut goes_on = true;
        let mut result = Ok(1);
        while goes_on && matches!(result, Ok(1..)) {
            result = files::read(file, lines.room());
            lines.each(&mut |line| {
                goes_on = goes_on && Vma::parse(line).is_none_or(|vma| with(line, &vma));
            });
        }
        files::close(file)?;
        result.map(drop)
    }

    /// Lets `seen` be the label of the VMA at `address`; `ENOENT` if there is none.
    fn label(&self, address: u64, seen: &mut Buffer) -> Result {
        seen.clear();
        let mut found = false;
        self.each_vma(&mut |_, vma| {
            found = vma.start <= address && address < vma.end;
            if found {
                seen.put(vma.label);
            }
            vma.end <= address
        })?;
        if found { Ok(()) } else { Err(ENOENT) }
    }

    fn expect_label(&mut self, address: u64, stated: &[u8]) -> Result {
        let mut seen = Buffer::new();
        self.label(address, &mut seen)?;
        self.compare(&seen, stated)
    }

    /// Compares what was seen with what is stated.
    fn compare(&mut self, seen: &[u8], stated: &[u8]) -> Result {
        let mut expected = Buffer::new();
        suite::expand(stated, &mut expected);
        if seen == expected.as_slice() {
            return Ok(());
        }
        self.diagnose(b"expected %", &[Foreign(&expected)]);
        self.diagnose(b"seen %", &[Foreign(seen)]);
        Err(NOT_AS_STATED)
    }

    fn see(&mut self, stated: &[u8]) -> Result {
        let Scale { window, page, .. } = self.scale;
        let end = window + picture::pages(stated) * page;
        let mut seen = Buffer::new();
        let mut picture = Picture::new(&mut seen, page, window, end);
        self.each_vma(&mut |_, vma| {
            picture.add(vma);
            vma.end < end
        })?;
        picture.finish();
        self.compare(&seen, stated)
    }

    /// Moves the window to the first VMA whose label begins with `label`.
    fn find(&mut self, label: &[u8]) -> Result {
        let mut scale = self.scale;
        scale.length = 0;
        self.each_vma(&mut |_, vma| {
            if vma.label.starts_with(label) {
                scale.window = vma.start;
                scale.length = vma.end - vma.start;
            }
            scale.length == 0
        })?;
        self.scale = scale;
        if scale.length > 0 {
            Ok(())
        } else {
            Err(ENOENT)
        }
    }

    fn expect_unnamed(&mut self) -> Result {
        let mut unnamed = true;
        self.each_vma(&mut |_, vma| {
            unnamed = vma.name().is_none();
            unnamed
        })?;
        if unnamed { Ok(()) } else { Err(NOT_AS_STATED) }
    }

    /// Asks PROCMAP_QUERY what the VMA at `address` is called, with `room` for the
    /// answer.
    fn query(&mut self, address: u64, stated: &[u8], room: &[u8]) -> Result {
        let mut answer = [0; 128];
        let room = if room.is_empty() {
            128
        } else {
            self.scale.bytes(room) as usize
        };
        let file = files::open(None, c"/proc/self/maps", O_RDONLY)?;
        let length = memory::query(file, address, answer.get_mut(..room).unwrap_or_default());
        files::close(file)?;
        // The answer ends in a NUL, if there is any.
        let [seen @ .., _] = answer.get(..length?).unwrap_or_default() else {
            return self.compare(b"", stated);
        };
        self.compare(seen, stated)
    }

    /// Prints a line of diagnostics.
    fn diagnose(&mut self, text: &[u8], values: &[Value]) {
        self.console.put(b"#   ");
        self.console.print(text, values);
        self.console.put(b"\n");
    }

    /// Prints which statement failed, how, and where it was.
    fn report(&mut self, statement: &Statement, result: Result) {
        self.console.print(b"# %\n", &[Foreign(statement.text)]);
        if result != Err(NOT_AS_STATED) {
            self.console.put(b"#   seen");
            match result {
                Ok(()) => self.console.put(b": success"),
                Err(errno) => report::number(self.console, errno),
            }
            self.console.put(b"\n");
        }
        let values = [Address(self.scale.window), Number(self.scale.page)];
        self.diagnose(b"the window is at %, a page has % bytes", &values);
        let (start, end) = (self.scale.window, self.scale.window + 32 * self.scale.page);
        let mut shown = Vec::<u8, 1024>::new();
        let _ = self.each_vma(&mut |line, vma| {
            if vma.end > start && vma.start < end {
                shown.put(b"#   ");
                shown.put(line);
                shown.put(b"\n");
            }
            vma.end < end
        });
        self.console.print(b"%", &[Foreign(&shown)]);
    }
}
