//! Many mutants in one source text, each selected by its number at run time.
//!
//! An expression becomes `(vm_mutant_is(7) ? (changed) : (original))`, a statement
//! `{ if (!vm_mutant_is(8)) statement }`. Each change is on lines of its own, so that the
//! line in a message of the compiler shows which mutant it is about.

use std::cmp::Reverse;
use std::iter::Peekable;
use std::ops::Range;

use super::generate::{Mutant, Site, one_line};
use super::selection::INCLUDE;

/// A source text with mutants in it.
#[derive(Debug)]
pub struct Schema {
    /// The text.
    pub text: String,
    /// The lines, from 1, that each mutant's change is on, with the mutant's number.
    pub lines: Vec<(Range<usize>, usize)>,
    /// The line on which each dropped statement begins, with the mutant's number.
    pub drops: Vec<(usize, usize)>,
}

/// The text of a file with these mutants, which are all in that file, selected by number.
pub fn schema(source: &str, mutants: &[(usize, &Mutant)]) -> Schema {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut sorted = mutants.to_vec();
    sorted.sort_by_key(|(number, it)| (it.span.start, Reverse(it.span.end), it.site, *number));
    for (number, mutant) in sorted {
        match groups.last_mut() {
            Some(last) if last.span == mutant.span && last.site == mutant.site => {
                last.mutants.push((number, mutant));
            }
            _ => groups.push(Group {
                span: mutant.span.clone(),
                site: mutant.site,
                mutants: vec![(number, mutant)],
            }),
        }
    }
    let mut writer = Writer {
        source,
        text: INCLUDE.to_owned(),
        line: 2,
        lines: Vec::new(),
        drops: Vec::new(),
    };
    writer.range(0..source.len(), &mut groups.into_iter().peekable());
    Schema {
        text: writer.text,
        lines: writer.lines,
        drops: writer.drops,
    }
}

/// The text with one mutant that is always active. Every line keeps its number.
pub fn single(source: &str, mutant: &Mutant) -> String {
    let old = &source[mutant.span.clone()];
    let new = match mutant.site {
        Site::Entry => mutant.replacement.clone(),
        Site::Statement => ";".to_owned(),
        Site::Condition | Site::Expression => format!("({})", mutant.replacement),
    };
    let new = match mutant.in_macro {
        true => one_line(&new),
        false => new,
    };
    let missing =
        old.matches('\n').count() - new.matches('\n').count().min(old.matches('\n').count());
    let end = if mutant.in_macro { "\\\n" } else { "\n" };
    let (before, after) = (&source[..mutant.span.start], &source[mutant.span.end..]);
    format!("{before}{new}{}{after}", end.repeat(missing))
}

/// The mutants of one place.
struct Group<'a> {
    span: Range<usize>,
    site: Site,
    mutants: Vec<(usize, &'a Mutant)>,
}

struct Writer<'a> {
    source: &'a str,
    text: String,
    /// The line that the next character is on.
    line: usize,
    lines: Vec<(Range<usize>, usize)>,
    drops: Vec<(usize, usize)>,
}

impl<'a> Writer<'a> {
    /// Writes a part of the source and all groups in it, which may be nested.
    fn range(
        &mut self,
        range: Range<usize>,
        groups: &mut Peekable<impl Iterator<Item = Group<'a>>>,
    ) {
        let mut at = range.start;
        while let Some(group) =
            groups.next_if(|group| group.span.start >= at && group.span.end <= range.end)
        {
            self.push(&self.source[at..group.span.start]);
            at = group.span.end;
            self.group(group, groups);
        }
        self.push(&self.source[at..range.end]);
    }

    fn group(&mut self, group: Group<'a>, groups: &mut Peekable<impl Iterator<Item = Group<'a>>>) {
        match group.site {
            Site::Entry => {
                for (number, mutant) in group.mutants {
                    let text = format!("if (vm_mutant_is({number})) {{ {} }}", mutant.replacement);
                    self.change(&text, number, mutant);
                }
            }
            Site::Statement => {
                for (number, _) in &group.mutants {
                    self.drops.push((self.line, *number));
                }
                let tests = group.mutants.iter();
                let tests: Vec<String> = tests
                    .map(|(number, _)| format!("!vm_mutant_is({number})"))
                    .collect();
                self.push(&format!("{{ if ({}) ", tests.join(" && ")));
                self.range(group.span, groups);
                self.push(" }");
            }
            Site::Condition | Site::Expression => {
                // `!!` makes an int of pointers and numbers, so that both branches have one type.
                let truth = match group.site {
                    Site::Condition => "!!",
                    _ => "",
                };
                self.push("(");
                for (number, mutant) in group.mutants {
                    let changed = &mutant.replacement;
                    let text = format!("vm_mutant_is({number}) ? {truth}({changed}) :");
                    self.change(&text, number, mutant);
                }
                self.push(&format!("{truth}("));
                self.range(group.span, groups);
                self.push("))");
            }
        }
    }

    /// Writes a change on lines of its own, or within the one line of a macro.
    fn change(&mut self, text: &str, number: usize, mutant: &Mutant) {
        if mutant.in_macro {
            self.push(&format!(" {} ", one_line(text)));
            return;
        }
        self.push("\n");
        let first = self.line;
        self.push(text);
        self.push("\n");
        self.lines.push((first..self.line, number));
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.line += text.matches('\n').count();
    }
}
