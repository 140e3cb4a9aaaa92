//! Generator of mutants: small changes to the syntax tree of C functions.
//!
//! A mutant is one change. Expressions are replaced where their value is read;
//! statements are dropped. Left sides of assignments, types, sizes of arrays, labels and
//! initialisers of static data stay as they are, because a change there cannot be
//! selected at run time.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::ops::Range;

use anyhow::{Context, Result};
use regex::Regex;
use sha2::{Digest, Sha256};
use tree_sitter::{Node, Parser};

use super::targets;

/// A change that a mutation tester makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// A statement is left out.
    Drop,
    /// The function returns at its beginning.
    ReturnEarly,
    /// The value returned becomes zero, or another truth value.
    ReturnValue,
    /// A condition is negated, or an operand of one.
    Negate,
    /// A condition always or never holds.
    Decide,
    /// `<` becomes `<=` and the like.
    Bound,
    /// `&&` becomes `||` and back, or one operand is left out.
    Logic,
    /// `+` becomes `-` and the like, or one operand is left out.
    Arithmetic,
    /// A number, character or constant moves by one; `true` and `false` change places.
    Constant,
    /// A string loses one character or all.
    Text,
    /// An error number becomes another, or success.
    Error,
    /// Two arguments of a call change places.
    Swap,
    /// A variable, field or function becomes its counterpart: `start` and `end`.
    Counterpart,
    /// A variable or field starts as zero.
    Initial,
}

impl Operator {
    /// The word in reports and data files.
    pub fn name(self) -> &'static str {
        match self {
            Operator::Drop => "drop",
            Operator::ReturnEarly => "return-early",
            Operator::ReturnValue => "return-value",
            Operator::Negate => "negate",
            Operator::Decide => "decide",
            Operator::Bound => "bound",
            Operator::Logic => "logic",
            Operator::Arithmetic => "arithmetic",
            Operator::Constant => "constant",
            Operator::Text => "text",
            Operator::Error => "error",
            Operator::Swap => "swap",
            Operator::Counterpart => "counterpart",
            Operator::Initial => "initial",
        }
    }
}

/// The kind of text that a mutant replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The beginning of a function's body; nothing is replaced.
    Entry,
    /// A whole statement, which is left out.
    Statement,
    /// An expression whose value is only tested for zero.
    Condition,
    /// An expression, which is replaced by another of the same type.
    Expression,
}

/// A change to one place of a file.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The file, relative to the sources.
    pub file: String,
    /// The function or macro that is changed.
    pub function: String,
    /// What kind of change it is.
    pub operator: Operator,
    /// Its number among the mutants of this operator in the function, from 1.
    pub ordinal: usize,
    /// A hash of the statement and of the change.
    pub hash: String,
    /// The line of the place, from 1.
    pub line: usize,
    /// The kind of text that is replaced.
    pub site: Site,
    /// The range of bytes in the file that is replaced.
    pub span: Range<usize>,
    /// The text that replaces them.
    pub replacement: String,
    /// Whether the place is in the body of a macro, which must stay one line.
    pub in_macro: bool,
}

impl Mutant {
    /// An identifier that contains no source text of the kernel. It is different for other
    /// source text and for another change.
    pub fn id(&self) -> String {
        let operator = self.operator.name();
        format!(
            "{} {operator} {} {}",
            self.function, self.ordinal, self.hash
        )
    }

    /// The change on one line, for reports.
    pub fn change(&self, source: &str) -> String {
        let old = one_line(source.get(self.span.clone()).unwrap_or_default());
        match self.site {
            Site::Entry => format!("{{ -> {{ {}", self.replacement),
            Site::Statement => format!("{old} -> (dropped)"),
            Site::Condition | Site::Expression => {
                format!("{old} -> {}", one_line(&self.replacement))
            }
        }
    }
}

/// All mutants of a file, in the order of their places.
pub fn mutants(file: &str, source: &str) -> Result<Vec<Mutant>> {
    mutants_in(file, source, targets::WHOLE)
}

/// The same, with `whole` as the functions in which every statement is mutated.
pub fn mutants_in(file: &str, source: &str, whole: &[&str]) -> Result<Vec<Mutant>> {
    let tree = parse(source)?;
    let mut generator = Generator::new(file, source, whole)?;
    generator.collect_texts(tree.root_node());
    generator.walk_file(tree.root_node())?;
    Ok(generator.finish())
}

