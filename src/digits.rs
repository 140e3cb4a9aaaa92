//! Digits of numbers without a division, for the minimal build.
//!
//! Code that is optimised for size divides by calling a function, if the processor may lack the
//! instruction: 148 bytes on 32-bit arm.

#![allow(clippy::indexing_slicing)] // All places are below `MAX`.

/// The most digits of a number.
const MAX: usize = 16;

/// Room for the digits of a number.
pub type Buffer = [u8; MAX];

/// The decimal digits of `number`.
#[inline(never)]
pub fn decimal(mut number: u32, buffer: &mut Buffer) -> &[u8] {
    let mut place = 0;
    loop {
        place = before(place);
        let tenth = tenth(number);
        buffer[place] = b'0' + (number - tenth * 10) as u8;
        number = tenth;
        if number == 0 {
            return &buffer[place..];
        }
    }
}

/// The hexadecimal digits of `number`, in lower case.
#[inline(never)]
pub fn hexadecimal(mut number: usize, buffer: &mut Buffer) -> &[u8] {
    let mut place = 0;
    loop {
        place = before(place);
        let digit = (number % 16) as u8;
        buffer[place] = digit + if digit < 10 { b'0' } else { b'a' - 10 };
        number /= 16;
        if number == 0 {
            return &buffer[place..];
        }
    }
}

/// The place before another. That before the first is the last, so no place needs a check.
fn before(place: usize) -> usize {
    place.wrapping_sub(1) % MAX
}

/// `number / 10`, by the fixed-point value of 1/10, which is exact enough for all 32 bits.
fn tenth(number: u32) -> u32 {
    const TENTH: u64 = (1 << 35) / 10 + 1;
    ((u64::from(number) * TENTH) >> 35) as u32
}
