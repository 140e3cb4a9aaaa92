//! The conformance suite, assembled: cases, and the steps that they are made of.
//!
//! People write it in `suite/cases.txt`; `suite/assembler.rs` turns that into bytes
//! when the program is built (which are packed, see [`packing`](crate::packing)):
//!
//! ```text
//! suite       OPERATION... 0 0 DEFINITION... 0 CASE...
//! OPERATION   number (2 bytes), name NUL
//! DEFINITION  STEP... 0                   what a statement comes to
//! CASE        name NUL, since (2), before (2), STATEMENT... 0
//! STATEMENT   its definition, OPERAND..., what is expected
//! STEP        its operation, OPERAND..., where the result is kept
//! OPERAND     bytes whose upper half is a [`part`] of it, whose lower half a digit
//! ```
//!
//! Definitions and operations are told by their places, counted from 1; statements
//! and steps are read alike.
//! Numbers of two bytes have the higher one first.

pub mod code;

use crate::{kernel::Version, text::split};
use code::{end, part};

/// What the parts of operands stand for, in bytes.
pub type Units = [u64; 16];

/// The suite, taken apart.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    operations: &'a [u8],
    definitions: &'a [u8],
    /// The cases, for [`Case::next`].
    pub cases: &'a [u8],
}

impl<'a> Suite<'a> {
    /// Takes `assembled` apart.
    pub fn new(assembled: &'a [u8]) -> Self {
        let mut rest = assembled;
        while operation(&mut rest).0 != 0 {}
        let definitions = rest;
        while !body(&mut rest).is_empty() {}
        Suite {
            operations: assembled,
            definitions,
            cases: rest,
        }
    }

    /// Number and name of the operation at `place`.
    pub fn operation(&self, place: u8) -> (u16, &'a [u8]) {
        let mut rest = self.operations;
        for _ in 1..place {
            operation(&mut rest);
        }
        operation(&mut rest)
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

/// Takes steps or statements off `rest`, and the 0 behind them.
fn body<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let all = *rest;
    while Step::next(rest, &Units::default()).is_some() {}
    let length = all.len() - rest.len();
    *rest = rest.split_first().map_or(b"", |(_, behind)| behind);
    all.split_at_checked(length).unwrap_or_default().0
}

fn operation<'a>(rest: &mut &'a [u8]) -> (u16, &'a [u8]) {
    match number(rest) {
        0 => (0, b""),
        number => {
            let (name, behind) = split(rest, 0);
            *rest = behind;
            (number, name)
        }
    }
}

/// Takes a number of two bytes off `rest`; 0 at its end.
fn number(rest: &mut &[u8]) -> u16 {
    let (bytes, behind) = rest.split_first_chunk().unwrap_or((&[0; 2], b""));
    *rest = behind;
    u16::from_be_bytes(*bytes)
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

impl<'a> Case<'a> {
    /// Takes the next case off `cases`.
    pub fn next(cases: &mut &'a [u8]) -> Option<Self> {
        if cases.is_empty() {
            return None;
        }
        let (name, mut rest) = split(cases, 0);
        let (since, before) = (Version(number(&mut rest)), Version(number(&mut rest)));
        let statements = body(&mut rest);
        *cases = rest;
        Some(Case {
            name,
            since,
            before,
            statements,
        })
    }

    /// Whether it is no case by itself, but what another one executes.
    pub fn is_part(&self) -> bool {
        self.name.starts_with(b".")
    }
}

/// A step of a definition, or a statement, which is read alike.
#[derive(Default)]
pub struct Step<'a> {
    /// The place of the step's operation, or of the statement's definition.
    pub place: u8,
    /// Its operands; 0 for those that are not there.
    pub operands: [u64; 6],
    /// How many operands are there.
    pub count: usize,
    /// The text that one of them is the address of, with its NUL; empty if none is.
    pub text: &'a [u8],
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
    /// Takes a step off `steps`, its operands computed from `units`; `None` at their end.
    pub fn next(steps: &mut &'a [u8], units: &Units) -> Option<Self> {
        let mut step = Step::default();
        step.read(steps, units)?;
        Some(step)
    }

    /// Becomes the next of `steps`; `None` at their end.
    pub fn read(&mut self, steps: &mut &'a [u8], units: &Units) -> Option<()> {
        let mut rest = steps.iter();
        *self = Step {
            place: *rest.next().filter(|place| **place != 0)?,
            ..Step::default()
        };
        let (mut digits, mut sum, mut begun) = (0u64, 0u64, false);
        let flags = loop {
            let byte = *rest.next()?;
            let (part, digit) = (byte >> 4, byte & 0xf);
            digits = digits << 4 | u64::from(digit);
            match part {
                part::DIGIT => continue,
                part::NEGATE => sum = sum.wrapping_neg(),
                part::TEXT => {
                    self.text = rest.as_slice();
                    sum = self.text.as_ptr().expose_provenance() as u64;
                    while *rest.next()? != 0 {}
                    let length = self.text.len() - rest.len();
                    self.text = self.text.split_at_checked(length)?.0;
                }
                part::END => {
                    if begun || digit == 0 {
                        *self.operands.get_mut(self.count)? = sum;
                        self.count += 1;
                        sum = 0;
                    }
                    if digit != 0 {
                        break digit;
                    }
                }
                unit => {
                    let unit = units.get(usize::from(unit))?;
                    sum = sum.wrapping_add(digits.wrapping_mul(*unit));
                }
            }
            digits = 0;
            begun = part != part::END;
        };
        if flags & end::OUTCOME != 0 {
            self.expected = *rest.next()?;
            self.unless = rest.as_slice();
            while *rest.next()? != 0 {}
        }
        if flags & end::KEPT != 0 {
            self.kept = *rest.next()?;
        }
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