fn parse(source: &str) -> Result<tree_sitter::Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_c::LANGUAGE.into())?;
    parser.parse(source, None).context("the parser gave up")
}

/// Pairs of words that mutants exchange within a name.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("start", "end"),
    ("prev", "next"),
    ("left", "right"),
    ("before", "after"),
    ("read", "write"),
    ("major", "minor"),
    ("MAJOR", "MINOR"),
    ("name1", "name2"),
    ("orig", "new"),
    ("size", "addr"),
];

/// Errors in mutants: the second replaces the first, and the first replaces every other.
const ERRORS: (&str, &str) = ("EINVAL", "ENOMEM");

/// A change before it gets its number and its hash.
struct Draft {
    operator: Operator,
    site: Site,
    span: Range<usize>,
    replacement: String,
    function: String,
    in_macro: bool,
    /// The statement around the place.
    unit: Range<usize>,
}

struct Generator<'a> {
    file: &'a str,
    source: &'a str,
    whole: &'a [&'a str],
    words: Regex,
    assertions: Regex,
    of_types: Regex,
    /// Macros of this file that are strings.
    texts: BTreeMap<String, String>,
    drafts: Vec<Draft>,
    /// The expressions whose value is only tested for zero.
    truths: HashSet<Range<usize>>,
    seen: HashSet<(Range<usize>, String)>,
}

/// The part of the file that is being walked, and what to mutate there.
#[derive(Clone)]
struct Scope<'a> {
    function: &'a str,
    /// The text that the nodes refer to.
    text: &'a str,
    /// The difference between an offset in the file and a node's offset.
    shift: isize,
    /// Whether to mutate only statements that mention a name.
    only_names: bool,
    in_macro: bool,
    returns: Returns,
}

/// The kind of value that a function returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returns {
    Nothing,
    Truth,
    Pointer,
    Number,
}

