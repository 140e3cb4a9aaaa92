//! The conformance suite's text: cases, statements, words and numbers.
//!
//! The cases are in `suite/cases.txt`, whose head explains the language. The
//! build script strips that text to a line a case, and packs it (see
//! [`packing`](crate::packing)).

use crate::{
    errno,
    kernel::Version,
    text::{Sink, number, split},
};

/// A case: `NAME [>=X.Y] [<X.Y];STATEMENT;STATEMENT`.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What it promises, in words joined by hyphens.
    pub name: &'a [u8],
    /// The first Linux that it holds for.
    pub since: Version,
    /// The first Linux that it does not hold for any more.
    pub before: Version,
    /// What to do, statements separated by semicolons.
    pub statements: &'a [u8],
}

impl<'a> Case<'a> {
    /// Reads a case.
    pub fn of(text: &'a [u8]) -> Self {
        let (head, statements) = split(text, b';');
        let (name, mut conditions) = split(head, b' ');
        let mut case = Case {
            name,
            since: Version(0, 0),
            before: Version(u32::MAX, u32::MAX),
            statements,
        };
        while let Some(condition) = word(&mut conditions) {
            match condition {
                [b'<', version @ ..] => case.before = Version::of(version),
                [b'>', b'=', version @ ..] => case.since = Version::of(version),
                _ => {}
            }
        }
        case
    }

    /// Whether it is no case by itself, but what another one executes.
    pub fn is_part(&self) -> bool {
        self.name.starts_with(b".")
    }
}

/// A statement: words, and what must come of them.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    /// All of it, for people.
    pub text: &'a [u8],
    /// The words before `=` or `?`; those that are not there are empty.
    pub words: [&'a [u8]; 6],
    /// From the first `=` or `?` on.
    expectation: &'a [u8],
}

/// What a call's result means to a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Verdict {
    /// As stated.
    Right,
    /// Not as stated.
    Wrong,
    /// The kernel does not have what the statement needs.
    Unavailable,
}

impl<'a> Statement<'a> {
    /// Takes the next statement off `statements`.
    pub fn next(statements: &mut &'a [u8]) -> Option<Self> {
        if statements.is_empty() {
            return None;
        }
        let (text, others) = split(statements, b';');
        *statements = others;
        let mut statement = Statement {
            text,
            words: [b""; 6],
            expectation: b"",
        };
        let mut rest = text;
        for place in &mut statement.words {
            let before = rest;
            match word(&mut rest) {
                Some(b"=" | b"?") => {
                    statement.expectation = before;
                    break;
                }
                Some(word) => *place = word,
                None => break,
            }
        }
        Some(statement)
    }

    /// Whether the call may have ended with `result`, 0 or an error number.
    pub fn judge(&self, result: Result<(), i32>) -> Verdict {
        let mut rest = self.expectation;
        let mut must_fail = false;
        while let (Some(mark), Some(error)) = (word(&mut rest), word(&mut rest)) {
            let met = result.is_err_and(|number| errno::name(number) == error);
            match (mark, met) {
                (b"=", true) => return Verdict::Right,
                (b"=", false) => must_fail = true,
                (_, true) => return Verdict::Unavailable,
                (_, false) => {}
            }
        }
        if result.is_ok() && !must_fail {
            Verdict::Right
        } else {
            Verdict::Wrong
        }
    }

    /// Passes over what is left of a `fork` or `share`, to behind its `join`.
    pub fn skip_to_join(statements: &mut &'a [u8]) {
        let mut depth = 1;
        while depth > 0
            && let Some(statement) = Statement::next(statements)
        {
            match statement.words[0] {
                b"fork" | b"share" => depth += 1,
                b"join" => depth -= 1,
                _ => {}
            }
        }
    }
}

/// Takes the next word off `statement`: up to a blank, or between backquotes.
fn word<'a>(statement: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = statement.trim_ascii_start();
    let (first, rest) = match text {
        [] => return None,
        [b'`', quoted @ ..] => split(quoted, b'`'),
        _ => split(text, b' '),
    };
    *statement = rest;
    Some(first)
}

/// Writes `word` with `a*79` for 79 times `a`. A star behind nothing, or before
/// no digit, stands for itself.
pub fn expand(word: &[u8], out: &mut dyn Sink) {
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let mut times = 1;
        if let [b'*', digits @ ..] = behind {
            let mut after = digits;
            if let Some(count) = number(&mut after) {
                (times, rest) = (count, after);
            }
        }
        for _ in 0..times {
            out.put(&[*first]);
        }
    }
}

/// What the letters in a number stand for, in bytes.
#[derive(Clone, Copy, Default)]
pub struct Scale {
    /// The size of a page.
    pub page: u64,
    /// `w`: the address of the window.
    pub window: u64,
    /// `n`: the length of the VMA last looked up.
    pub length: u64,
    /// `h`: the size of a huge page.
    pub huge: u64,
}

impl Scale {
    /// As [`number`](Self::number), or 0: the suite's numbers are known to be good.
    pub fn bytes(&self, text: &[u8]) -> u64 {
        self.number(text).unwrap_or_default()
    }

    /// `@` and a number, or a number counted from the window.
    pub fn address(&self, text: &[u8]) -> u64 {
        match text {
            [b'@', number @ ..] => self.bytes(number),
            number => self.window.wrapping_add(self.bytes(number)),
        }
    }

    /// Reads terms joined by `+` and `-`: `3` pages, `3b` bytes, `^47` for 2^47
    /// bytes, or a letter. The sum wraps around, as addresses do.
    pub fn number(&self, text: &[u8]) -> Option<u64> {
        let mut sum = 0u64;
        let mut rest = text;
        let mut negative = false;
        loop {
            let value = self.term(&mut rest)?;
            sum = if negative {
                sum.wrapping_sub(value)
            } else {
                sum.wrapping_add(value)
            };
            negative = match rest {
                [] => return Some(sum),
                [b'+', ..] => false,
                [b'-', ..] => true,
                _ => return None,
            };
            rest = rest.split_first()?.1;
        }
    }

    fn term(&self, rest: &mut &[u8]) -> Option<u64> {
        let (value, behind) = match *rest {
            [b'w', behind @ ..] => (self.window, behind),
            [b'n', behind @ ..] => (self.length, behind),
            [b'h', behind @ ..] => (self.huge, behind),
            [b'^', behind @ ..] => {
                *rest = behind;
                let power = number(rest)?;
                return 1u64.checked_shl(u32::try_from(power).ok()?);
            }
            _ => {
                let number = number(rest)?;
                match *rest {
                    [b'b', behind @ ..] => (number, behind),
                    behind => (number.wrapping_mul(self.page), behind),
                }
            }
        };
        *rest = behind;
        Some(value)
    }
}
