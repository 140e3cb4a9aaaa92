//! Printer of the assembled suite, which shares no code with its reader and its assembler.
//!
//! Its output must equal `cases.txt` and `verbs.txt`, word by word. So a wrong number or verb
//! from the assembler is found even if it would not make the case fail.

use vm_anon_name::suite::calls::{CONSTANTS, OPERATIONS};
use vm_anon_name::suite::encoding::{end, needs, register, sign, term};

/// The assembled suite as text: heads, and the lines below each.
pub struct Printed {
    pub verbs: Vec<Vec<String>>,
    pub cases: Vec<(String, Vec<Vec<String>>)>,
}

/// Prints the suite, given the heads of its verbs.
pub fn print(assembled: &[u8], heads: &[Vec<String>]) -> Printed {
    let mut bytes = Bytes(assembled);
    let verbs = heads.iter().map(|head| bytes.steps(head)).collect();
    assert_eq!(bytes.byte(), 0, "there are more verbs than heads");
    let mut conditions = Vec::new();
    while let Some(condition) = bytes.condition() {
        let size = u16::from_be_bytes([bytes.byte(), bytes.byte()]);
        conditions.push((condition, size.into()));
    }
    let cases = conditions
        .into_iter()
        .map(|(condition, size)| (condition, bytes.statements(heads, size)));
    let cases = cases.collect();
    assert!(bytes.0.is_empty(), "more cases than heads");
    Printed { verbs, cases }
}

/// Whether a word of a verb's head is a parameter.
pub fn is_parameter(word: &str) -> bool {
    word.len() > 1
        && word
            .chars()
            .all(|letter| letter == '_' || letter.is_ascii_uppercase())
}

/// A term of an operand, negative or not.
struct Term(bool, Value);

enum Value {
    Bytes(u64),
    Pages(u64),
    HugePages(u64),
    Words(u64),
    Register(&'static str),
    Constant(&'static str),
    Parameter(usize),
    Text(String),
}

/// Bytes that have not been printed yet.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("there is another byte");
        self.0 = rest;
        *first
    }

