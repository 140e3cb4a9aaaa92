//! What the words of a case mean, and which mean nothing.

use vm_anon_name::suite::{Step, Suite, Verdict, code::part};

use super::assembler::assemble_text;
use super::{UNITS, cases, next_step, operations, steps, value, written::Value};
use crate::shown;

const PAGE: u64 = UNITS[part::PAGES as usize];
const WINDOW: u64 = UNITS[part::WINDOW as usize];
const LENGTH: u64 = UNITS[part::LENGTH as usize];
const HUGE: u64 = UNITS[part::HUGE as usize];

/// Hands over the statements of a case that consists of `text`, but for the one that
/// each begins with.
#[track_caller]
fn with_statements<T>(text: &str, with: impl FnOnce(Suite, &[Step]) -> T) -> T {
    let assembled = assemble_text(&format!("case\n  {text}\n")).expect(text);
    let suite = Suite::new(&assembled);
    let case = cases(suite).next().expect("a case");
    let statements: Vec<Step> = steps(case.statements, &UNITS).collect();
    with(suite, &statements[1..])
}

/// The calls of the statements in `text`, as in a report.
#[track_caller]
fn calls(text: &str) -> Vec<String> {
    with_statements(text, |suite, statements| {
        statements
            .iter()
            .flat_map(|statement| {
                let mut units = UNITS;
                units[part::OPERANDS.into()..][..6].copy_from_slice(&statement.operands);
                steps(suite.definition(statement.place), &units)
                    .map(|step| call(suite, &step))
                    .collect::<Vec<String>>()
            })
            .collect()
    })
}

fn call(suite: Suite, step: &Step) -> String {
    let name = operations(suite).nth(usize::from(step.place) - 1);
    let (_, name) = name.expect("it is there");
    let operands = step.operands.iter().take(step.count);
    let operands = operands.map(|operand| match value(suite, *operand) {
        Value::Number(number) => format!("{number:#x}"),
        Value::Text(text) => format!("{text:?}"),
    });
    format!("{name}({})", operands.collect::<Vec<String>>().join(", "))
}

/// The first operand of the only statement in `text`.
#[track_caller]
fn first_operand(text: &str) -> u64 {
    with_statements(text, |_, statements| {
        assert_eq!(statements.len(), 1);
        statements[0].operands[0]
    })
}

/// What is wrong with cases that cannot be assembled.
#[track_caller]
fn fault(cases: &str) -> String {
    assemble_text(cases).expect_err("it means nothing")
}

#[test]
fn a_case_has_a_name_conditions_and_statements() {
    let check = |head: &str, name: &str, since, before| {
        let assembled = assemble_text(&format!("# C1\n\n{head}\n  user\n")).expect(head);
        let case = cases(Suite::new(&assembled)).next().expect("a case");
        assert_eq!(shown(case.name), name);
        assert_eq!((case.since.0, case.before.0), (since, before));
        assert_eq!(steps(case.statements, &UNITS).count(), 2);
    };
    check("a", "a", 0, 0xffff);
    check(".a", ".a", 0, 0xffff);
    check("a >=6.2", "a", 0x602, 0xffff);
    check("a <6.13", "a", 0, 0x60d);
    check("a >=6.2 <7.0", "a", 0x602, 0x700);
    check("a <7.0 >=6.2", "a", 0x602, 0x700);
    check("a >=4.255", "a", 0x4ff, 0xffff);
}

#[test]
fn statements_are_parted_by_semicolons_and_lines() {
    let check = |text: &str, count| {
        with_statements(text, |_, statements| assert_eq!(statements.len(), count));
    };
    check("user", 1);
    check("user; tags", 2);
    check("user;tags ;  remove", 3);
    check("user\n\n  # what follows\n  tags; remove", 3);
    check("  map  0   1 ", 1);
    let assembled = assemble_text("a\nb\n  user\n").unwrap();
    let counts = cases(Suite::new(&assembled)).map(|case| steps(case.statements, &UNITS).count());
    assert_eq!(counts.collect::<Vec<usize>>(), [1, 2]);
}