impl<'a> Generator<'a> {
    fn new(file: &'a str, source: &'a str, whole: &'a [&'a str]) -> Result<Self> {
        Ok(Self {
            file,
            source,
            whole,
            words: Regex::new(&targets::WORDS.replace("\\\n", ""))?,
            assertions: Regex::new(targets::ASSERTIONS)?,
            of_types: Regex::new(targets::OF_TYPES)?,
            texts: BTreeMap::new(),
            drafts: Vec::new(),
            truths: HashSet::new(),
            seen: HashSet::new(),
        })
    }

    /// Numbers the drafts within each function, and hashes the code that they change.
    fn finish(mut self) -> Vec<Mutant> {
        self.drafts
            .sort_by_key(|draft| (draft.span.start, draft.span.end, draft.operator));
        let mut counts = BTreeMap::new();
        let mut mutants = Vec::new();
        for draft in self.drafts {
            let ordinal = counts
                .entry((draft.function.clone(), draft.operator))
                .or_insert(0_usize);
            *ordinal += 1;
            let before = &self.source[draft.unit.start..draft.span.start];
            let after = &self.source[draft.span.end..draft.unit.end.max(draft.span.end)];
            let parts = [
                before,
                &self.source[draft.span.clone()],
                after,
                &draft.replacement,
            ];
            let parts = parts.map(one_line).join("\0");
            let hash = Sha256::digest(format!("{}\0{parts}", draft.operator.name()));
            mutants.push(Mutant {
                file: self.file.to_owned(),
                operator: draft.operator,
                ordinal: *ordinal,
                hash: hash[..4].iter().map(|byte| format!("{byte:02x}")).collect(),
                line: 1 + self.source[..draft.span.start].matches('\n').count(),
                site: match draft.site {
                    Site::Expression if self.truths.contains(&draft.span) => Site::Condition,
                    site => site,
                },
                span: draft.span,
                replacement: draft.replacement,
                in_macro: draft.in_macro,
                function: draft.function,
            });
        }
        mutants
    }

    /// Records the macros that are defined as one string.
    fn collect_texts(&mut self, node: Node<'_>) {
        for child in children(node) {
            if child.kind() == "preproc_def"
                && let (Some(name), Some(value)) = (field(child, "name"), field(child, "value"))
            {
                let value = self.source[value.byte_range()].trim();
                if value.starts_with('"') && value.ends_with('"') {
                    let name = self.source[name.byte_range()].to_owned();
                    self.texts.insert(name, value.to_owned());
                }
            } else if child.kind().starts_with("preproc") {
                self.collect_texts(child);
            }
        }
    }

    /// Finds functions and macros, in the branches of `#if` too.
    fn walk_file(&mut self, node: Node<'_>) -> Result<()> {
        for child in children(node) {
            match child.kind() {
                "function_definition" => self.walk_function(child),
                "preproc_function_def" => self.walk_macro(child)?,
                // If the parser does not understand a macro, the whole file is one ERROR node.
                kind if kind.starts_with("preproc") || kind == "ERROR" => self.walk_file(child)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn walk_function(&mut self, node: Node<'_>) {
        let source = self.source;
        let (Some(declarator), Some(body)) = (field(node, "declarator"), field(node, "body"))
        else {
            return;
        };
        let Some((name, is_pointer)) = function_name(declarator, source) else {
            return;
        };
        let is_whole = self.whole.contains(&name);
        let is_named = self.words.is_match(&source[body.byte_range()]);
        if !is_whole && (!is_named || targets::OTHERS.contains(&name)) {
            return;
        }
        let type_ = field(node, "type").map_or("", |node| &source[node.byte_range()]);
        let scope = Scope {
            function: name,
            text: source,
            shift: 0,
            only_names: !is_whole,
            in_macro: false,
            returns: match (is_pointer, type_) {
                (true, _) => Returns::Pointer,
                (false, "void") => Returns::Nothing,
                (false, "bool") => Returns::Truth,
                _ => Returns::Number,
            },
        };
        if is_whole {
            self.return_early(body, &scope);
        }
        self.walk_block(body, &scope);
    }

    /// Parses the body of a macro as that of a function. In the syntax tree of the file, it is
    /// plain text.
    fn walk_macro(&mut self, node: Node<'_>) -> Result<()> {
        let (Some(name), Some(value)) = (field(node, "name"), field(node, "value")) else {
            return Ok(());
        };
        let body = &self.source[value.byte_range()];
        if !self.words.is_match(body) {
            return Ok(());
        }
        const HEAD: &str = "void body(void) { ";
        let text = format!("{HEAD}{} ;}}", body.replace("\\\n", "  "));
        let tree = parse(&text)?;
        let scope = Scope {
            function: &self.source[name.byte_range()],
            text: &text,
            shift: value.start_byte().cast_signed() - HEAD.len().cast_signed(),
            only_names: true,
            in_macro: true,
            returns: Returns::Nothing,
        };
        for function in children(tree.root_node()) {
            if let Some(body) = field(function, "body") {
                self.walk_block(body, &scope);
            }
        }
        Ok(())
    }

    fn return_early(&mut self, body: Node<'_>, scope: &Scope<'_>) {
        let at = body.start_byte() + 1;
        let values: &[&str] = match scope.returns {
            Returns::Nothing => &[""],
            Returns::Truth => &[" false", " true"],
            Returns::Pointer => &[" NULL"],
            Returns::Number => &[" 0"],
        };
        for value in values {
            let text = format!("return{value};");
            self.push(
                Operator::ReturnEarly,
                Site::Entry,
                at..at,
                text,
                body,
                scope,
            );
        }
    }

    /// Mutates all statements below `node`.
    fn walk_block(&mut self, node: Node<'_>, scope: &Scope<'_>) {
        for child in children(node) {
            self.walk_statement(child, scope);
        }
    }

    fn walk_statement(&mut self, node: Node<'_>, scope: &Scope<'_>) {
        match node.kind() {
            "expression_statement" => {
                if self.is_in_scope(node, scope) && !self.is_assertion(node, scope) {
                    match macro_arguments(node, scope.text) {
                        // A macro may declare something, so its call is not dropped.
                        Some(arguments) => self.walk_expressions(arguments, node, scope),
                        None => {
                            self.drop(node, scope);
                            self.walk_expressions(node, node, scope);
                        }
                    }
                }
            }
            "return_statement" => {
                if self.is_in_scope(node, scope) {
                    if !is_last(node) {
                        self.drop(node, scope);
                    }
                    self.return_value(node, scope);
                    self.walk_expressions(node, node, scope);
                }
            }
            "break_statement" | "continue_statement" | "goto_statement" => {
                if self.is_in_scope(node, scope) {
                    self.drop(node, scope);
                }
            }
            "declaration" => {
                if self.is_in_scope(node, scope) && !is_static(node, scope.text) {
                    for declarator in children(node) {
                        if let Some(value) = field(declarator, "value") {
                            self.initial(value, node, scope);
                            self.walk_expression(value, node, scope);
                        }
                    }
                }
            }
            "if_statement" | "while_statement" | "do_statement" | "for_statement" => {
                self.walk_conditional(node, scope);
            }
            "switch_statement" => {
                if let Some(body) = field(node, "body") {
                    self.walk_statement(body, scope);
                }
            }
            "case_statement" => {
                let value = field(node, "value");
                let label = value.map_or("", |it| &scope.text[it.byte_range()]);
                let mut inner = scope.clone();
                inner.only_names &= !self.words.is_match(label);
                for child in children(node).filter(|child| Some(*child) != value) {
                    self.walk_statement(child, &inner);
                }
            }
            kind if kind.ends_with("expression") => {
                // Not a statement: the update of a loop and the like.
            }
            _ => self.walk_block(node, scope),
        }
    }

    /// An `if` or a loop: its condition, then what depends on it.
    fn walk_conditional(&mut self, node: Node<'_>, scope: &Scope<'_>) {
        let mut inner = scope.clone();
        if let Some(condition) = field(node, "condition") {
            let condition = bare(condition);
            let is_named = self.words.is_match(&scope.text[condition.byte_range()]);
            if !scope.only_names || is_named {
                self.decide(condition, scope);
                self.walk_expression(condition, condition, scope);
                // The statements that depend on a condition on a name are mutated, too.
                inner.only_names = false;
            }
        }
        for name in ["initializer", "update"] {
            if let Some(part) = field(node, name)
                && !scope.only_names
            {
                match part.kind() {
                    "declaration" => self.walk_statement(part, scope),
                    _ => self.walk_expression(part, part, scope),
                }
            }
        }
        for name in ["body", "consequence"] {
            if let Some(part) = field(node, name) {
                let is_short = lines(part, scope.text) <= 4;
                self.walk_statement(part, if is_short { &inner } else { scope });
            }
        }
        if let Some(alternative) = field(node, "alternative") {
            for child in children(alternative) {
                if child.kind() == "compound_statement" && child.named_child_count() > 1 {
                    let is_named = self.words.is_match(&scope.text[child.byte_range()]);
                    if !scope.only_names || is_named {
                        self.drop(child, scope);
                    }
                }
                self.walk_statement(child, scope);
            }
        }
    }

    /// All expressions of a statement.
    fn walk_expressions(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        for child in children(node) {
            self.walk_expression(child, unit, scope);
        }
    }

    fn walk_expression(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let push = |this: &mut Self, operator, text: String| {
            let span = node.byte_range();
            this.push(operator, Site::Expression, span, text, unit, scope);
        };
        let text = &scope.text[node.byte_range()];
        if is_truth(node) {
            self.truths.insert(shifted(node.byte_range(), scope));
            push(self, Operator::Negate, format!("!({text})"));
        }
        match node.kind() {
            "ERROR" | "type_descriptor" | "offsetof_expression" | "gnu_asm_expression" => return,
            "sizeof_expression" => {
                push(self, Operator::Constant, format!("{text} + 1"));
                push(self, Operator::Constant, format!("{text} - 1"));
                return;
            }
            "binary_expression" => self.binary(node, unit, scope),
            "unary_expression" if self.unary(node, unit, scope) => return,
            "update_expression" => {
                let other = match text.contains("++") {
                    true => text.replace("++", "--"),
                    false => text.replace("--", "++"),
                };
                push(self, Operator::Arithmetic, other);
                return;
            }
            "assignment_expression" => {
                self.assignment(node, unit, scope);
                if let Some(right) = field(node, "right") {
                    self.walk_expression(right, unit, scope);
                }
                return;
            }
            "conditional_expression" => {
                let parts = ["condition", "consequence", "alternative"];
                match parts.map(|name| field(node, name)) {
                    [Some(condition), Some(_), _] => self.decide(bare(condition), scope),
                    // a ?: b, an extension of GNU C
                    [Some(condition), None, Some(alternative)] => {
                        for part in [condition, alternative] {
                            push(
                                self,
                                Operator::Logic,
                                scope.text[part.byte_range()].to_owned(),
                            );
                        }
                    }
                    _ => {}
                }
            }
            "call_expression" if self.call(node, unit, scope) => return,
            // The operand of `&` is not a value.
            "pointer_expression" if text.starts_with('&') => return,
            "field_expression" => {
                if let Some(name) = field(node, "field") {
                    self.counterpart(node, name, unit, scope);
                }
                if let Some(argument) = field(node, "argument")
                    && argument.kind() != "identifier"
                {
                    self.walk_expression(argument, unit, scope);
                }
                return;
            }
            "number_literal" => {
                push(self, Operator::Constant, format!("{text} + 1"));
                push(self, Operator::Constant, format!("{text} - 1"));
                return;
            }
            "char_literal" => {
                push(self, Operator::Constant, format!("{text} + 1"));
                return;
            }
            "true" => return push(self, Operator::Constant, "false".to_owned()),
            "false" => return push(self, Operator::Constant, "true".to_owned()),
            "string_literal" => {
                for shorter in shortened(text) {
                    push(self, Operator::Text, shorter);
                }
                return;
            }
            "identifier" => return self.identifier(node, unit, scope),
            "initializer_pair" => {
                if let Some(value) = field(node, "value") {
                    let is_named = self.words.is_match(text);
                    if !scope.only_names || is_named {
                        self.initial(value, node, scope);
                        self.walk_expression(value, node, scope);
                    }
                }
                return;
            }
            _ => {}
        }
        self.walk_expressions(node, unit, scope);
    }

    fn binary(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let parts = ["left", "operator", "right"].map(|name| field(node, name));
        let [Some(left), Some(operator), Some(right)] = parts else {
            return;
        };
        let text = |node: Node<'_>| &scope.text[node.byte_range()];
        let (kind, others, can_lose_operand): (_, &[&str], _) = match text(operator) {
            "&&" => (Operator::Logic, &["||"], true),
            "||" => (Operator::Logic, &["&&"], true),
            "<" => (Operator::Bound, &["<=", ">="], false),
            "<=" => (Operator::Bound, &["<", ">"], false),
            ">" => (Operator::Bound, &[">=", "<="], false),
            ">=" => (Operator::Bound, &[">", "<"], false),
            "==" => (Operator::Bound, &["!="], false),
            "!=" => (Operator::Bound, &["=="], false),
            "+" => (Operator::Arithmetic, &["-"], true),
            "-" => (Operator::Arithmetic, &["+"], true),
            "*" => (Operator::Arithmetic, &["/"], false),
            "/" => (Operator::Arithmetic, &["*"], false),
            "%" => (Operator::Arithmetic, &["/"], false),
            "&" => (Operator::Arithmetic, &["|"], true),
            "|" => (Operator::Arithmetic, &["&"], true),
            "^" => (Operator::Arithmetic, &["|"], true),
            "<<" => (Operator::Arithmetic, &[">>"], true),
            ">>" => (Operator::Arithmetic, &["<<"], true),
            _ => return,
        };
        let mut push = |text: String| {
            let span = node.byte_range();
            self.push(kind, Site::Expression, span, text, unit, scope);
        };
        for (index, other) in others.iter().enumerate() {
            // The second of two is the negation, which [`Operator::Negate`] makes already.
            if kind == Operator::Bound && is_truth(node) && index + 1 == others.len() {
                continue;
            }
            let (before, after) = (
                node.start_byte()..operator.start_byte(),
                operator.end_byte(),
            );
            let after = &scope.text[after..node.end_byte()];
            push(format!("{}{other}{after}", &scope.text[before]));
        }
        if can_lose_operand {
            for operand in [text(left), text(right)] {
                push(match kind {
                    Operator::Logic => format!("!!({operand})"),
                    _ => operand.to_owned(),
                });
            }
        }
    }

    /// Mutates a unary expression. Returns whether its operand needs no further walk.
    fn unary(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) -> bool {
        let (Some(operator), Some(argument)) = (field(node, "operator"), field(node, "argument"))
        else {
            return true;
        };
        let argument_text = &scope.text[argument.byte_range()];
        let mut push = |operator, text: String| {
            let span = node.byte_range();
            self.push(operator, Site::Expression, span, text, unit, scope);
        };
        match &scope.text[operator.byte_range()] {
            "-" if is_errno(argument_text) => {
                let other = match argument_text == ERRORS.0 {
                    true => ERRORS.1,
                    false => ERRORS.0,
                };
                push(Operator::Error, format!("-{other}"));
                push(Operator::Error, "0".to_owned());
                return true;
            }
            "!" if !is_truth(node) => push(Operator::Negate, format!("!!({argument_text})")),
            "-" | "~" => push(Operator::Arithmetic, argument_text.to_owned()),
            _ => {}
        }
        false
    }

    fn assignment(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let parts = ["left", "operator", "right"].map(|name| field(node, name));
        let [Some(left), Some(operator), Some(right)] = parts else {
            return;
        };
        let text = |node: Node<'_>| &scope.text[node.byte_range()];
        let other = match text(operator) {
            "+=" => "-=",
            "-=" => "+=",
            "|=" | "&=" | "^=" | "<<=" | ">>=" | "*=" | "/=" => "=",
            _ => return,
        };
        let changed = format!("{} {other} {}", text(left), text(right));
        let (operator, site) = (Operator::Arithmetic, Site::Expression);
        self.push(operator, site, node.byte_range(), changed, unit, scope);
    }

    /// Mutates a call. Returns whether its arguments need no further walk.
    fn call(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) -> bool {
        if self.is_assertion(node, scope) {
            return true;
        }
        let (Some(function), Some(list)) = (field(node, "function"), field(node, "arguments"))
        else {
            return true;
        };
        if self.of_types.is_match(&scope.text[function.byte_range()]) {
            return true;
        }
        if function.kind() == "identifier" {
            self.counterpart(node, function, unit, scope);
        }
        let arguments: Vec<_> = children(list).collect();
        for pair in arguments.windows(2) {
            let [first, second] = pair else { continue };
            let text = |range: Range<usize>| &scope.text[range];
            let swapped = [
                text(node.start_byte()..first.start_byte()),
                text(second.byte_range()),
                text(first.end_byte()..second.start_byte()),
                text(first.byte_range()),
                text(second.end_byte()..node.end_byte()),
            ];
            if text(first.byte_range()) != text(second.byte_range()) {
                let (span, text) = (node.byte_range(), swapped.concat());
                self.push(Operator::Swap, Site::Expression, span, text, unit, scope);
            }
        }
        for argument in arguments {
            self.walk_expression(argument, unit, scope);
        }
        true
    }

    /// Mutates a variable or a constant.
    fn identifier(&mut self, node: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let text = &scope.text[node.byte_range()];
        if text == "NULL" {
            return;
        }
        if !is_constant(text) {
            self.counterpart(node, node, unit, scope);
            return;
        }
        let changed: Vec<(Operator, String)> = match self.texts.get(text) {
            Some(value) => without_each(value)
                .map(|shorter| (Operator::Text, shorter))
                .collect(),
            None => [" + 1", " - 1"]
                .map(|step| (Operator::Constant, format!("{text}{step}")))
                .into(),
        };
        for (operator, text) in changed {
            let span = node.byte_range();
            self.push(operator, Site::Expression, span, text, unit, scope);
        }
    }

    /// Replaces the name by each of its counterparts. The compiler will refuse those that do
    /// not exist.
    fn counterpart(&mut self, node: Node<'_>, name: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let parts: Vec<&str> = scope.text[name.byte_range()].split('_').collect();
        for (first, second) in COUNTERPARTS {
            for (from, to) in [(first, second), (second, first)] {
                if !parts.contains(from) {
                    continue;
                }
                let changed: Vec<&str> = parts
                    .iter()
                    .map(|part| if part == from { to } else { part })
                    .copied()
                    .collect();
                let before = &scope.text[node.start_byte()..name.start_byte()];
                let after = &scope.text[name.end_byte()..node.end_byte()];
                let text = format!("{before}{}{after}", changed.join("_"));
                let (operator, span) = (Operator::Counterpart, node.byte_range());
                self.push(operator, Site::Expression, span, text, unit, scope);
            }
        }
    }

    fn drop(&mut self, node: Node<'_>, scope: &Scope<'_>) {
        let (span, unit) = (node.byte_range(), node);
        self.push(
            Operator::Drop,
            Site::Statement,
            span,
            String::new(),
            unit,
            scope,
        );
    }

    fn decide(&mut self, condition: Node<'_>, scope: &Scope<'_>) {
        for value in ["1", "0"] {
            let (span, unit) = (condition.byte_range(), condition);
            let text = value.to_owned();
            self.push(Operator::Decide, Site::Expression, span, text, unit, scope);
        }
    }

    fn return_value(&mut self, node: Node<'_>, scope: &Scope<'_>) {
        let Some(value) = children(node).next() else {
            return;
        };
        let others: &[&str] = match scope.returns {
            Returns::Nothing => &[],
            Returns::Truth => &["true", "false"],
            Returns::Pointer => &["NULL"],
            Returns::Number => &["0"],
        };
        let text = &scope.text[value.byte_range()];
        for other in others {
            // Constants have an operator of their own.
            if !["0", "NULL", "true", "false"].contains(&text) && !text.starts_with("-E") {
                let (span, text) = (value.byte_range(), (*other).to_owned());
                self.push(
                    Operator::ReturnValue,
                    Site::Expression,
                    span,
                    text,
                    node,
                    scope,
                );
            }
        }
    }

    fn initial(&mut self, value: Node<'_>, unit: Node<'_>, scope: &Scope<'_>) {
        let text = &scope.text[value.byte_range()];
        let is_zero = ["0", "NULL", "false"].contains(&text);
        if !is_zero && !value.kind().starts_with("initializer") {
            let (span, text) = (value.byte_range(), "0".to_owned());
            self.push(Operator::Initial, Site::Expression, span, text, unit, scope);
        }
    }

    fn is_in_scope(&self, unit: Node<'_>, scope: &Scope<'_>) -> bool {
        !scope.only_names || self.words.is_match(&scope.text[unit.byte_range()])
    }

    fn is_assertion(&self, node: Node<'_>, scope: &Scope<'_>) -> bool {
        let call = match node.kind() {
            "expression_statement" => children(node).next(),
            _ => Some(node),
        };
        let function = call.and_then(|call| field(call, "function"));
        function.is_some_and(|name| self.assertions.is_match(&scope.text[name.byte_range()]))
    }

    fn push(
        &mut self,
        operator: Operator,
        site: Site,
        span: Range<usize>,
        replacement: String,
        unit: Node<'_>,
        scope: &Scope<'_>,
    ) {
        let span = shifted(span, scope);
        // The beginning of a function belongs to no statement.
        let unit = match site {
            Site::Entry => span.clone(),
            _ => shifted(unit.byte_range(), scope),
        };
        if self.seen.insert((span.clone(), replacement.clone())) {
            self.drafts.push(Draft {
                operator,
                site,
                span,
                replacement,
                function: scope.function.to_owned(),
                in_macro: scope.in_macro,
                unit,
            });
        }
    }
}

/// The bytes in the file that a node covers.
fn shifted(range: Range<usize>, scope: &Scope<'_>) -> Range<usize> {
    let at = |offset: usize| offset.saturating_add_signed(scope.shift);
    at(range.start)..at(range.end)
}

fn field<'tree>(node: Node<'tree>, name: &str) -> Option<Node<'tree>> {
    node.child_by_field_name(name)
}

