//! Packs the texts that the program unpacks when they are asked for.

// The model is the library's own: both sides must predict alike.
#[path = "../src/packing.rs"]
#[allow(dead_code, unreachable_pub)]
mod packing;

/// What the library's module refers to.
#[allow(unreachable_pub)]
mod text {
    pub trait Sink {
        fn put(&mut self, bytes: &[u8]);
    }
}

/// Counts of nothing yet. They never lie on the stack, which has no room for them in
/// a test's thread.
///
/// # Panics
///
/// Never: there are as many as there are.
pub(crate) fn no_counts() -> Box<packing::Counts> {
    let count = size_of::<packing::Counts>() / size_of::<[u8; 2]>();
    vec![[0; 2]; count]
        .try_into()
        .expect("as many as there are")
}

/// The `texts`, each behind its length in two bytes, as an arithmetic coder writes them.
///
/// # Panics
///
/// If one of them has 64 KiB or more.
pub(crate) fn pack(texts: &[&[u8]]) -> Vec<u8> {
    let mut counts = no_counts();
    let mut model = packing::Model::new(&mut counts);
    let (mut low, mut high) = (0u32, u32::MAX);
    let mut packed = Vec::new();
    let bytes = texts.iter().flat_map(|text| {
        let length = u16::try_from(text.len()).expect("a text has less than 64 KiB");
        length.to_be_bytes().into_iter().chain(text.iter().copied())
    });
    for bit in bytes.flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1 == 1)) {
        let middle = low + model.part(high - low);
        if bit {
            high = middle;
        } else {
            low = middle + 1;
        }
        while (low ^ high) >> 24 == 0 {
            packed.push((high >> 24) as u8);
            low <<= 8;
            high = high << 8 | 0xff;
        }
        model.learn(bit);
    }
    // Any number from low to high will do. Behind the end zeros are read.
    packed.push((high >> 24) as u8);
    packed
}
