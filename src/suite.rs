//! Reader of the assembled conformance suite.
//!
//! Cases are written in `suite/cases.txt`, and their verbs are defined in
//! `suite/verbs.txt`. `suite/assembler.rs` turns both into bytes when the program is built:
//!
//! ```text
//! SUITE      VERB... 0 HEAD... NUL BODY...
//! VERB       size of its steps, STEP...
//! HEAD       name NUL, since (2 bytes), before (2), needs (1), size of the body (2)
//! BODY       STATEMENT...                                      of each case
//! STATEMENT  number of its verb, OPERAND..., FLAGS, expected error, errors that skip the case
//! STEP       code of its operation, OPERAND..., FLAGS, number of the register for its result
//! OPERAND    a sum of terms
//! FLAGS      which of the fields after it are there
//! ```
//!
//! Verbs, operations and registers are numbered from 1. Numbers of two bytes are
//! big-endian. `suite/encoding.rs` has the codes. A defect in the
//! bytes must panic. The reader calls `unwrap` instead of indexing, whose message contains
//! the index, and would add `core::fmt` to the program.

#![allow(clippy::unwrap_used)]

pub mod calls;
mod constants;
pub mod encoding;

use crate::{
    diagnosis::Version,
    scan::{after, before, split},
};
use encoding::{MAX_OPERANDS, end, needs, register, sign, term};

/// The suite: verbs, and the cases that use them.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    verbs: Steps<'a>,
    /// All cases.
    pub cases: Cases<'a>,
}

impl<'a> Suite<'a> {
    /// Splits the output of the assembler into its parts.
    pub fn new(assembled: &'a [u8]) -> Self {
        let verbs = Steps(assembled);
        let mut heads = verbs;
        while !heads.verb().is_empty() {}
        let mut bodies = heads;
        while !bodies.text().is_empty() {
            bodies.take(CONDITION);
        }
        let cases = Cases { heads, bodies };
        Suite { verbs, cases }
    }

    /// The steps of verb `number`.
    pub fn verb(&self, number: u8) -> Steps<'a> {
        let mut verbs = self.verbs;
        for _ in 1..number {
            verbs.verb();
        }
        verbs.verb()
    }
}

/// The number of bytes in a case's head after the name and its NUL.
const CONDITION: usize = 7;

/// The cases, in the order of `cases.txt`.
#[derive(Clone, Copy)]
pub struct Cases<'a> {
    heads: Steps<'a>,
    bodies: Steps<'a>,
}

impl<'a> Iterator for Cases<'a> {
    type Item = Case<'a>;

    fn next(&mut self) -> Option<Case<'a>> {
        let name = self.heads.text();
        if name.is_empty() {
            return None;
        }
        let condition = self.heads.take(CONDITION).0.first_chunk::<CONDITION>();
        let [major, minor, before_major, before_minor, needs, size @ ..] = *condition.unwrap();
        Some(Case {
            name,
            since: Version::new(major, minor),
            before: Version::new(before_major, before_minor),
            needs,
            statements: self.bodies.take(u16::from_be_bytes(size).into()),
        })
    }
}

/// One case.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The name, which says what Linux promises, in words joined by hyphens.
    pub name: &'a [u8],
    /// The first version of Linux that it applies to.
    pub since: Version,
    /// The first later version that it no longer applies to.
    pub before: Version,
    needs: u8,
    /// Its statements.
    pub statements: Steps<'a>,
}

impl Case<'_> {
    /// Whether it needs 64-bit addresses.
    pub fn needs_64_bits(&self) -> bool {
        self.needs & needs::ADDRESSES_OF_64_BITS != 0
    }

    /// Whether it needs addresses of as many bits as the kernel has: on a 64-bit kernel, 64.
    pub fn needs_kernel_width(&self) -> bool {
        self.needs & needs::ADDRESSES_OF_THE_KERNEL != 0
    }

    /// Whether it is skipped if its process is killed for lack of memory, or takes too long.
    pub fn needs_memory(&self) -> bool {
        self.needs & needs::MEMORY != 0
    }

    /// Whether this is a helper, which only another case or PID 1 runs.
    pub fn is_helper(&self) -> bool {
        self.name.starts_with(b".")
    }
}

/// A step of a verb, or a statement of a case, which has the same form.
#[derive(Clone)]
pub struct Step<'a> {
    /// The code of the step's operation, see [`calls`], or the number of the statement's verb.
    pub code: u8,
    /// The arguments of the operation or the verb.
    pub operands: Operands<'a>,
    /// The number of these arguments.
    pub count: usize,
    /// The number of the register that keeps the step's result; 0 if none does.
    pub kept: u8,
    /// Whether the verb continues if the step fails.
    pub may_fail: bool,
    /// The error number that the statement must end with; 0 for success.
    pub expected: u8,
    /// Numbers of errors that skip the case.
    pub skips: &'a [u8],
}

