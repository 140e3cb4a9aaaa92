//! The ELF layout of both builds for each architecture. The test target `delivery` checks builds
//! with other linkers and profiles.

use std::fs;

use rig::program::{self, Build, FLAGS_VARIABLE};
use rig::{checkout, paths, shape, target};

#[test]
fn full_build_is_two_segments() {
    for target in target::ALL {
        let path = program::build_for(target, Build::Full).unwrap();
        shape::expect(target, &path, Build::Full).unwrap();
    }
}

#[test]
fn minimal_build_is_one_segment() {
    for target in target::ALL {
        let path = program::build_for(target, Build::Minimal).unwrap();
        shape::expect(target, &path, Build::Minimal).unwrap();
    }
}

/// Panics of a crate would name its file in the directory of the user who built the program.
#[test]
fn no_path_of_the_building_machine_is_in_the_program() {
    let paths = [
        checkout::cargo_home().unwrap(),
        paths::workspace().to_owned(),
    ];
    for target in target::ALL {
        for build in [Build::Full, Build::Minimal] {
            let program = fs::read(program::build_for(target, build).unwrap()).unwrap();
            let text = String::from_utf8_lossy(&program);
            for path in &paths {
                let path = path.to_str().unwrap();
                assert!(!text.contains(path), "{}: {path}", target.name);
            }
        }
    }
}

/// `RUSTFLAGS` replaces the rustflags of Cargo's configuration, so the build script passes the
/// link arguments.
#[test]
fn rustflags_of_the_environment_do_not_change_the_shape() {
    for build in [Build::Full, Build::Minimal] {
        let path = program::build_variant(build, "rustflags", |cargo| {
            let linker = program::linker().unwrap();
            cargo.env_remove(FLAGS_VARIABLE);
            cargo.env(target::DEFAULT.linker_variable(), linker);
            cargo.env(
                "RUSTFLAGS",
                "-Ctarget-cpu=cortex-a53 -Cforce-frame-pointers=yes",
            );
        });
        shape::expect(target::DEFAULT, &path.unwrap(), build).unwrap();
    }
}