/// The named children, without comments.
fn children(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let mut cursor = node.walk();
    let all: Vec<_> = node.named_children(&mut cursor).collect();
    all.into_iter().filter(|child| child.kind() != "comment")
}

/// The name of the function that is declared, and whether it returns a pointer.
fn function_name<'a>(declarator: Node<'_>, source: &'a str) -> Option<(&'a str, bool)> {
    match declarator.kind() {
        "function_declarator" => {
            let name = field(declarator, "declarator")?;
            (name.kind() == "identifier").then(|| (&source[name.byte_range()], false))
        }
        "pointer_declarator" => {
            let (name, _) = function_name(field(declarator, "declarator")?, source)?;
            Some((name, true))
        }
        _ => None,
    }
}

/// The expression without parentheses around it.
fn bare(node: Node<'_>) -> Node<'_> {
    match (node.kind(), children(node).next()) {
        ("parenthesized_expression", Some(inner)) => bare(inner),
        _ => node,
    }
}

/// Whether the value of the expression is only tested for zero.
fn is_truth(node: Node<'_>) -> bool {
    let Some(mut parent) = node.parent() else {
        return false;
    };
    let mut child = node;
    while parent.kind() == "parenthesized_expression" {
        child = parent;
        match parent.parent() {
            Some(next) => parent = next,
            None => return false,
        }
    }
    if node.kind() == "parenthesized_expression" {
        // The expression inside is examined instead.
        return false;
    }
    let operator = field(parent, "operator").map(|operator| operator.kind());
    match parent.kind() {
        "if_statement" | "while_statement" | "do_statement" | "for_statement" => {
            field(parent, "condition") == Some(child)
        }
        // In `a ?: b` the condition is the value, too.
        "conditional_expression" => {
            field(parent, "condition") == Some(child) && field(parent, "consequence").is_some()
        }
        "binary_expression" => matches!(operator, Some("&&" | "||")),
        _ => false,
    }
}

/// The arguments of a statement that calls a macro, recognised by its name in capitals.
fn macro_arguments<'tree>(statement: Node<'tree>, text: &str) -> Option<Node<'tree>> {
    let call = children(statement).next()?;
    let function = field(call, "function")?;
    is_constant(&text[function.byte_range()]).then_some(field(call, "arguments")?)
}

