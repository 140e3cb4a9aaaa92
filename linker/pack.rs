//! Packs the texts that the program unpacks when they are asked for.

// The model is the library's own: both sides must predict alike.
#[path = "../src/packing.rs"]
#[allow(dead_code, unreachable_pub)]
mod packing;

/// Counts of nothing yet. They never lie on the stack, which has no room for them in
/// a test's thread.
///
/// # Panics
///
/// Never: the vector has the array's length.
pub(crate) fn no_counts() -> Box<packing::Counts> {
    let count = size_of::<packing::Counts>() / size_of::<[u8; 2]>();
    vec![[0; 2]; count]
        .try_into()
        .expect("as many as there are")
}

/// The `text`, as an arithmetic coder writes it.
pub(crate) fn pack(text: &[u8]) -> Vec<u8> {
    let mut counts = no_counts();
    let mut model = packing::Model::new(&mut counts);
    // The range begins at the number whose digits these are, and is so wide.
    let (mut packed, mut width, mut history) = (Vec::new(), 1, 0);
    for byte in text {
        for left in (0..8).rev() {
            while width < packing::NARROW {
                width <<= 8;
                packed.push(0);
            }
            let part = model.part(history, left, width);
            let bit = u64::from(byte >> left & 1);
            if bit == 1 {
                width = part;
            } else {
                width -= part;
                add(&mut packed, part);
            }
            history = history << 1 | bit;
        }
    }
    packed
}

/// Adds `number` to the one whose digits these are, the highest first.
fn add(digits: &mut [u8], number: u64) {
    let mut carried = number;
    for digit in digits.iter_mut().rev() {
        if carried == 0 {
            return;
        }
        carried += u64::from(*digit);
        *digit = carried as u8;
        carried >>= 8;
    }
}
