//! The examples in the documentation of the core.

use rig::{program, tool};

#[test]
fn examples_compile_and_pass() {
    let mut cargo = program::cargo("test");
    cargo.args(["--package", "vm_anon_name", "--doc"]);
    let output = tool::output(&mut cargo).unwrap();
    // Texts that the macro `put!` must refuse
    assert_eq!(output.matches("compile fail ... ok").count(), 4, "{output}");
}