    fn text(&mut self) -> String {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .expect("a text ends");
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn condition(&mut self) -> Option<String> {
        let mut condition = self.text();
        if condition.is_empty() {
            return None;
        }
        let [since, before] = [(); 2].map(|()| [self.byte(), self.byte()]);
        if since != [0; 2] {
            condition += &format!(" >={}.{}", since[0], since[1]);
        }
        if before != [0xff; 2] {
            condition += &format!(" <{}.{}", before[0], before[1]);
        }
        condition += match self.byte() {
            0 => "",
            needs::ADDRESSES_OF_64_BITS => " 64-bit",
            needs::ADDRESSES_OF_THE_KERNEL => " kernel-width",
            needs::MEMORY => " memory",
            other => panic!("{condition}: it needs {other}"),
        };
        Some(condition)
    }

    /// The steps of a verb.
    fn steps(&mut self, head: &[String]) -> Vec<String> {
        let parameters: Vec<&String> = head.iter().filter(|word| is_parameter(word)).collect();
        let mut steps = Vec::new();
        let size = usize::from(self.byte());
        let end = self.0.len() - size;
        while self.0.len() > end {
            let code = self.byte();
            let (operands, flags) = self.operands();
            let mut step = String::new();
            if flags & end::KEPT != 0 {
                step = format!("{} = ", register::NAMES[usize::from(self.byte()) - 1]);
            }
            if flags & end::TRIED != 0 {
                step += "try ";
            }
            let outcome = end::EXPECTED | end::SKIPS;
            assert_eq!(flags & outcome, 0, "a step states no outcome");
            let arguments = operands.iter().map(|operand| match &operand[..] {
                [Term(false, Value::Text(text))] => format!("{text:?}"),
                terms => sum(terms, |value| argument(value, &parameters)),
            });
            let arguments: Vec<String> = arguments.collect();
            let name = nth(OPERATIONS, code.into());
            steps.push(format!("{step}{name}({})", arguments.join(", ")));
        }
        assert_eq!(self.0.len(), end, "{head:?} has another size");
        steps
    }

    /// The statements of a case, or of a child, which take `size` bytes.
    fn statements(&mut self, heads: &[Vec<String>], size: usize) -> Vec<Vec<String>> {
        let end = self.0.len() - size;
        let mut statements = Vec::new();
        while self.0.len() > end {
            let head = &heads[usize::from(self.byte()) - 1];
            let (operands, flags) = self.operands();
            let of_step = end::KEPT | end::TRIED;
            assert_eq!(flags & of_step, 0, "{head:?} in a statement");
            let mut operands = operands.iter();
            let words = head.iter().map(|word| match is_parameter(word) {
                true => operand(word, operands.next().expect("one operand per parameter")),
                false => word.clone(),
            });
            let mut words: Vec<String> = words.collect();
            assert_eq!(operands.count(), 0, "{head:?} has more operands");
            if flags & end::EXPECTED != 0 {
                words.extend(["=".to_owned(), super::error_name(self.byte())]);
            }
            if flags & end::SKIPS != 0 {
                while self.0[0] != 0 {
                    words.extend(["?".to_owned(), super::error_name(self.byte())]);
                }
                self.byte();
            }
            if words[0] == "fork" {
                statements.push(vec!["fork".to_owned()]);
                statements.extend(self.statements(heads, words[1].parse().unwrap()));
                statements.push(vec!["join".to_owned()]);
            } else {
                statements.push(words);
            }
        }
        assert_eq!(self.0.len(), end, "the last statement has another size");
        // The assembler puts this before the statements of each case and each child.
        assert_eq!(statements.remove(0), ["read", "self"]);
        statements
    }

    /// Operands, and the digit that ends their list.
    fn operands(&mut self) -> (Vec<Vec<Term>>, u8) {
        let mut operands = Vec::<Vec<Term>>::new();
        let (mut digits, mut sign) = (0u64, 0);
        loop {
            let byte = self.byte();
            let digit = byte & 0xf;
            digits = digits << 4 | u64::from(digit);
            let value = match byte & 0xf0 {
                term::DIGIT => continue,
                term::SIGN => {
                    (digits, sign) = (0, digit);
                    continue;
                }
                term::BYTES if digits == 0 => {
                    operands.push(Vec::new());
                    continue;
                }
                term::BYTES => Value::Bytes(digits),
                term::PAGES => Value::Pages(digits),
                term::HUGE => Value::HugePages(digits),
                term::WORDS => Value::Words(digits),
                term::REGISTER => Value::Register(register::NAMES[digits as usize - 1]),
                term::CONSTANT => Value::Constant(nth(CONSTANTS, digits as usize)),
                term::PARAMETER => Value::Parameter(digits as usize - 1),
                term::TEXT => Value::Text(self.text()),
                term::END => return (operands, digit),
                other => panic!("{other:#x} is not a term"),
            };
            if sign & sign::JOINED == 0 {
                operands.push(Vec::new());
            }
            let terms = operands.last_mut().expect("an operand to join");
            terms.push(Term(sign & sign::NEGATIVE != 0, value));
            (digits, sign) = (0, 0);
        }
    }
}

/// The name with this number in a list.
fn nth(names: &'static str, number: usize) -> &'static str {
    names.split(' ').nth(number - 1).unwrap()
}

/// Terms as a sum. Constants are joined by `|`.
fn sum(terms: &[Term], print: impl Fn(&Value) -> String) -> String {
    let mut text = String::new();
    for Term(is_negative, value) in terms {
        text += match (is_negative, value) {
            (true, _) => "-",
            _ if text.is_empty() => "",
            (_, Value::Constant(_)) => "|",
            _ => "+",
        };
        text += &print(value);
    }
    match text.is_empty() {
        true => "0".to_owned(),
        false => text,
    }
}

/// The word that a statement has for a parameter.
fn operand(parameter: &str, terms: &[Term]) -> String {
    let address = |terms: &[Term]| match terms {
        [Term(false, Value::Register("window")), terms @ ..] => sum(terms, length),
        terms => format!("@{}", sum(terms, length)),
    };
    match (parameter, terms) {
        ("NAME" | "TEXT", [Term(false, Value::Text(text))]) => text.clone(),
        ("NAME", []) => "NULL".to_owned(),
        ("NAME", _) => format!("&{}", address(terms)),
        ("AT" | "TO", _) => address(terms),
        ("LENGTH" | "NEW_LENGTH", _) => sum(terms, length),
        _ => sum(terms, |value| match value {
            Value::Constant(name) => {
                let (prefix, word) = name.split_at(parameter.len() + 1);
                assert_eq!(prefix, format!("{parameter}_"));
                word.to_owned()
            }
            Value::Bytes(number) => self::number(*number),
            _ => panic!("{parameter} is a number"),
        }),
    }
}

fn length(value: &Value) -> String {
    match value {
        Value::Bytes(number) if *number >= 1 << 31 => self::number(*number),
        Value::Bytes(number) => format!("{number}b"),
        Value::Pages(number) => number.to_string(),
        Value::HugePages(1) => "huge".to_owned(),
        Value::Register(name) => (*name).to_owned(),
        _ => panic!("this is not a term of a length"),
    }
}

fn argument(value: &Value, parameters: &[&String]) -> String {
    match value {
        Value::Bytes(number) => self::number(*number),
        Value::Pages(1) => "page".to_owned(),
        Value::Pages(number) => format!("{number}*page"),
        Value::Words(1) => "word".to_owned(),
        Value::Words(number) => format!("{number}*word"),
        Value::Register(name) | Value::Constant(name) => (*name).to_owned(),
        Value::Parameter(place) => parameters[*place].clone(),
        _ => panic!("this is not a term of an argument"),
    }
}

/// A number; a large power of 2 as `2^N`.
fn number(number: u64) -> String {
    match number >= 1 << 31 && number.is_power_of_two() {
        true => format!("2^{}", number.ilog2()),
        false => number.to_string(),
    }
}
