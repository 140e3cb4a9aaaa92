//! Texts packed by prediction: what was likely costs little.
//!
//! Bit by bit, a model says how likely a 1 is, having seen what followed the last
//! 0 to 4 bytes so far; an arithmetic coder gives the likely bit the larger
//! part of a range of numbers, and a number in what is left of the range after
//! all bits tells them again. The build script packs with the same model, in the
//! same order, so the program needs no tables. The help and the suite, 21,100 bytes,
//! take 4,550, and 560 of code. gzip and xz take 5,630 and 5,180, and more code than
//! this. (The mixing of counts is after M. Mahoney's PAQ, the coder after his fpaq0.)

use super::text::Sink;

/// They take 4 MiB while texts are unpacked. Half as many cost 75 bytes of the packed
/// text, a quarter 160; twice as many save 40.
const SLOTS_LOG2: u32 = 21;

/// How often a 0 and a 1 came, per context; several may share a slot. All are 0
/// in the beginning.
pub type Counts = [[u8; 2]; 1 << SLOTS_LOG2];

/// How many contexts there are: the last 0 to 4 bytes.
const ORDERS: u32 = 5;

/// What is known of the text so far.
pub struct Model<'a> {
    counts: &'a mut Counts,
    /// The last bytes, the newest lowest.
    history: u64,
    /// A 1, and behind it the bits so far of the byte that comes.
    bits: u64,
}

impl<'a> Model<'a> {
    /// Knows nothing yet.
    pub fn new(counts: &'a mut Counts) -> Self {
        Model {
            counts,
            history: 0,
            bits: 1,
        }
    }

    /// The counts for the context of the last `order` bytes.
    #[allow(clippy::indexing_slicing)] // The index has SLOTS_LOG2 bits.
    fn slot(&mut self, order: u32) -> &mut [u8; 2] {
        let bytes = self.history & ((1 << (8 * order)) - 1);
        let key = bytes << 16 | self.bits << 8 | u64::from(order);
        // After Fibonacci hashing (D. Knuth, The Art of Computer Programming 3, 6.4), with
        // a number that takes two instructions.
        let index = key.wrapping_mul(0x9e37_0000_79b1) >> (u64::BITS - SLOTS_LOG2);
        &mut self.counts[index as usize]
    }

    /// Where a range from 0 to `width` parts: a 1 gets what lies below.
    pub fn part(&mut self, width: u32) -> u32 {
        let (mut ones, mut all) = (2, 4);
        for order in 0..ORDERS {
            let [zeros, one] = *self.slot(order);
            // The longer the context, the better it knows; best of all if
            // nothing else has ever come.
            let weight = order + u32::from(zeros == 0 || one == 0);
            ones += u64::from(one) << weight;
            all += (u64::from(zeros) + u64::from(one)) << weight;
        }
        let part = (u64::from(width) * ones).checked_div(all); // It is no 0.
        part.unwrap_or_default() as u32
    }

    /// Goes on behind `bit`.
    pub fn learn(&mut self, bit: bool) {
        for order in 0..ORDERS {
            let [zeros, ones] = self.slot(order);
            let (seen, other) = if bit { (ones, zeros) } else { (zeros, ones) };
            *seen = seen.saturating_add(1);
            *other = other.div_ceil(4); // What came long ago counts less.
        }
        self.bits = self.bits << 1 | u64::from(bit);
        if self.bits >= 0x100 {
            self.history = self.history << 8 | self.bits & 0xff;
            self.bits = 1;
        }
    }
}

/// Takes packed texts out, one after another.
pub struct Unpacker<'a> {
    model: Model<'a>,
    packed: &'a [u8],
    low: u32,
    high: u32,
    number: u32,
}

impl<'a> Unpacker<'a> {
    /// Before the first of the texts in `packed`.
    pub fn new(packed: &'a [u8], counts: &'a mut Counts) -> Self {
        Unpacker {
            model: Model::new(counts),
            packed,
            low: 0,
            high: 0,
            number: 0,
        }
    }

    /// Appends the next text to `out`.
    pub fn next(&mut self, out: &mut dyn Sink) {
        let length = u16::from(self.byte()) << 8 | u16::from(self.byte());
        for _ in 0..length {
            out.put(&[self.byte()]);
        }
    }

    fn byte(&mut self) -> u8 {
        self.bit();
        while self.model.bits != 1 {
            self.bit();
        }
        self.model.history as u8
    }

    fn bit(&mut self) {
        // The bytes that low and high have in common are settled.
        while (self.low ^ self.high) >> 24 == 0 {
            let (first, others) = self.packed.split_first().unwrap_or((&0, b""));
            self.packed = others;
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.number = self.number << 8 | u32::from(*first);
        }
        let middle = self.low + self.model.part(self.high - self.low);
        let bit = self.number <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        self.model.learn(bit);
    }
}
