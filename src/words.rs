//! Enumerations whose values have words, told apart by data instead of code.
//!
//! A `match` on byte strings compiles to a comparison of every byte of every
//! word, three instructions each. A list that is searched takes a byte a byte.

/// Declares an enumeration and `of`, which finds the value of a word.
#[macro_export]
macro_rules! words {
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
    let mut words = words.split(|b| *b == b' ');
    words.position(|each| each == word).unwrap_or(usize::MAX)
}
