//! Enumerations whose values have words, told apart by data instead of code.
//!
//! A `match` on byte strings compiles to a comparison of every byte of every
//! word, three instructions each. A list that is searched takes a byte a byte.

use crate::text::split;

/// Declares an enumeration and `of`, which finds the value of a word; or a function
/// that finds values of any other type.
#[macro_export]
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident(word) -> Option<$Value:ty> {
            $($word:literal => $value:expr,)*
        }
    ) => {
        $(#[$attribute])*
        $visibility fn $name(word: &[u8]) -> Option<$Value> {
            const WORDS: &[u8] = concat!($($word, " "),*).as_bytes();
            const VALUES: &[$Value] = &[$($value,)*];
            VALUES.get($crate::words::position(WORDS, word)).copied()
        }
    };
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $Name:ident {
            $($(#[$inner:meta])* $word:literal => $Value:ident,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        $visibility enum $Name { $($(#[$inner])* $Value,)* }

        impl $Name {
            /// The value that `word` stands for.
            $visibility fn of(word: &[u8]) -> Option<Self> {
                const WORDS: &[u8] = concat!($($word, " "),*).as_bytes();
                const VALUES: &[$Name] = &[$($Name::$Value,)*];
                VALUES.get($crate::words::position(WORDS, word)).copied()
            }
        }
    };
}

/// The place of `word` in `words`, between which there are blanks; `usize::MAX` if
/// it is not among them.
pub fn position(words: &[u8], word: &[u8]) -> usize {
    let mut rest = words;
    let mut place = 0;
    while !rest.is_empty() {
        let (each, behind) = split(rest, b' ');
        if each == word {
            return place;
        }
        place += 1;
        rest = behind;
    }
    usize::MAX
}
