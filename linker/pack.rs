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

/// The `texts`, each ended by a NUL, as an arithmetic coder writes them.
pub(crate) fn pack(texts: &[&str]) -> Vec<u8> {
    let mut counts = Box::new([[0; 2]; _]);
    let mut model = packing::Model::new(&mut counts);
    let (mut low, mut high) = (0u32, u32::MAX);
    let mut packed = Vec::new();
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
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
        if line.starts_with(' ') {
            stripped.push(';');
        } else if !stripped.is_empty() {
            stripped.push('\n');
        }
        let statements: Vec<_> = content.split(';').map(str::trim).collect();
        stripped.push_str(&statements.join(";"));
    }
    stripped
}
