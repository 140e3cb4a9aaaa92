//! Digits of numbers without a division.

use proptest::prelude::*;
use vm_anon_name::digits::{Buffer, decimal, hexadecimal};

#[track_caller]
fn check(number: u32, wide: usize) {
    let mut buffer = Buffer::default();
    assert_eq!(decimal(number, &mut buffer), number.to_string().as_bytes());
    assert_eq!(
        hexadecimal(wide, &mut buffer),
        format!("{wide:x}").as_bytes()
    );
}

#[test]
fn least_and_largest_numbers() {
    check(0, 0);
    check(9, 0xf);
    check(10, 0x10);
    check(u32::MAX, usize::MAX);
}

/// An inexact division by 10 fails first next to a multiple of a power of 10.
#[test]
fn numbers_around_multiples_of_powers_of_10() {
    for power in 1..10 {
        for multiple in (1..=u32::MAX / 10u32.pow(power)).rev().take(1000) {
            let number = multiple * 10u32.pow(power);
            check(number, number as usize);
            check(number - 1, number as usize - 1);
        }
    }
}

proptest! {
    #[test]
    fn any_number(number: u32, wide: usize) {
        check(number, wide);
    }
}
