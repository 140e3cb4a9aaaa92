//! Attributes constants to the code that refers to them first.
//!
//! The compiler gives most constants no symbol. But each address that code takes
//! (`adr`, or `adrp` and the instruction after it), and each address that a constant
//! contains, is the start of a constant, which extends to the next start. A constant
//! that only other constants refer to belongs to their owner.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The largest distance from an `adrp` to the instruction that adds to it, in bytes.
const NEAR: u64 = 32;

/// The constants of an aarch64 executable.
pub(super) struct Constants<'a> {
    /// Addresses that code takes, each with the address of the first instruction that takes it.
    taken: HashMap<u64, u64>,
    sections: Vec<(u64, &'a [u8])>,
}

impl<'a> Constants<'a> {
    /// No constants yet; `code` is the code that uses them.
    pub(super) fn new(address: u64, code: &[u8]) -> Self {
        Self {
            taken: addresses_taken(address, code),
            sections: Vec::new(),
        }
    }

    /// Adds a section of constants.
    pub(super) fn add_section(&mut self, address: u64, data: &'a [u8]) {
        self.sections.push((address, data));
    }

    /// Each constant: the address of the code it belongs to, if known, and its size.
    pub(super) fn pieces(&self) -> Vec<(Option<u64>, u64)> {
        let pointers = self.pointers();
        let mut begins: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        for (address, _) in &self.sections {
            begins.insert(*address, None);
        }
        for (target, user) in self.taken.iter().filter(|(target, _)| self.holds(**target)) {
            begins.insert(*target, Some(*user));
        }
        // The constant that contains the pointer already has an owner.
        for (place, target) in &pointers {
            let owner = begins
                .range(..=place)
                .next_back()
                .and_then(|(_, user)| *user);
            let user = begins.entry(*target).or_insert(owner);
            *user = user.or(owner);
        }
        self.cut(&begins)
    }

    fn cut(&self, begins: &BTreeMap<u64, Option<u64>>) -> Vec<(Option<u64>, u64)> {
        let ends = |start: u64, section: &Range<u64>| {
            let next = begins.range(start + 1..).next();
            next.map_or(section.end, |(next, _)| section.end.min(*next))
        };
        let ranges: Vec<_> = self.ranges().collect();
        let pieces = begins.iter().filter_map(|(start, user)| {
            let section = ranges.iter().find(|section| section.contains(start))?;
            Some((*user, ends(*start, section) - start))
        });
        pieces.collect()
    }

    fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let sections = self.sections.iter();
        sections.map(|(address, data)| *address..*address + data.len() as u64)
    }

    fn holds(&self, address: u64) -> bool {
        self.ranges().any(|range| range.contains(&address))
    }

    /// The places in constants that contain the address of a constant, and this address.
    fn pointers(&self) -> Vec<(u64, u64)> {
        let mut pointers = Vec::new();
        for (address, data) in &self.sections {
            let skip = address.wrapping_neg() % 8;
            let words = data
                .get(skip as usize..)
                .unwrap_or_default()
                .chunks_exact(8);
            for (place, word) in (address + skip..).step_by(8).zip(words) {
                let word = word.try_into().map(u64::from_le_bytes).unwrap_or_default();
                pointers.extend(self.holds(word).then_some((place, word)));
            }
        }
        pointers
    }
}

/// Addresses that code takes, each with the address of the first instruction that takes it.
fn addresses_taken(address: u64, code: &[u8]) -> HashMap<u64, u64> {
    let mut taken = HashMap::new();
    let mut pages: HashMap<u32, (u64, u64)> = HashMap::new();
    for (at, bytes) in (address..).step_by(4).zip(code.chunks_exact(4)) {
        let word = bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
        let (target, source) = (word & 31, word >> 5 & 31);
        let low = u64::from(word >> 10 & 0xfff);
        // After a longer distance, the register may have another value.
        let page_of = |register| {
            let (page, given) = pages.get(&register)?;
            (at - given < NEAR).then_some(page)
        };
        let found = match word {
            _ if word & 0x9f00_0000 == 0x1000_0000 => Some(at.wrapping_add(relative(word))),
            _ if word & 0x9f00_0000 == 0x9000_0000 => {
                let page = (at & !0xfff).wrapping_add(relative(word) << 12);
                pages.insert(target, (page, at));
                None
            }
            // add, immediate, 64 bits, not shifted
            _ if word & 0xffc0_0000 == 0x9100_0000 => page_of(source).map(|page| page + low),
            // ldr with an unsigned offset, scaled by the size that is loaded
            _ if word & 0x3b40_0000 == 0x3940_0000 => {
                page_of(source).map(|page| page + (low << (word >> 30)))
            }
            _ => None,
        };
        if let Some(found) = found {
            taken.entry(found).or_insert(at);
        }
    }
    taken
}

/// The signed 21-bit distance in `adr` and `adrp`.
fn relative(word: u32) -> u64 {
    let bits = i64::from((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3);
    let signed = (bits << 43) >> 43;
    signed as u64
}
