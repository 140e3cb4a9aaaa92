//! Packs the messages: `src/pairs.rs` says how, and reads what this writes.

use std::collections::BTreeMap;

/// The `texts`, packed. They are ASCII, without NUL.
pub(crate) fn pack<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut texts: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).collect();
    let mut packed = Vec::new();
    for byte in (0x80..=0xff).rev() {
        let Some(pair) = best_pair(&texts) else { break };
        packed.extend(pair);
        for text in &mut texts {
            *text = replace(text, pair, byte);
        }
    }
    packed.push(0);
    for text in texts {
        packed.extend(text);
        packed.push(0);
    }
    packed
}

/// The pair that comes most often, if it comes often enough to save more than the two
/// bytes it takes.
fn best_pair(texts: &[Vec<u8>]) -> Option<[u8; 2]> {
    let mut counts = BTreeMap::new();
    for text in texts {
        let mut rest = text.as_slice();
        while let [first, behind @ ..] = rest {
            rest = behind;
            let [second, others @ ..] = behind else { break };
            if ![first, second].contains(&&b'%') {
                *counts.entry([*first, *second]).or_insert(0) += 1;
            }
            // Of three that are alike, two are a pair.
            if first == second && others.first() == Some(first) {
                rest = others;
            }
        }
    }
    let (pair, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count > 2).then_some(pair)
}

/// `text`, with `byte` wherever it has `pair`.
fn replace(text: &[u8], pair: [u8; 2], byte: u8) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let (kept, behind) = match rest.strip_prefix(&pair) {
            Some(behind) => (byte, behind),
            None => (*first, behind),
        };
        replaced.push(kept);
        rest = behind;
    }
    replaced
}