#[test]
fn numbers_are_sums_of_terms() {
    let check = |text: &str, expected: u64| {
        assert_eq!(first_operand(&format!("brk {text}")), expected, "{text}");
    };
    check("0", 0);
    check("3", 3 * PAGE);
    check("3b", 3);
    check("0b", 0);
    check("w", WINDOW);
    check("n", LENGTH);
    check("h", HUGE);
    check("^47", 1 << 47);
    check("^0", 1);
    check("^63", 1 << 63);
    check("1+1b", PAGE + 1);
    check("5-80b", 5 * PAGE - 80);
    check("n-1", LENGTH - PAGE);
    check("1-n+w-3b+h", PAGE + WINDOW + HUGE - LENGTH - 3);
    check("0-1", PAGE.wrapping_neg());
    check("0-1b", u64::MAX);
    check("0-w-1", (WINDOW + PAGE).wrapping_neg());
    check("0-1+1b", PAGE.wrapping_neg() + 1);
    check("0+^56", 1 << 56);
    check("18446744073709551615b", u64::MAX);
    check("18446744073709551615", PAGE.wrapping_neg());
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "-",
        "+",
        "-1",
        "+1",
        "1+",
        "1-",
        "1++1",
        "1--1",
        "1-+1",
        "1+-1",
        "a",
        "b",
        "3c",
        "3bb",
        "wn",
        "w3",
        "^",
        "^x",
        "^-1",
        "0x10",
        "1.5",
        "@1",
        "&1",
        "1|1",
        "``",
        "18446744073709551616",
        "18446744073709551616b",
    ] {
        let fault = fault(&format!("case\n  brk {text}\n"));
        let named = format!("case: brk {text}: ");
        assert!(
            fault.starts_with(&named) && fault.ends_with("is no number"),
            "{fault}"
        );
    }
}

#[test]
fn addresses_are_counted_from_the_window() {
    let check = |text: &str, expected: u64| {
        assert_eq!(
            first_operand(&format!("unmap {text} 0")),
            expected,
            "{text}"
        );
        let name = with_statements(&format!("name 0 0 &{text}"), |suite, statements| {
            value(suite, statements[0].operands[2])
        });
        assert_eq!(name, Value::Number(expected), "&{text}");
    };
    check("0", WINDOW);
    check("2", WINDOW + 2 * PAGE);
    check("1-1b", WINDOW + PAGE - 1);
    check("0-1", WINDOW - PAGE);
    check("0+^56", WINDOW + (1 << 56));
    check("0-w-1", PAGE.wrapping_neg());
    check("@0", 0);
    check("@1b", 1);
    check("@^47", 1 << 47);
    check("@0-2", (2 * PAGE).wrapping_neg());
    check("@w", WINDOW);
}

#[test]
fn words_stand_for_texts() {
    let check = |word: &str, expected: &str| {
        with_statements(&format!("see {word}"), |suite, statements| {
            let [statement] = statements else {
                panic!("{word} is more than a statement");
            };
            let seen = value(suite, statement.operands[0]);
            assert_eq!(seen, Value::Text(expected.to_owned()), "{word}");
        });
    };
    check("abc", "abc");
    check("`a b  c`", "a b  c");
    check("` `", " ");
    check("``", "");
    check("NULL", "NULL");
    check("&1", "&1");
    check(":<=>?@^_{|}~", ":<=>?@^_{|}~");
    check("a*3", "aaa");
    check("a*79", &"a".repeat(79));
    check("a*3b*2c", "aaabbc");
    check("[anon:a*2]", "[anon:aa]");
    check("ba*9", "baaaaaaaaa");
    check("`a *3b`", "a   b");
    check("a*0", "");
    check("a*1", "a");
    // A star behind nothing, or before no digit, stands for itself.
    check("a*", "a*");
    check("*", "*");
    check("*3", "*3");
    check("**3", "***");
    check("a*b", "a*b");
    check("()*+,", "()*+,");
}

#[test]
fn names_are_texts_addresses_or_nothing() {
    let name = |word: &str| {
        with_statements(&format!("name 0 1 {word}"), |suite, statements| {
            value(suite, statements[0].operands[2])
        })
    };
    assert_eq!(name("a"), Value::Text("a".to_owned()));
    assert_eq!(name("a*79"), Value::Text("a".repeat(79)));
    assert_eq!(name("``"), Value::Text(String::new()));
    assert_eq!(name("NULL"), Value::Number(0));
    assert_eq!(name("&0"), Value::Number(WINDOW));
    assert_eq!(name("&@0-1b"), Value::Number(u64::MAX));
}

