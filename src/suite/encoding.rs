//! Codes of the assembled suite, shared by the assembler and the reader.
//!
//! An operand is a sum of terms. Each of its bytes has a kind of [`term`] in the upper half
//! and a hexadecimal digit in the lower half. The digits of a term are its number: of pages,
//! of a register, and so on. A term begins an operand, unless a [`sign`] adds it to the
//! previous operand.

/// The largest number of operands of a step: that of a system call.
pub const MAX_OPERANDS: usize = 6;

/// The upper half of an operand's byte.
pub mod term {
    /// The next byte has a further digit of the same number.
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
    /// A constant, by its place in `CONSTANTS`.
    pub const CONSTANT: u8 = 0x60;
    /// A parameter of the verb: the operand that the statement has for it.
    pub const PARAMETER: u8 = 0x70;
    /// A text follows, with a NUL. The operand has no other term.
    pub const TEXT: u8 = 0x80;
    /// Multiples of the size of an address.
    pub const WORDS: u8 = 0x90;
    /// The end of the operands. The digit holds the flags in [`end`](super::end).
    pub const END: u8 = 0xe0;
}

/// Flags of a term.
pub mod sign {
    /// The term is negative.
    pub const NEGATIVE: u8 = 1;
    /// The term is added to the previous operand.
    pub const JOINED: u8 = 2;
}

/// Flags at the end of a list of operands. They say what follows, in this order.
pub mod end {
    /// The number of the register that keeps the result.
    pub const KEPT: u8 = 1;
    /// The number of the error that a statement must end with.
    pub const EXPECTED: u8 = 2;
    /// Numbers of errors that skip the case, up to a 0.
    pub const SKIPS: u8 = 4;
    /// Nothing follows; the verb continues if the step fails.
    pub const TRIED: u8 = 8;
}

/// Requirements of a case other than the version of Linux.
pub mod needs {
    /// Addresses of 64 bits.
    pub const ADDRESSES_OF_64_BITS: u8 = 1;
    /// Memory for hundreds of mappings or more. The kernel may kill the process of the case
    /// when memory runs short.
    pub const MEMORY: u8 = 2;
    /// Addresses of as many bits as the kernel has.
    pub const ADDRESSES_OF_THE_KERNEL: u8 = 4;
}

/// Registers: values that the steps of a case keep. These are their indices in `Registers`;
/// the assembled suite numbers them from 1.
pub mod register {
    /// The start of the window. Addresses in a case count from here.
    pub const WINDOW: usize = 0;
    /// The length of the VMA that was found last.
    pub const LENGTH: usize = 1;
    /// The file descriptor of the maps file that `see`, `label` and the like read.
    pub const MAPS: usize = 2;
    /// Another open file, or System V shared memory.
    pub const FILE: usize = 3;
    /// The address of memory outside the window.
    pub const SCRATCH: usize = 4;

    /// Their names in `verbs.txt`.
    pub const NAMES: [&str; 5] = ["window", "length", "maps", "file", "scratch"];
}
