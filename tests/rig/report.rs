//! Results of the conformance suite: read from KTAP, compared, written as JUnit XML.

pub mod expected;
pub mod junit;
pub mod ktap;

pub use self::expected::ExpectedResults;
pub use self::ktap::{CaseResult, KtapReport, Outcome};