#[test]
fn statements_become_system_calls() {
    let check = |text: &str, expected: &[&str]| assert_eq!(calls(text), expected, "{text}");
    check(
        "name 1 2 `a b`",
        &[r#"prctl(0x53564d41, 0x0, 0x70001000, 0x2000, "a b")"#],
    );
    check("name @0 0 NULL", &["prctl(0x53564d41, 0x0, 0x0, 0x0, 0x0)"]);
    check(
        "prctl ^32 1b 0 1 a",
        &[r#"prctl(0x153564d41, 0x1, 0x70000000, 0x1000, "a")"#],
    );
    check("map 0 1", &["mmap(0x70000000, 0x1000, 0x3, 0x32)"]);
    check(
        "map 0 1 droppable",
        &["mmap(0x70000000, 0x1000, 0x3, 0x38)"],
    );
    check(
        "map 0 1 memfd",
        &[
            r#"memfd_create("m", 0x0)"#,
            "ftruncate(0xf11e, 0x1000)",
            "mmap(0x70000000, 0x1000, 0x3, 0x11, 0xf11e)",
            "close(0xf11e)",
        ],
    );
    check(
        "remove",
        &[r#"unlinkat(0xffffffffffffff9c, ".vm_anon_name")"#],
    );
    check(
        "map 0 1 created",
        &[
            "ftruncate(0xf11e, 0x1000)",
            "mmap(0x70000000, 0x1000, 0x3, 0x11, 0xf11e)",
            "close(0xf11e)",
        ],
    );
    check(
        "share 1 2 a",
        &[r#"share(0x53564d41, 0x0, 0x70001000, 0x2000, "a")"#],
    );
    check(
        "crowd",
        &[
            "madvise(0xf11e, 0x1000, 0xa)",
            "again(0x1111e, 0xffffffffffffffff)",
        ],
    );
    check(
        "allow 95b",
        &[
            "store(0x70004000, 0x3000)",
            "store(0x70005006, 0x3000)",
            "prctl(0x53564d41, 0x0, 0x70000000, 0x1000, 0x70004000, 0x3000)",
            "label(0x70005000, 0x70000000)",
            "again(0x3001, 0x5f)",
        ],
    );
    check(
        "refuse 96b 78b",
        &[
            "store(0x70004000, 0x3000)",
            "prctl(0x53564d41, 0x0, 0x70000000, 0x1000, 0x70004000, 0x3000)",
            "store(0x70004000, 0x61)",
            "again(0x1, 0x4e)",
            "label(0x70005000, 0x70000000)",
            "again(0x3001, 0x60)",
        ],
    );
    check(
        "lower 1024",
        &[
            "mmap(0x0, 0x1000, 0x3, 0x22)",
            "read(0x3a95, 0xf11e, 0x18)",
            r#"pwrite64(0x3a95, "1024", 0x4)"#,
            "close(0x3a95)",
        ],
    );
    check("away h huge", &["mmap(0x0, 0x200000, 0x3, 0x44022)"]);
    check("brk 2", &["brk(0x70002000)"]);
    check(
        "remap 0 1 2 3b 4",
        &["mremap(0x70000000, 0x1000, 0x2000, 0x3, 0x70004000)"],
    );
    check("tags", &["prctl(0x37, 0x1)"]);
    check("read kept", &["dup(0xf11e)"]);
    check(
        "exec .part",
        &[
            "mmap(0x0, 0x1000, 0x3, 0x22)",
            r#"store(0xf11e, "check")"#,
            r#"store(0xf126, "check")"#,
            r#"store(0xf12e, ".part")"#,
            r#"execve("/proc/self/exe", 0xf11e)"#,
        ],
    );
}

#[test]
fn protections_are_words_or_numbers() {
    let protection = |word: &str| calls(&format!("protect 0 1 {word}"));
    assert_eq!(protection("none"), ["mprotect(0x70000000, 0x1000, 0x0)"]);
    assert_eq!(protection("ro"), ["mprotect(0x70000000, 0x1000, 0x1)"]);
    assert_eq!(protection("rw"), ["mprotect(0x70000000, 0x1000, 0x3)"]);
    assert_eq!(protection("5b"), ["mprotect(0x70000000, 0x1000, 0x5)"]);
}

#[test]
fn what_is_written_is_a_text() {
    assert_eq!(calls("poke 1 ab"), [r#"write(0x70001000, "ab")"#]);
    assert_eq!(calls("poke 1-1b ``"), [r#"write(0x70000fff, "")"#]);
}

#[test]
fn what_is_compared_is_a_text_or_lies_in_memory() {
    assert_eq!(calls("label 1 ab"), [r#"label("ab", 0x70001000)"#]);
    let query = calls("query 1 ab 9b");
    assert_eq!(query.last().unwrap(), r#"compare("ab", 0xf19e)"#);
}

#[test]
fn to_touch_is_to_write_to_each_page() {
    let pages = ["write(0x70002000, \"t\")", "write(0x70003000, \"t\")"];
    assert_eq!(calls("touch 2 2"), pages);
    assert_eq!(calls("touch 2 0"), [""; 0]);
}

#[test]
fn results_may_be_kept_or_not_matter() {
    let step = |text: &str, index: usize| {
        with_statements(text, |suite, statements| {
            let definition = suite.definition(statements[0].place);
            let step = steps(definition, &UNITS).nth(index).expect(text);
            (step.kept, step.any)
        })
    };
    assert_eq!(step("read smaps", 0), (part::MAPS, false));
    assert_eq!(step("keep", 0), (part::FILE, false));
    assert_eq!(step("heap", 0), (part::WINDOW, false));
    assert_eq!(step("room", 0), (part::FILE, false));
    assert_eq!(step("map 0 1 memfd", 0), (part::FILE, false));
    assert_eq!(step("map 0 1 memfd", 2), (0, false));
    assert_eq!(step("create", 0), (0, true));
    assert_eq!(step("user", 0), (0, true));
    assert_eq!(step("tags", 0), (0, false));
    assert_eq!(step("allow 0b", 4), (part::LENGTH, false));
    assert_eq!(step("refuse 0b 0b", 3), (part::COUNT, false));
}

#[test]
fn a_step_may_have_to_fail() {
    let expected = |text: &str| {
        with_statements(text, |suite, statements| {
            let definition = suite.definition(statements[0].place);
            let steps = steps(definition, &UNITS);
            steps.map(|step| step.expected).collect::<Vec<u8>>()
        })
    };
    assert_eq!(expected("refuse 0b 0b"), [0, 22, 0, 0, 0, 0]);
    assert_eq!(expected("allow 0b"), [0; 5]);
}

#[test]
fn results_are_judged_as_stated() {
    let check = |outcome: &str, error: i32, expected: Verdict| {
        with_statements(&format!("map 0 1{outcome}"), |_, statements| {
            let verdict = statements[0].judge(error);
            assert_eq!(verdict, expected, "{outcome}: {error}");
        });
    };
    let (success, eagain, enomem, einval) = (0, 11, 12, 22);
    check("", success, Verdict::Right);
    check("", einval, Verdict::Wrong);
    check(" = EINVAL", einval, Verdict::Right);
    check(" = EINVAL", success, Verdict::Wrong);
    check(" = EINVAL", enomem, Verdict::Wrong);
    check(" ? EINVAL", einval, Verdict::Unavailable);
    check(" ? EINVAL", success, Verdict::Right);
    check(" ? EINVAL", enomem, Verdict::Wrong);
    check(" ? EINVAL ? ENOMEM", enomem, Verdict::Unavailable);
    check(" = EINVAL ? ENOMEM", einval, Verdict::Right);
    check(" = EINVAL ? ENOMEM", enomem, Verdict::Unavailable);
    check(" = EINVAL ? ENOMEM", success, Verdict::Wrong);
    check(" ? ENOMEM = EINVAL", einval, Verdict::Right);
    check(" ? ENOMEM = EINVAL", eagain, Verdict::Wrong);
    // An error that no list has meets nothing, whatever its number is.
    check("", -1, Verdict::Wrong);
    check(" = EINVAL", -22, Verdict::Wrong);
    check(" ? EINVAL", 4095, Verdict::Wrong);
    check(" = EINVAL", 256 + 22, Verdict::Wrong);
}

#[test]
fn a_child_runs_what_lies_before_its_join() {
    // What `text` comes to: the verbs, those of a child in parentheses.
    fn outline(suite: Suite, body: &[u8]) -> String {
        let (mut rest, mut words) = (body, Vec::new());
        while let Some(statement) = next_step(&mut rest, &UNITS) {
            let step = steps(suite.definition(statement.place), &UNITS).next();
            let name = operations(suite).nth(usize::from(step.unwrap().place) - 1);
            let (_, name) = name.unwrap();
            if name == "fork" {
                let (child, behind) = rest.split_at(statement.operands[0] as usize);
                words.push(format!("{name}({})", outline(suite, child)));
                rest = behind;
            } else {
                words.push(name.to_owned());
            }
        }
        assert_eq!(shown(rest), "", "no statement is left in pieces");
        words.join(" ")
    }
    let check = |text: &str, expected: &str| {
        let assembled = assemble_text(&format!("case\n  {text}\n")).expect(text);
        let suite = Suite::new(&assembled);
        let case = cases(suite).next().expect("a case");
        assert_eq!(outline(suite, case.statements), expected, "{text}");
    };
    // Each case and each fork, whose maps are others, opens the maps.
    check("keep", "openat openat");
    check("fork; tags; join", "openat fork(openat prctl)");
    check("fork; join; tags", "openat fork(openat) prctl");
    check(
        "fork; fork; see |a|; join; remap 0 1 1 3b 2; join; brk 1",
        "openat fork(openat fork(openat see) mremap) brk",
    );
}

#[test]
fn what_means_nothing_is_refused_and_named() {
    let check = |cases: &str, expected: &str| assert_eq!(fault(cases), expected);
    let unknown = |statement: &str| {
        let expected = format!("case: {statement}: no such verb, or not with these words");
        check(
            &format!("fine\n  user\ncase\n  user; {statement}\n"),
            &expected,
        );
    };
    unknown("nmae 0 1 a");
    unknown("name 0 1");
    unknown("name 0 1 a b");
    unknown("map 0 1 hugh");
    unknown("map 0 1 KIND");
    unknown("Name 0 1 a");
    unknown("read");
    unknown("read maps");
    unknown("touch 0");
    unknown("a-case-that-is-indented >=6.2");
    unknown("");
    check("  user\n", "a statement before all cases");
    check(
        "case\n  map 0 1 = EWRONG\n",
        "case: map 0 1 = EWRONG: 'EWRONG' is not known",
    );
    check(
        "case\n  map 0 1 ? EWRONG\n",
        "case: map 0 1 ? EWRONG: 'EWRONG' is not known",
    );
    check(
        "case\n  map 0 1 =\n",
        "case: map 0 1 =: one error behind =, and one behind each ?",
    );
    check(
        "case\n  map 0 1 = EINVAL ENOMEM\n",
        "case: map 0 1 = EINVAL ENOMEM: one error behind =, and one behind each ?",
    );
    check(
        "case\n  map 0 1 = EINVAL = ENOMEM\n",
        "case: map 0 1 = EINVAL = ENOMEM: one error behind =, and one behind each ?",
    );
    check("case\n  join; user\n", "case: a join without its fork");
    check("case\n  user; join\n", "case: a join without its fork");
    check("case\n  fork; user\n", "case: a fork without its join");
    check(
        "case\n  fork 0b; user; join\n",
        "case: fork 0b: no words behind it",
    );
    check(
        "case\n  name ^64 1 a\n",
        "case: name ^64 1 a: a power from 0 to 63",
    );
    check(
        "case\n  touch 0 1 = EINVAL\n",
        "case: touch 0 1 = EINVAL: no such verb, or not with these words",
    );
    check(
        "case\n  fork; join; join; user\n",
        "case: a join without its fork",
    );
    check(
        "case\n  fork; nmae; join\n",
        "case: nmae: no such verb, or not with these words",
    );
    check(
        "case >6.2\n  user\n",
        "case >6.2: '>6.2' is no range of versions",
    );
    check("case >=6\n  user\n", "case >=6: a version is X.Y");
    check("case >=6.x\n  user\n", "case >=6.x: 'x' is no number");
    check("case >=6.2.1\n  user\n", "case >=6.2.1: '2.1' is no number");
    check("case <6.256\n  user\n", "case <6.256: '256' is no number");
    check(
        "case  >=6.2\n  user\n",
        "case  >=6.2: '' is no range of versions",
    );
}
