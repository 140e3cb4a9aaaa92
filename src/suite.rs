//! The conformance suite, assembled: cases, and the steps that they are made of.
//!
//! People write it in `suite/cases.txt`; `suite/assembler.rs` turns that into bytes
//! when the program is built:
//!
//! ```text
//! suite       OPERATION... NONE CASE... NONE DEFINITION... 0 BODY...
//! OPERATION   0 (2 bytes), number (2), name NUL
//! CASE        since (2), before (2), name NUL
//! NONE        0 (2), 0 (2), NUL
//! DEFINITION  STEP... 0                   what a statement comes to
//! BODY        STATEMENT... 0              of each case
//! STATEMENT   its definition, OPERAND..., what is expected
//! STEP        its operation, OPERAND..., what it must end with, where the result is kept
//! OPERAND     bytes whose upper half is a [`part`] of it, whose lower half a digit
//! ```
//!
//! Definitions and operations are told by their places, counted from 1; statements and
//! steps are read alike. Numbers of two bytes have the higher one first.

pub mod encoding;

use crate::{diagnosis::Version, scan::split};
use encoding::{end, part};

/// What the parts of operands stand for, in bytes.
pub type Units = [u64; 16];

/// The suite, taken apart.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    /// All of it. The operations come first.
    assembled: &'a [u8],
    definitions: &'a [u8],
    /// All cases.
    pub cases: Cases<'a>,
}

impl<'a> Suite<'a> {
    /// Takes `assembled` apart.
    pub fn new(assembled: &'a [u8]) -> Self {
        let mut rest = assembled;
        while !head(&mut rest).1.is_empty() {}
        let heads = rest;
        while !head(&mut rest).1.is_empty() {}
        let definitions = rest;
        while !body(&mut rest).is_empty() {}
        Suite {
            assembled,
            definitions,
            cases: Cases {
                heads,
                bodies: rest,
            },
        }
    }

    /// The text at `address`, if an operand is the address of one.
    pub fn text(&self, address: u64) -> Option<&'a [u8]> {
        let start = self.assembled.as_ptr().addr() as u64;
        let place = address.wrapping_sub(start) as usize;
        self.assembled.get(place..).map(|text| split(text, 0).0)
    }

    /// Number and name of the operation at `place`.
    pub fn operation(&self, place: u8) -> (u16, &'a [u8]) {
        let mut rest = self.assembled;
        for _ in 1..place {
            head(&mut rest);
        }
        let (numbers, name) = head(&mut rest);
        (numbers as u16, name)
    }

    /// The steps of the definition at `place`.
    pub fn definition(&self, place: u8) -> &'a [u8] {
        let mut rest = self.definitions;
        for _ in 1..place {
            body(&mut rest);
        }
        body(&mut rest)
    }
}

/// Takes two numbers and a name off `rest`; the name is empty at their end.
fn head<'a>(rest: &mut &'a [u8]) -> (u32, &'a [u8]) {
    let (numbers, behind) = rest.split_first_chunk().unwrap_or((&[0; 4], b""));
    let (name, behind) = split(behind, 0);
    *rest = behind;
    (u32::from_be_bytes(*numbers), name)
}

/// Takes steps or statements off `rest`, and the 0 behind them.
fn body<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let all = *rest;
    let mut step = Step::default();
    while step.read(rest, &[]).is_some() {}
    let length = all.len() - rest.len();
    *rest = rest.split_first().map_or(b"", |(_, behind)| behind);
    all.split_at_checked(length).unwrap_or_default().0
}

/// Cases, one after another.
#[derive(Clone, Copy)]
pub struct Cases<'a> {
    heads: &'a [u8],
    bodies: &'a [u8],
}

impl<'a> Cases<'a> {
    /// Takes the next one off.
    pub fn take(&mut self) -> Option<Case<'a>> {
        let (numbers, name) = head(&mut self.heads);
        if name.is_empty() {
            return None;
        }
        Some(Case {
            name,
            since: Version::new((numbers >> 24) as u8, (numbers >> 16) as u8),
            before: Version::new((numbers >> 8) as u8, numbers as u8),
            statements: body(&mut self.bodies),
        })
    }
}

/// A case.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What it promises, in words joined by hyphens.
    pub name: &'a [u8],
    /// The first Linux that it holds for.
    pub since: Version,
    /// The first Linux that it does not hold for any more.
    pub before: Version,
    /// What to do.
    pub statements: &'a [u8],
}

impl Case<'_> {
    /// Whether it is no case by itself, but what another one executes, or PID 1.
    pub fn is_part(&self) -> bool {
        self.name.first() == Some(&b'.')
    }
}

/// A step of a definition, or a statement, which is read alike.
#[derive(Default)]
pub struct Step<'a> {
    /// The place of the step's operation, or of the statement's definition.
    pub place: u8,
    /// Its operands; 0 for those that are not there.
    pub operands: [u64; 6],
    /// How many operands are there: at least one, if only by its absence.
    pub count: usize,
    /// The unit that the result becomes.
    pub kept: u8,
    /// 0 for success, or the number of the error it must end with.
    pub expected: u8,
    /// Errors that tell that the kernel does not have what it needs.
    unless: &'a [u8],
    /// Whether it may end as it likes.
    pub any: bool,
}

/// What a result means to a step.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Verdict {
    /// As stated.
    Right,
    /// Not as stated.
    Wrong,
    /// The kernel does not have what the step needs.
    Unavailable,
}

impl<'a> Step<'a> {
    /// Becomes the next of `steps`, its operands computed from `units`, as far as they are
    /// there; `None` at the end.
    pub fn read(&mut self, steps: &mut &'a [u8], units: &[u64]) -> Option<()> {
        let mut rest = steps.iter();
        *self = Step {
            place: *rest.next().filter(|place| **place != 0)?,
            ..Step::default()
        };
        let (mut digits, mut sum, mut count) = (0u64, 0u64, 0);
        let flags = loop {
            let byte = *rest.next()?;
            let (part, digit) = (byte >> 4, byte & 0xf);
            digits = digits << 4 | u64::from(digit);
            match part {
                part::DIGIT => continue,
                part::NEGATE => sum = sum.wrapping_neg(),
                part::TEXT => {
                    sum = rest.as_slice().as_ptr().expose_provenance() as u64;
                    while *rest.next()? != 0 {}
                }
                part::END => {
                    *self.operands.get_mut(count)? = sum;
                    count += 1;
                    sum = 0;
                    if digit != 0 {
                        break digit;
                    }
                }
                unit => {
                    let unit = units.get(usize::from(unit)).copied().unwrap_or_default();
                    sum = sum.wrapping_add(digits.wrapping_mul(unit));
                }
            }
            digits = 0;
        };
        if flags & end::OUTCOME != 0 {
            self.expected = *rest.next()?;
            self.unless = rest.as_slice();
            while *rest.next()? != 0 {}
        }
        if flags & end::KEPT != 0 {
            self.kept = *rest.next()?;
        }
        self.count = count;
        self.any = flags & end::ANY != 0;
        *steps = rest.as_slice();
        Some(())
    }

    /// Whether what it does may end with `error`, 0 for none.
    pub fn judge(&self, error: i32) -> Verdict {
        if self.any || error == self.expected.into() {
            return Verdict::Right;
        }
        let mut unless = self.unless.iter().take_while(|known| **known != 0);
        if unless.any(|known| error == (*known).into()) {
            Verdict::Unavailable
        } else {
            Verdict::Wrong
        }
    }
}