/// An operand of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Operand<'a> {
    /// A number, which may be an address.
    Number(u64),
    /// The address of a text that the suite holds, with a NUL after it.
    Text(&'a [u8]),
}

/// The operands of a step. Missing ones are 0.
pub type Operands<'a> = [Operand<'a>; MAX_OPERANDS];

/// The values of the registers, see [`register`].
pub type Registers = [u64; register::NAMES.len()];

/// The values that the terms of operands refer to.
#[derive(Clone)]
pub struct Context<'a> {
    /// The size of a page.
    pub page: u64,
    /// The size of a huge page.
    pub huge: u64,
    /// The values of the registers.
    pub registers: Registers,
    /// The operands of the statement whose steps are being read.
    pub parameters: Operands<'a>,
}

impl Context<'_> {
    /// A context in which everything is 0.
    pub const ZERO: Self = Context {
        page: 0,
        huge: 0,
        registers: [0; _],
        parameters: [Operand::Number(0); _],
    };
}

/// Steps or statements that have not been read yet.
#[derive(Clone, Copy)]
pub struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    /// Reads the next step; `None` after the last one.
    pub fn next(&mut self, context: &Context<'a>) -> Option<Step<'a>> {
        if self.is_empty() {
            return None;
        }
        let mut step = Step {
            code: self.byte(),
            operands: Context::ZERO.parameters,
            count: 0,
            kept: 0,
            may_fail: false,
            expected: 0,
            skips: b"",
        };
        let flags = self.operands(&mut step, context);
        step.may_fail = flags & end::TRIED != 0;
        if flags & end::KEPT != 0 {
            step.kept = self.byte();
        }
        if flags & end::EXPECTED != 0 {
            step.expected = self.byte();
        }
        if flags & end::SKIPS != 0 {
            step.skips = self.text();
        }
        Some(step)
    }

    /// Whether all steps have been read.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Removes the next `length` bytes and returns them.
    pub fn take(&mut self, length: usize) -> Self {
        let taken = before(self.0, length);
        self.0 = after(self.0, length);
        Steps(taken)
    }

    /// Removes the steps of a verb and their size, and returns the steps.
    fn verb(&mut self) -> Self {
        let size = self.byte();
        self.take(size.into())
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap();
        self.0 = rest;
        *first
    }

    fn text(&mut self) -> &'a [u8] {
        let (text, rest) = split(self.0, 0);
        self.0 = rest;
        text
    }

    /// Reads the operands of `step`, and returns the flags at their end, see [`end`].
    fn operands(&mut self, step: &mut Step<'a>, context: &Context<'a>) -> u8 {
        let (mut digits, mut sign) = (0u64, 0);
        loop {
            let byte = self.byte();
            let (kind, digit) = (byte & 0xf0, byte & 0xf);
            digits = digits << 4 | u64::from(digit);
            let mut term = match kind {
                term::DIGIT => continue,
                term::SIGN => {
                    (digits, sign) = (0, digit);
                    continue;
                }
                term::END => return digit,
                term::TEXT => Operand::Text(self.text()),
                term::PARAMETER => nth(&context.parameters, digits),
                term::PAGES => Operand::Number(digits.wrapping_mul(context.page)),
                term::HUGE => Operand::Number(digits.wrapping_mul(context.huge)),
                term::WORDS => Operand::Number(digits * size_of::<usize>() as u64),
                term::REGISTER => Operand::Number(nth(&context.registers, digits)),
                term::CONSTANT => Operand::Number(nth(constants::VALUES, digits).into()),
                _ => Operand::Number(digits),
            };
            if let Operand::Number(number) = &mut term
                && sign & sign::NEGATIVE != 0
            {
                *number = number.wrapping_neg();
            }
            if sign & sign::JOINED == 0 {
                *step.operands.get_mut(step.count).unwrap() = term;
                step.count += 1;
            } else if let Operand::Number(number) = term
                && let Some(Operand::Number(sum)) = step.operands.get_mut(step.count - 1)
            {
                *sum = sum.wrapping_add(number);
            }
            (digits, sign) = (0, 0);
        }
    }
}

/// The name of the operation with this code.
pub fn operation(code: u8) -> &'static [u8] {
    let mut names = calls::OPERATIONS.as_bytes();
    for _ in 1..code {
        names = split(names, b' ').1;
    }
    split(names, b' ').0
}

/// The item with this number, counted from 1.
fn nth<T: Copy>(items: &[T], number: u64) -> T {
    *items.get((number as usize).wrapping_sub(1)).unwrap()
}
