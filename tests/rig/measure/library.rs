//! The parser beside crates that do the same.
