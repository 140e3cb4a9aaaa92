//! Tests of the language of cases and verbs: the meaning of each word, and the messages
//! about mistakes.

use vm_anon_name::suite::{Context, Operand, Step, Steps, Suite};

use super::{VERBS, operation_name, show, steps};
use crate::shown;
use rig::assembler::{Mistake, assemble};

const PAGE: u64 = 0x1000;
const HUGE: u64 = 0x20_0000;
const WINDOW: u64 = 0x7000_0000;
const LENGTH: u64 = 0x3000;

/// A context in which all numbers are different.
fn context() -> Context<'static> {
    let mut context = Context::ZERO;
    (context.page, context.huge) = (PAGE, HUGE);
    context.registers = [WINDOW, LENGTH, 0x3a95, 0xf11e, 0x5c00_0000];
    context
}

/// A suite of these cases, with the verbs of the program.
#[track_caller]
fn suite(cases: &str) -> Suite<'static> {
    let assembled = assemble(cases, &VERBS).unwrap_or_else(|mistake| panic!("{cases}: {mistake}"));
    Suite::new(assembled.leak())
}

/// The statements of a case that consists of `text`, without `read self`.
#[track_caller]
fn statements(text: &str) -> (Suite<'static>, Vec<Step<'static>>) {
    let suite = suite(&format!("case\n  {text}\n"));
    let case = suite.cases.into_iter().next().expect("a case");
    (suite, steps(case.statements, context()).skip(1).collect())
}

/// The operand at `place` of the first statement in `text`.
#[track_caller]
fn operand(text: &str, place: usize) -> Operand<'static> {
    statements(text).1[0].operands[place]
}

/// The steps of each statement in `text`.
#[track_caller]
fn all_steps(text: &str) -> Vec<Step<'static>> {
    let (suite, statements) = statements(text);
    let steps = statements.into_iter().flat_map(|statement| {
        let mut context = context();
        context.parameters = statement.operands;
        steps(suite.verb(statement.code), context)
    });
    steps.collect()
}

/// The operations that the statements in `text` consist of.
#[track_caller]
fn operations(text: &str) -> Vec<String> {
    all_steps(text).iter().map(show).collect()
}

