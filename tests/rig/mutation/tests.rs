//! Tests of the generator on a small program: which mutants it proposes, and that each
//! behaves the same whether it is selected at run time or compiled alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::generate::{self, Mutant};
use super::schemata;

const SOURCE: &str = include_str!("fixture.c");
const EXPECTED: &str = include_str!("fixture.expected");
const WHOLE: &[&str] = &["is_valid", "check_range", "find", "set"];

/// Selects a mutant, and limits its processor time, because some run without end.
const MAIN: &str = r#"
#include <stdlib.h>
#include <sys/time.h>
int vm_mutant;
unsigned char vm_mutant_reached[1000];
static void __attribute__((constructor)) begin(void)
{
	struct itimerval limit = { .it_value.tv_usec = 200000 };
	const char *number = getenv("VM_MUTANT");

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	vm_mutant = number ? atoi(number) : 0;
}
"#;

fn mutants() -> Vec<Mutant> {
    generate::mutants_in("fixture.c", SOURCE, WHOLE).unwrap()
}

/// Compiles the text to a program at that path; false if the compiler refuses it.
fn compile(text: &str, program: &Path) -> bool {
    let source = program.with_extension("c");
    let include = program.with_file_name("linux");
    fs::create_dir_all(&include).unwrap();
    fs::write(include.join("vm_mutant.h"), include_str!("vm_mutant.h")).unwrap();
    fs::write(&source, format!("{text}{MAIN}")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-w", "-ftrivial-auto-var-init=zero", "-o"]);
    cc.args([program, &source])
        .arg("-I")
        .arg(program.parent().unwrap());
    let status = cc.stderr(Stdio::null()).status().expect("cc runs");
    status.success()
}

fn run(program: &Path, number: usize) -> Output {
    let mut command = Command::new(program);
    command.env("VM_MUTANT", number.to_string());
    command.output().expect("the program runs")
}

#[test]
fn proposes_the_expected_mutants() {
    let found: Vec<String> = mutants()
        .iter()
        .map(|it| format!("{} {}: {}", it.line, it.id(), it.change(SOURCE)))
        .collect();
    let expected: Vec<&str> = EXPECTED.lines().collect();
    let found = found.join("\n");
    assert!(
        found == expected.join("\n"),
        "the generator proposes now:\n{found}"
    );
}

#[test]
fn names_are_unique() {
    let mut counts = BTreeMap::new();
    for mutant in mutants() {
        *counts.entry(mutant.id()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn one_program_behaves_like_each_mutant_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (all, alone) = (directory.path().join("all"), directory.path().join("alone"));
    let mutants = mutants();
    // The function `find` has no variable `end`.
    let is_refused = |it: &Mutant| it.function == "find" && it.replacement == "end";
    let numbered = (1..).zip(&mutants).filter(|(_, it)| !is_refused(it));
    let numbered: Vec<(usize, &Mutant)> = numbered.collect();
    assert!(compile(&schemata::schema(SOURCE, &numbered).text, &all));
    assert!(compile(SOURCE, &alone));
    let original = run(&alone, 0);
    assert!(original.status.success());
    assert_eq!(run(&all, 0), original);
    for mutant in mutants.iter().filter(|it| is_refused(it)) {
        assert!(!compile(&schemata::single(SOURCE, mutant), &alone));
    }
    let mut differ = 0;
    for (number, mutant) in numbered {
        let text = schemata::single(SOURCE, mutant);
        assert_eq!(
            text.lines().count(),
            SOURCE.lines().count(),
            "{}",
            mutant.id()
        );
        assert!(compile(&text, &alone), "{}", mutant.id());
        let expected = run(&alone, 0);
        let is_same = run(&all, number) == expected;
        assert!(is_same, "{}: {}", mutant.id(), mutant.change(SOURCE));
        differ += usize::from(expected != original);
    }
    assert!(
        differ * 10 > mutants.len() * 7,
        "only {differ} of {} differ",
        mutants.len()
    );
}

#[test]
fn lines_of_changes_lead_to_mutants() {
    let mutants = mutants();
    let numbered: Vec<(usize, &Mutant)> = (1..).zip(&mutants).collect();
    let schema = schemata::schema(SOURCE, &numbered);
    let lines: Vec<&str> = schema.text.lines().collect();
    for (range, number) in schema.lines {
        let call = format!("vm_mutant_is({number})");
        assert!(
            lines[range.start - 1].contains(&call),
            "{call} at {range:?}"
        );
    }
}
