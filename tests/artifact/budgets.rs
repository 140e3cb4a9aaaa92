//! The budgets of the program, and the attribution of its bytes to modules.

use std::fs;

use rig::measure::{budgets, library, size};
use rig::program::{self, Build};

#[test]
fn the_program_costs_no_more_than_its_budgets() {
    let budgets = budgets::compare(crate::stages()).unwrap();
    let exceeded: Vec<_> = budgets.iter().filter(|budget| !budget.is_kept()).collect();
    let rows: String = exceeded
        .iter()
        .map(|budget| format!("{}: {budget}", budget.build.name()))
        .collect();
    assert!(
        exceeded.is_empty(),
        "over the limit; `cargo xtask size` and `cargo xtask bench --cases` show details\n{rows}"
    );
}

/// The sections in `cargo xtask size` add up to the size of the shipped file.
#[test]
fn the_sections_add_up_to_the_file() {
    for build in [Build::Full, Build::Minimal] {
        let report = size::report(build).unwrap();
        let shipped = fs::metadata(program::build(build).unwrap()).unwrap().len();
        let sections = report.split("\n\n").nth(1).unwrap();
        let bytes = sections.lines().skip(2).map(|row| {
            let bytes = row.split('|').nth(2).unwrap().trim();
            bytes.replace(',', "").parse::<u64>().unwrap()
        });
        assert_eq!(bytes.sum::<u64>(), shipped, "{report}");
        assert!(report.contains("| src/program/start.rs |"), "{report}");
    }
}

#[test]
#[ignore = "builds the rig once more, optimised, which takes minutes"]
fn library_is_ahead_of_its_peers() {
    let times = library::measure().unwrap();
    let report = times.report();
    assert!(times.ahead().iter().all(|ahead| *ahead >= 5.0), "{report}");
    assert!(
        times.growth().iter().all(|growth| *growth <= 1.25),
        "{report}"
    );
}
