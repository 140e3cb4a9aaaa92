//! The memory routines that compiled Rust calls by their C names, and `strlen`.
//!
//! The compiler turns copies, fills and comparisons into calls of these routines, and
//! the program links no libc that defines them. `memcpy` copies eight bytes at a time; the
//! last eight may overlap those before them. The other
//! routines go byte by byte, because the program calls them rarely.
//!
//! # Safety
//!
//! Unsafe, because the contracts are C's: the caller promises that each pointer is
//! valid for `length` bytes. An empty `asm!` in each loop keeps the compiler from
//! recognising the loop as the very routine that it implements, which would then
//! call itself for ever.
#![allow(unsafe_code)]
#![allow(clippy::multiple_unsafe_ops_per_block)]

use core::arch::asm;

const WORD: usize = size_of::<u64>();

/// Hides the loop's purpose from the optimizer.
macro_rules! opaque {
    () => {
        // SAFETY: It contains no instruction.
        unsafe { asm!("", options(nomem, nostack, preserves_flags)) }
    };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    let copy_word = |place| {
        // SAFETY: The WORD bytes from `place` on are within `length`.
        unsafe {
            let word = from.add(place).cast::<[u8; WORD]>().read();
            to.add(place).cast::<[u8; WORD]>().write(word);
        }
    };
    let mut done = 0;
    if let Some(last) = length.checked_sub(WORD) {
        loop {
            copy_word(done);
            done += WORD;
            opaque!();
            if done >= last {
                break;
            }
        }
        copy_word(last);
        return to;
    }
    while done < length {
        // SAFETY: The byte at `done` is within `length`.
        unsafe { *to.add(done) = *from.add(done) };
        done += 1;
        opaque!();
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // A forward copy is right unless `to` is inside the source.
    if to.addr().wrapping_sub(from.addr()) >= length {
        let mut done = 0;
        while done < length {
            // SAFETY: The byte at `done` is within `length`, and not yet overwritten.
            unsafe { *to.add(done) = *from.add(done) };
            done += 1;
            opaque!();
        }
    } else {
        let mut left = length;
        while left > 0 {
            left -= 1;
            // SAFETY: The byte at `left` is within `length`, and not yet overwritten.
            unsafe { *to.add(left) = *from.add(left) };
            opaque!();
        }
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    let mut done = 0;
    while done < length {
        // SAFETY: The byte at `done` is within `length`.
        unsafe { *to.add(done) = byte as u8 };
        done += 1;
        opaque!();
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    let mut done = 0;
    while done < length {
        // SAFETY: The byte at `done` is within `length` of both.
        let (a, b) = unsafe { (*a.add(done), *b.add(done)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        done += 1;
        opaque!();
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    // SAFETY: The contract is the same.
    unsafe { memcmp(a, b, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: The bytes up to the NUL are readable.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
        opaque!();
    }
    length
}
