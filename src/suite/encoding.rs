//! The numbers of the assembled suite, on which the assembler and the program agree.

/// What the upper half of an operand's byte says. The lower half is a hexadecimal digit,
/// or says more.
pub mod part {
    /// The digit joins those before it; nothing more.
    pub const DIGIT: u8 = 0;
    /// The first of the units: so many bytes as the digits say are added.
    pub const BYTES: u8 = 1;
    /// So many pages.
    pub const PAGES: u8 = 2;
    /// The address of the window, times the digits.
    pub const WINDOW: u8 = 3;
    /// The length of the VMA last looked up, or the byte that is tried; 0 until then.
    pub const LENGTH: u8 = 4;
    /// Huge pages.
    pub const HUGE: u8 = 5;
    /// The file last opened.
    pub const FILE: u8 = 6;
    /// The maps file that is looked at.
    pub const MAPS: u8 = 7;
    /// The first of the statement's own operands, in its definition.
    pub const OPERANDS: u8 = 8;
    /// The fourth of them: 0 in the beginning where a statement has three.
    pub const COUNT: u8 = OPERANDS + 3;
    /// What has been added so far changes its sign.
    pub const NEGATE: u8 = 13;
    /// The operand is the address of the text that follows, up to its NUL.
    pub const TEXT: u8 = 14;
    /// The operand ends, and more: see [`super::end`].
    pub const END: u8 = 15;
}

/// What the lower half of a byte [`part::END`] says.
pub mod end {
    /// There are no more operands.
    pub const LAST: u8 = 1;
    /// An error that is expected follows, or 0, and errors that skip the case up to a 0.
    pub const OUTCOME: u8 = 2;
    /// Where the result is kept follows.
    pub const KEPT: u8 = 4;
    /// The result does not matter.
    pub const ANY: u8 = 8;
}

/// Operations that are no system call, in place of a call's number: beyond all of them,
/// and so small that an instruction holds them.
pub mod verb {
    /// Compares the window's picture with a text.
    pub const SEE: u16 = 0x400;
    /// Compares the label of the VMA at an address with a text.
    pub const LABEL: u16 = 0x401;
    /// Finds the first VMA whose label begins with a text.
    pub const AT: u16 = 0x402;
    /// Compares the text at an address with a text.
    pub const COMPARE: u16 = 0x403;
    /// Runs what follows in a child with a copy of the memory.
    pub const FORK: u16 = 0x404;
    /// Makes the call in a child with the same memory.
    pub const SHARE: u16 = 0x405;
    /// Writes a text to memory.
    pub const WRITE: u16 = 0x406;
    /// Writes a number to memory, in as many bytes as it has.
    pub const STORE: u16 = 0x407;
    /// Gives a number, and takes the first step next if that is not above a second one.
    pub const AGAIN: u16 = 0x408;
}
