//! Tests of the shipped file: its ELF layout, its cost, and its peers in other languages.

mod architectures;
mod budgets;
mod comparison;
mod shape;

use std::sync::OnceLock;

use rig::measure::Stages;

/// The cost of the stages, measured once.
fn stages() -> &'static Stages {
    static STAGES: OnceLock<Stages> = OnceLock::new();
    STAGES.get_or_init(|| Stages::measure().unwrap())
}
