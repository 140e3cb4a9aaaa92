//! Results of the conformance suite: the KTAP reader and the JUnit writer.

pub mod junit;
pub mod ktap;

pub use self::ktap::{CaseResult, KtapReport, Outcome};
