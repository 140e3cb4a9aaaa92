//! Codes of the assembled suite, on which the assembler and the reader agree.
//!
//! An operand is a sum of terms. Each of its bytes has a kind of [`term`] in the upper half
//! and a hexadecimal digit in the lower half. The digits since the last term tell how many
//! pages the next one is, or which register. A term begins an operand, unless a [`sign`]
//! adds it to the operand before.

/// How many operands a step can have: as many as a system call.
pub const MAX_OPERANDS: usize = 6;

/// The upper half of an operand's byte.
pub mod term {
    /// The digits go on in the next byte.
    pub const DIGIT: u8 = 0x00;
    /// The digit is the [`sign`](super::sign) of the next term.
    pub const SIGN: u8 = 0x10;
    /// Bytes, or a plain number.
    pub const BYTES: u8 = 0x20;
    /// Pages.
    pub const PAGES: u8 = 0x30;
    /// Huge pages.
    pub const HUGE: u8 = 0x40;
    /// A [`register`](super::register).
    pub const REGISTER: u8 = 0x50;
    /// One of the constants.
    pub const CONSTANT: u8 = 0x60;
    /// An operand of the statement, in a step of its verb.
    pub const PARAMETER: u8 = 0x70;
    /// Words: the size of an address.
    pub const WORDS: u8 = 0x90;
    /// A text follows, with a NUL. The operand has no other term.
    pub const TEXT: u8 = 0x80;
    /// The list of operands ends. The digit says more, see [`end`](super::end).
    pub const END: u8 = 0xe0;
}

/// What the sign of a term says.
pub mod sign {
    /// The term is negative.
    pub const NEGATIVE: u8 = 1;
    /// The term is added to the operand before.
    pub const JOINED: u8 = 2;
}

/// What follows a list of operands, in this order.
pub mod end {
    /// The number of the register that keeps the result.
    pub const KEPT: u8 = 1;
    /// The number of the error that a statement must end with.
    pub const EXPECTED: u8 = 2;
    /// Numbers of errors that skip the case, up to a 0.
    pub const SKIPS: u8 = 4;
    /// Nothing; the step may fail.
    pub const TRIED: u8 = 8;
}

/// What a case needs, beside a version of Linux.
pub mod needs {
    /// Addresses of 64 bits.
    pub const ADDRESSES_OF_64_BITS: u8 = 1;
    /// Memory for as many mappings as a process may have. The kernel may kill the case to
    /// get it back.
    pub const MEMORY: u8 = 2;
}

/// What the steps of a case remember: the places of the registers in `Registers`. Their
/// numbers in the assembled suite count from 1.
pub mod register {
    /// The address from which a case counts.
    pub const WINDOW: usize = 0;
    /// The length of the VMA that was found last.
    pub const LENGTH: usize = 1;
    /// The file descriptor of the maps file that is read.
    pub const MAPS: usize = 2;
    /// Another open file, or System V shared memory.
    pub const FILE: usize = 3;
    /// The address of memory outside the window.
    pub const SCRATCH: usize = 4;

    /// Their names in `verbs.txt`.
    pub const NAMES: [&str; 5] = ["window", "length", "maps", "file", "scratch"];
}
