//! Packs the suite's text, which the program unpacks a case at a time.
//!
//! The text is ASCII; the bytes from 128 on are free. Each is given, in turn, to
//! the pair of bytes that is then most frequent, and all such pairs are replaced
//! by it (byte pair encoding: P. Gage, "A New Algorithm for Data Compression",
//! 1994). A pair may hold bytes that stand for pairs themselves. Newlines are
//! left alone, so that a case can be found without unpacking.

/// What the program needs to unpack the text, and the packed text.
pub(crate) fn pack(text: &[u8]) -> ([u8; 256], Vec<u8>) {
    assert!(text.is_ascii(), "the suite's text is ASCII");
    let mut packed = text.to_vec();
    let mut pairs = [0; 256];
    for code in 0x80..=0xff_u8 {
        let Some(pair) = most_frequent_pair(&packed) else {
            break;
        };
        let index = usize::from(code & 0x7f) * 2;
        pairs[index..index + 2].copy_from_slice(&pair);
        packed = replace(&packed, pair, code);
    }
    (pairs, packed)
}

/// The pair that occurs most often, the lowest of several; `None` if none is worth
/// a code of its own, which takes two bytes.
fn most_frequent_pair(text: &[u8]) -> Option<[u8; 2]> {
    let mut counts = std::collections::BTreeMap::new();
    for pair in text.windows(2).filter(|pair| !pair.contains(&b'\n')) {
        *counts.entry([pair[0], pair[1]]).or_insert(0) += 1;
    }
    let (pair, count) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    (count > 2).then_some(pair)
}

fn replace(text: &[u8], pair: [u8; 2], code: u8) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        if rest.starts_with(&pair) {
            replaced.push(code);
            rest = &rest[2..];
        } else {
            replaced.push(*first);
            rest = behind;
        }
    }
    replaced
}

/// The cases without comments and indentation: a line a case, its statements
/// after semicolons.
pub(crate) fn strip(text: &str) -> String {
    let mut stripped = String::new();
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        // A case's name begins its line; what it does is indented.
        stripped.push(if line.starts_with(' ') { ';' } else { '\n' });
        let statements: Vec<_> = content.split(';').map(str::trim).collect();
        stripped.push_str(&statements.join(";"));
    }
    stripped
}
