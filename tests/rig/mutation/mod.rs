//! Mutation testing of the kernel: every line on the naming path, that is, of the code that
//! sets, keeps and shows names.
//!
//! [`generate`] parses the functions that [`targets`] lists and proposes each small
//! change that a mutation tester makes: a statement dropped, a condition negated, a
//! bound moved, an error replaced. [`schemata`] writes all of them into the sources at
//! once, so that one kernel holds hundreds of mutants (Untch, Offutt and Harrold, "Mutation
//! analysis using mutant schemata", ISSTA 1993). [`selection`] is the boot parameter that
//! selects one.
//! [`lab`] builds that kernel, leaves out the mutants that do not compile, and proves
//! mutants equivalent by equal object code (Papadakis et al., "Trivial compiler
//! equivalence", ICSE 2015). [`campaign`] boots `check` once for each mutant, and
//! [`unobservable`] lists the survivors that no program can tell from the original.
//!
//! The closest precedent is Ahmed, Jensen, Groce and McKenney, "Applying mutation
//! analysis on kernel test suites: an experience report" (ICSTW 2017), on RCU.

pub mod campaign;
pub mod generate;
pub mod lab;
pub mod schemata;
pub mod selection;
pub mod targets;
pub mod unobservable;

#[cfg(test)]
mod tests;
