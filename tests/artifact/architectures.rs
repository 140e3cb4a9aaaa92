//! The size of the program on each architecture.

use std::fs;

use rig::measure::archive::{Compressor, compressed_size};
use rig::program::{self, Build};
use rig::target::{self, Target};

fn program(target: &'static Target, build: Build) -> Vec<u8> {
    fs::read(program::build_for(target, build).unwrap()).unwrap()
}

#[test]
fn minimal_build_is_small_on_each_architecture() {
    for target in target::ALL {
        let size = program(target, Build::Minimal).len() as u64;
        let limit = target.minimal_limit;
        println!("{}: {size} bytes of {limit}", target.name);
        assert!(size <= limit, "{}: {size} bytes of {limit}", target.name);
    }
}

#[test]
fn full_build_is_of_similar_size_on_each_architecture() {
    for compressor in [Compressor::Gzip, Compressor::Xz] {
        let size = |target| compressed_size(&program(target, Build::Full), compressor).unwrap();
        let default = size(target::DEFAULT);
        for target in target::ALL {
            let (size, limit) = (size(target), default * target.size_limit / 100);
            println!("{}, {compressor:?}: {size} bytes of {limit}", target.name);
            assert!(size <= limit, "{}: {size} bytes of {limit}", target.name);
        }
    }
}