/// The text in an operand.
#[track_caller]
fn text(operand: Operand<'static>) -> &'static str {
    match operand {
        Operand::Text(text) => std::str::from_utf8(text).unwrap(),
        Operand::Number(number) => panic!("{number}"),
    }
}

#[test]
fn a_case_has_a_name_conditions_and_statements() {
    let check = |head: &str, name: &str, since, before, needs: [bool; 3]| {
        let mut cases = suite(&format!("# C1\n\n{head}\n  unprivileged\n")).cases;
        let case = cases.next().expect("a case");
        assert_eq!(shown(case.name), name);
        let versions = [case.since.numbers(), case.before.numbers()];
        assert_eq!(versions, [since, before], "{head}");
        let found = [
            case.needs_64_bits(),
            case.needs_kernel_width(),
            case.needs_memory(),
        ];
        assert_eq!(found, needs, "{head}");
        assert_eq!(steps(case.statements, context()).count(), 2);
    };
    check("a", "a", [0, 0], [255, 255], [false; 3]);
    check(".a", ".a", [0, 0], [255, 255], [false; 3]);
    check("a >=6.2", "a", [6, 2], [255, 255], [false; 3]);
    check("a <6.13", "a", [0, 0], [6, 13], [false; 3]);
    let is_64_bit = [true, false, false];
    check("a >=6.2 <7.0 64-bit", "a", [6, 2], [7, 0], is_64_bit);
    check("a 64-bit <7.0 >=6.2", "a", [6, 2], [7, 0], is_64_bit);
    let is_wide = [false, true, false];
    check("a kernel-width", "a", [0, 0], [255, 255], is_wide);
    check("a >=4.255", "a", [4, 255], [255, 255], [false; 3]);
    check(
        "a memory 64-bit kernel-width",
        "a",
        [0, 0],
        [255, 255],
        [true; 3],
    );
}

#[test]
fn semicolons_and_line_ends_separate_statements() {
    let check = |text: &str, count| assert_eq!(statements(text).1.len(), count, "{text}");
    check("remove", 1);
    check("unprivileged; remove", 2);
    check("unprivileged;heap ;  remove", 3);
    check("unprivileged\n\n  # a comment\n  heap; remove", 3);
    check("  map  0   1 ", 1);
}

#[test]
fn lengths_are_sums_of_terms() {
    let check = |word: &str, expected: u64| {
        let found = operand(&format!("name @0 {word} NULL"), 1);
        assert_eq!(found, Operand::Number(expected), "{word}");
    };
    check("0", 0);
    check("3", 3 * PAGE);
    check("3b", 3);
    check("0b", 0);
    check("window", WINDOW);
    check("length", LENGTH);
    check("huge", HUGE);
    check("2^47", 1 << 47);
    check("2^0", 1);
    check("2^63", 1 << 63);
    check("1+1b", PAGE + 1);
    check("5-80b", 5 * PAGE - 80);
    check("length-1", LENGTH - PAGE);
    check("1-length+window-3b+huge", PAGE + WINDOW + HUGE - LENGTH - 3);
    check("-1", PAGE.wrapping_neg());
    check("-1b", u64::MAX);
    check("-0", 0);
    check("-0+1", PAGE);
    check("-window-1", (WINDOW + PAGE).wrapping_neg());
    check("-1+1b", PAGE.wrapping_neg() + 1);
    check("18446744073709551615b", u64::MAX);
}

#[test]
fn addresses_count_from_the_window() {
    let check = |word: &str, expected: u64| {
        for found in [
            operand(&format!("munmap {word} 0"), 0),
            operand(&format!("name 0 0 &{word}"), 2),
        ] {
            assert_eq!(found, Operand::Number(expected), "{word}");
        }
    };
    check("0", WINDOW);
    check("2", WINDOW + 2 * PAGE);
    check("1-1b", WINDOW + PAGE - 1);
    check("-1", WINDOW - PAGE);
    check("2^56", WINDOW + (1 << 56));
    check("-window-1", PAGE.wrapping_neg());
    check("@0", 0);
    check("@1b", 1);
    check("@2^47", 1 << 47);
    check("@-2", (2 * PAGE).wrapping_neg());
}

#[test]
fn numbers_are_sums_of_constants_and_digits() {
    let check = |word: &str, expected: u64| {
        let found = operand(&format!("prctl {word} 0 0 0 NULL"), 0);
        assert_eq!(found, Operand::Number(expected), "{word}");
    };
    check("0", 0);
    check("10", 10);
    check("-1", u64::MAX);
    check("2^32", 1 << 32);
    check("SET_VMA", 0x5356_4d41);
    check("SET_VMA+2^32", 0x1_5356_4d41);
    check("SET_VMA|1", 0x5356_4d42);
    check("SET_VMA-1", 0x5356_4d40);
    assert_eq!(
        operations("mprotect 0 1 READ|WRITE"),
        ["mprotect(0x70000000, 0x1000, 0x3)"]
    );
    assert_eq!(
        operations("mprotect 0 1 NONE"),
        ["mprotect(0x70000000, 0x1000, 0x0)"]
    );
    assert_eq!(operand("name-size 87", 0), Operand::Number(87));
}

#[test]
fn words_are_texts() {
    let check = |word: &str, expected: &str| {
        assert_eq!(text(operand(&format!("see {word}"), 0)), expected);
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
    // A star is itself if nothing comes before it or no digit after it.
    check("a*", "a*");
    check("*3", "*3");
    check("**3", "***");
    check("a*b", "a*b");
    check("()*+,", "()*+,");
}

#[test]
fn names_are_texts_addresses_or_null() {
    let name = |word: &str| operand(&format!("name 0 1 {word}"), 2);
    assert_eq!(text(name("a*79")), "a".repeat(79));
    assert_eq!(text(name("``")), "");
    assert_eq!(name("NULL"), Operand::Number(0));
    assert_eq!(name("&@-1b"), Operand::Number(u64::MAX));
}

#[test]
fn statements_become_operations() {
    let check = |text: &str, expected: &[&str]| assert_eq!(operations(text), expected, "{text}");
    check(
        "name 1 2 `a b`",
        &[r#"prctl(0x53564d41, 0x0, 0x70001000, 0x2000, "a b")"#],
    );
    check("name @0 0 NULL", &["prctl(0x53564d41, 0x0, 0x0, 0x0, 0x0)"]);
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
    check("remove", &["unlinkat(0xffffff9c, 0x5c000000)"]);
    check(
        "brk 2",
        &["brk(0x70002000)", "mprotect(0x70000000, 0x2000, 0x3)"],
    );
    check(
        "mremap 0 1 2 MAYMOVE|FIXED 4",
        &["mremap(0x70000000, 0x1000, 0x2000, 0x3, 0x70004000)"],
    );
    check(
        "touch 2 9",
        &["repeat(0x9, 0x1000)", r#"poke(0x70002000, "t")"#],
    );
    check(
        "query 1 ab 9",
        &[
            "mmap(0x0, 0x1000, 0x3, 0x22)",
            "store64(0x5c000000, 0x68)",
            "store64(0x5c000010, 0x70001000)",
            "store64(0x5c000050, 0x9)",
            "store64(0x5c000058, 0x5c000080)",
            "ioctl(0x3a95, 0xc0686611, 0x5c000000)",
            r#"compare(0x5c000080, "ab")"#,
        ],
    );
    check("heap", &["brk(0x0)"]);
}

#[test]
fn a_step_may_keep_its_result_or_fail() {
    let step = |text: &str, place: usize| {
        let step = &all_steps(text)[place];
        (step.kept, step.may_fail)
    };
    let [window, maps, file, scratch] = [1, 3, 4, 5];
    assert_eq!(step("heap", 0), (window, false));
    assert_eq!(step("read smaps", 0), (maps, false));
    assert_eq!(step("keep", 0), (file, false));
    assert_eq!(step("map 0 1 memfd", 2), (0, false));
    assert_eq!(step("query 0 a 1", 0), (scratch, false));
    assert_eq!(step("create", 0), (0, true));
}

#[test]
fn a_statement_may_state_errors() {
    let check = |outcome: &str, expected: u8, skips: &[u8]| {
        let statement = &statements(&format!("map 0 1{outcome}")).1[0];
        assert_eq!((statement.expected, statement.skips), (expected, skips));
    };
    let (eagain, enomem, einval) = (11, 12, 22);
    check("", 0, &[]);
    check(" = EINVAL", einval, &[]);
    check(" ? EINVAL", 0, &[einval]);
    check(" ? EINVAL ? ENOMEM", 0, &[einval, enomem]);
    check(" = EAGAIN ? ENOMEM", eagain, &[enomem]);
    check(" ? ENOMEM = EAGAIN", eagain, &[enomem]);
}

#[test]
fn a_child_runs_the_statements_up_to_its_join() {
    /// The first operation of each statement, those of a child in parentheses.
    fn outline<'a>(suite: Suite<'a>, mut rest: Steps<'a>) -> String {
        let mut words = Vec::new();
        while let Some(statement) = rest.next(&context()) {
            let first = suite.verb(statement.code).next(&context()).expect("a step");
            let name = operation_name(first.code);
            match statement.operands[0] {
                Operand::Number(size) if name == "fork" => {
                    let child = rest.take(size as usize);
                    words.push(format!("fork({})", outline(suite, child)));
                }
                _ => words.push(name.to_owned()),
            }
        }
        words.join(" ")
    }
    let check = |text: &str, expected: &str| {
        let suite = suite(&format!("case\n  {text}\n"));
        let case = suite.cases.into_iter().next().expect("a case");
        assert_eq!(outline(suite, case.statements), expected, "{text}");
    };
    // Each case and each child opens its maps first.
    check("heap", "openat brk");
    check("fork; heap; join", "openat fork(openat brk)");
    check("fork; join; heap", "openat fork(openat) brk");
    check(
        "fork; fork; see |a|; join; mlock 0 1; join; heap",
        "openat fork(openat fork(openat see) mlock) brk",
    );
}

/// The first mistake, as the build and `cargo xtask check` print it.
#[track_caller]
fn mistake(cases: &str, verbs: &str) -> String {
    assemble(cases, verbs)
        .as_ref()
        .map_err(Mistake::to_string)
        .expect_err("a mistake")
}

#[test]
fn a_mistake_in_a_case_is_named_with_its_line() {
    let check = |statement: &str, expected: &str| {
        let found = mistake(
            &format!("fine\n  heap\n\n# C1\ncase\n  heap; {statement}\n"),
            &VERBS,
        );
        let expected = format!("src/suite/cases.txt:6: {expected}");
        // The line of a verb in verbs.txt may change, so its number is not compared.
        let found = found.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let expected = expected.trim_end_matches(|letter: char| letter.is_ascii_digit());
        assert_eq!(found, expected, "{statement}");
    };
    check("nmae 0 1 a", "unknown verb nmae");
    check("", "an empty statement");
    check("= EINVAL", "an empty statement");
    let form = |statement: &str, verb: &str| {
        let place = "src/suite/verbs.txt:0";
        check(
            statement,
            &format!("'{statement}' is not a form of {verb}, see {place}"),
        );
    };
    form("name 0 1", "name");
    form("name 0 1 a b", "name");
    form("map 0 1 hugh", "map");
    form("map 0 1 LENGTH", "map");
    form("read", "read");
    check("map 0 1 = EWRONG", "unknown error EWRONG");
    check("map 0 1 ? EWRONG", "unknown error EWRONG");
    for outcome in ["=", "?", "= EINVAL ENOMEM", "= EINVAL = ENOMEM"] {
        check(
            &format!("map 0 1 {outcome}"),
            "write one error after = and one after each ?",
        );
    }
    check("mprotect 0 1 RAED", "unknown constant PROT_RAED");
    check("see `a", "a backquote is not closed");
    check("join", "join without fork");
    check("fork; join; join; heap", "join without fork");
    check("fork; heap", "fork without join");
    check("fork 12; heap; join", "fork takes no words");
    check(
        "fork; map 0 1 ? ENOMEM; join",
        "a child cannot skip the case",
    );
    check("fork; nmae; join", "unknown verb nmae");
    for number in [
        "+",
        "-",
        "+1",
        "1+",
        "1-",
        "1++1",
        "1--1",
        "a",
        "b",
        "3c",
        "3bb",
        "windowlength",
        "2^",
        "2^x",
        "2^64",
        "2^-1",
        "0x10",
        "1.5",
        "&1",
        "``",
        "18446744073709551616",
    ] {
        let found = mistake(&format!("case\n  brk {number}\n"), &VERBS);
        let is_named = found.starts_with("src/suite/cases.txt:2: '");
        assert!(
            is_named && found.ends_with("' is not a number"),
            "{number}: {found}"
        );
    }
}

#[test]
fn a_mistake_in_the_head_of_a_case_is_named_with_its_line() {
    let check = |head: &str, expected: &str| {
        let found = mistake(&format!("fine\n  heap\n{head}\n  heap\n"), &VERBS);
        assert_eq!(
            found,
            format!("src/suite/cases.txt:3: {expected}"),
            "{head}"
        );
    };
    check("case >6.2", "unknown condition >6.2");
    check("case 32-bit", "unknown condition 32-bit");
    check("case >=6", "6 is not a version X.Y");
    check("case >=6.x", "6.x is not a version X.Y");
    check("case >=6.2.1", "6.2.1 is not a version X.Y");
    check("case <6.256", "6.256 is not a version X.Y");
    check("case >=6.2 <6.2", "no version fits");
    let found = mistake("  heap\n", &VERBS);
    assert_eq!(
        found,
        "src/suite/cases.txt:1: an indented line before the first head"
    );
    let found = mistake("a\nb\n  heap\n", &VERBS);
    assert_eq!(found, "src/suite/cases.txt:1: no indented line follows");
}

#[test]
fn a_mistake_in_a_verb_is_named_with_its_line() {
    let check = |step: &str, expected: &str| {
        let verbs = format!("# A comment.\nverb AT LENGTH\n  heap()\n  {step}\n");
        let verbs = verbs.replace("heap()", "brk(0)");
        assert_eq!(
            mistake("", &verbs),
            format!("src/suite/verbs.txt:4: {expected}"),
            "{step}"
        );
    };
    check(
        "pkey_mprotect(AT, LENGTH)",
        "unknown system call pkey_mprotect",
    );
    check("mmap(AT, LENGHT)", "unknown constant LENGHT");
    check("mmap(1, 2, 3, 4, 5, 6, 7)", "more than 6 operands");
    check("mmap(AT, MAP_PIRVATE)", "unknown constant MAP_PIRVATE");
    check("mmap(AT, at)", "'at' is not a number");
    check("place = mmap(AT)", "unknown register place");
    check("mmap(AT", "write a step as OPERATION(ARGUMENT, ...)");
    check("mmap AT LENGTH", "write a step as OPERATION(ARGUMENT, ...)");
    check(r#"chdir("/tmp)"#, r#""/tmp lacks its second quote"#);
}

#[test]
fn the_sizes_of_a_verb_and_of_a_case_have_a_limit() {
    // Each step takes 3 bytes, each statement 2.
    let verbs = |steps| format!("heap\n{}", "  brk(0)\n".repeat(steps));
    assert!(assemble("", &verbs(85)).is_ok());
    assert_eq!(
        mistake("", &verbs(86)),
        "src/suite/verbs.txt:1: a verb has at most 255 bytes"
    );
    let case = |statements| format!("case\n{}", "  heap\n".repeat(statements));
    assert!(assemble(&case(32_000), &VERBS).is_ok());
    assert_eq!(
        mistake(&case(33_000), &VERBS),
        "src/suite/cases.txt:1: a case has at most 65535 bytes"
    );
}