/// Whether nothing follows the statement in its function.
fn is_last(mut node: Node<'_>) -> bool {
    while let Some(label) = node.parent().filter(|it| it.kind() == "labeled_statement") {
        node = label;
    }
    let Some(body) = node.parent().filter(|it| it.kind() == "compound_statement") else {
        return false;
    };
    let is_function = body
        .parent()
        .is_some_and(|it| it.kind() == "function_definition");
    is_function && node.next_named_sibling().is_none()
}

fn is_static(declaration: Node<'_>, text: &str) -> bool {
    children(declaration).any(|child| {
        child.kind() == "storage_class_specifier" && &text[child.byte_range()] == "static"
    })
}

fn lines(node: Node<'_>, text: &str) -> usize {
    1 + text[node.byte_range()].matches('\n').count()
}

/// Whether the word is an error number: EINVAL.
fn is_errno(text: &str) -> bool {
    text.len() > 3 && text.starts_with('E') && is_constant(text)
}

/// Whether the word is in capitals, as the name of a constant: PATH_MAX.
fn is_constant(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() > 1 && text.bytes().all(is_letter)
}

/// The string without its first character, without its last, and empty.
fn shortened(literal: &str) -> Vec<String> {
    let characters = characters(literal);
    if characters.is_empty() {
        return Vec::new();
    }
    let end = characters.len() - 1;
    let mut texts = vec![String::new()];
    texts.push(characters[1..].concat());
    texts.push(characters[..end].concat());
    texts.sort();
    texts.dedup();
    texts.iter().map(|text| format!("\"{text}\"")).collect()
}

/// The string without each of its characters in turn.
fn without_each(literal: &str) -> impl Iterator<Item = String> {
    let characters: Vec<String> = characters(literal)
        .iter()
        .map(|&it| it.to_owned())
        .collect();
    (0..characters.len()).map(move |index| {
        let mut left = characters.clone();
        left.remove(index);
        format!("\"{}\"", left.concat())
    })
}

/// The characters of a string literal. An escape is one character.
fn characters(literal: &str) -> Vec<&str> {
    let mut rest = literal.trim_matches('"');
    let mut characters = Vec::new();
    while !rest.is_empty() {
        let length = match rest.starts_with('\\') {
            true => rest.len().min(2),
            false => rest.chars().next().map_or(1, char::len_utf8),
        };
        let (first, others) = rest.split_at(length);
        characters.push(first);
        rest = others;
    }
    characters
}

/// The text with every run of white space as one space, and without continued lines.
pub(super) fn one_line(text: &str) -> String {
    let text = text.replace("\\\n", " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
