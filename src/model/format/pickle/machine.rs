use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::limits;

use super::super::content::{Flaw, Window, malformed};
use super::super::facts::printable;
use super::line::read_line;
use super::ops::{Argument, Effect, opcode};

/// What matters of a value: the texts that imports are made of, and marks.
#[derive(Clone)]
enum Item {
    Mark,
    Text(Rc<str>),
    Other,
}

/// A walk over one pickle's opcodes that never builds what they describe.
///
/// It follows the stack as CPython's unpickler does, for two reasons:
/// `STACK_GLOBAL` takes its names from there, and text that happens to
/// consist of opcodes soon takes from an empty stack and is told apart.
#[derive(Default)]
pub(super) struct Machine {
    stack: Vec<Item>,
    // By number; `None` where something other than a text is remembered.
    memo: HashMap<u64, Option<Rc<str>>>,
    forgot: bool,
    pub(super) protocol: Option<u8>,
    pub(super) opcodes: u64,
    /// Whether there is a frame that ends within the file.
    pub(super) framed: bool,
    frame_end: u64,
    /// Whether an opcode reaches over the end of its frame: CPython's two
    /// unpicklers then read different programs, and no pickler writes that.
    pub(super) crossed: bool,
    /// Whether an import has a name that can be imported.
    pub(super) named: bool,
    pub(super) imports: BTreeSet<String>,
    pub(super) calls: BTreeMap<&'static str, u64>,
    pub(super) persistent: u64,
    /// Where the pickle ends, once `STOP` was reached.
    pub(super) end: Option<u64>,
}

/// Longest text that can be part of an import's name, in bytes.
pub(super) const NAME: usize = 512;
const MEMO: usize = 250_000;

impl Machine {
    /// Walks from `at` to `STOP`, to a flaw or to a bound.
    pub(super) fn run(&mut self, window: &mut Window<'_>, mut at: u64) -> Result<(), Flaw> {
        while self.end.is_none() {
            if self.opcodes >= limits::PICKLE_OPCODES {
                return Err(Flaw::Limit("pickle opcodes"));
            }
            let byte = window.u8(at)?;
            let Some((name, argument, effect)) = opcode(byte) else {
                return malformed(format!("byte 0x{byte:02x} at {at} is no pickle opcode"));
            };
            let (start, end) = (at, self.frame_end);
            at = self.step(window, at + 1, byte, name, argument, effect)?;
            let nested = self.frame_end != end;
            self.crossed |= start < end && (end < at || nested);
            self.opcodes += 1;
        }
        Ok(())
    }

    fn step(
        &mut self,
        window: &mut Window<'_>,
        at: u64,
        byte: u8,
        name: &'static str,
        argument: Argument,
        effect: Effect,
    ) -> Result<u64, Flaw> {
        let (number, texts, next) = match argument {
            // MEMOIZE numbers by how much is remembered.
            Argument::None => (self.memo.len() as u64, Vec::new(), at),
            Argument::Fixed(n) => {
                let n = usize::from(n);
                (window.uint(at, n)?, Vec::new(), at + n as u64)
            }
            Argument::Counted(n) => {
                let n = usize::from(n);
                let len = window.uint(at, n)?;
                let from = at + n as u64;
                let next = match from.checked_add(len) {
                    Some(next) if next <= window.len() => next,
                    _ => return malformed(format!("{name} at {} is cut off", at - 1)),
                };
                let text = match effect {
                    Effect::Text if len <= NAME as u64 => lossy(window.bytes(from, len as usize)?),
                    _ => None,
                };
                (0, vec![text], next)
            }
            Argument::Line => {
                let line = read_line(window, at, byte)?;
                (line.number, vec![line.text], line.next)
            }
            Argument::TwoLines => {
                let module = read_line(window, at, byte)?;
                let name = read_line(window, module.next, byte)?;
                (0, vec![module.text, name.text], name.next)
            }
        };
        self.apply(byte, name, effect, number, &texts, next)?;
        self.framed |= (1..=window.len()).contains(&self.frame_end);
        Ok(next)
    }

    fn apply(
        &mut self,
        byte: u8,
        name: &'static str,
        effect: Effect,
        number: u64,
        texts: &[Option<String>],
        next: u64,
    ) -> Result<(), Flaw> {
        match effect {
            Effect::Nothing => match byte {
                0x80 if number > 5 => return malformed(format!("pickle protocol {number}")),
                0x80 => self.protocol = Some(number as u8),
                _ => {
                    self.frame_end = next.saturating_add(number);
                }
            },
            Effect::Stack(take, put) => {
                self.take(take)?;
                for _ in 0..put {
                    self.put(Item::Other)?;
                }
            }
            Effect::Text => {
                let text = texts.first().and_then(Option::as_deref).map(Rc::from);
                self.put(text.map_or(Item::Other, Item::Text))?;
            }
            Effect::Mark => self.put(Item::Mark)?,
            Effect::ToMark(take, put) => {
                self.take_to_mark()?;
                self.take(take)?;
                for _ in 0..put {
                    self.put(Item::Other)?;
                }
            }
            Effect::Pop => {
                if self.stack.pop().is_none() {
                    return malformed("POP of an empty stack");
                }
            }
            Effect::Dup => {
                let top = self.top()?.clone();
                self.put(top)?;
            }
            Effect::Global | Effect::Inst => {
                let part = |i: usize| texts.get(i).and_then(Option::as_deref);
                // INST imports before it looks for its mark, and calls after.
                self.import(part(0), part(1));
                if effect == Effect::Inst {
                    self.take_to_mark()?;
                    self.called(name);
                }
                self.put(Item::Other)?;
            }
            Effect::StackGlobal => {
                let name = self.take_text()?;
                let module = self.take_text()?;
                self.import(module.as_deref(), name.as_deref());
                self.put(Item::Other)?;
            }
            Effect::Extension => {
                // Only a program that has registered the number imports anything.
                self.import(Some("copyreg extension"), Some(&number.to_string()));
                self.put(Item::Other)?;
            }
            Effect::Call(take) => {
                self.take(take)?;
                self.called(name);
                self.put(Item::Other)?;
            }
            Effect::CallToMark => {
                self.take_to_mark()?;
                self.called(name);
                self.put(Item::Other)?;
            }
            Effect::Build => {
                self.take(2)?;
                self.called(name);
                self.put(Item::Other)?;
            }
            Effect::Persistent(take) => {
                self.take(take)?;
                self.persistent += 1;
                self.put(Item::Other)?;
            }
            Effect::Put => self.remember(number)?,
            Effect::Get => {
                let item = match self.memo.get(&number) {
                    Some(Some(text)) if !self.forgot => Item::Text(Rc::clone(text)),
                    _ => Item::Other,
                };
                self.put(item)?;
            }
            Effect::Stop => {
                self.take(1)?;
                self.end = Some(next);
            }
        }
        Ok(())
    }

    fn put(&mut self, item: Item) -> Result<(), Flaw> {
        if self.stack.len() >= limits::PICKLE_STACK {
            return Err(Flaw::Limit("pickle stack"));
        }
        self.stack.push(item);
        Ok(())
    }

    fn top(&self) -> Result<&Item, Flaw> {
        match self.stack.last() {
            Some(Item::Mark) | None => malformed("an opcode takes from an empty stack"),
            Some(item) => Ok(item),
        }
    }

    fn take(&mut self, count: u8) -> Result<(), Flaw> {
        for _ in 0..count {
            self.top()?;
            self.stack.pop();
        }
        Ok(())
    }

    fn take_text(&mut self) -> Result<Option<Rc<str>>, Flaw> {
        let text = match self.top()? {
            Item::Text(text) => Some(Rc::clone(text)),
            _ => None,
        };
        self.stack.pop();
        Ok(text)
    }

    fn take_to_mark(&mut self) -> Result<(), Flaw> {
        loop {
            match self.stack.pop() {
                Some(Item::Mark) => return Ok(()),
                Some(_) => {}
                None => return malformed("an opcode looks for a mark that is not there"),
            }
        }
    }

    // Past the bound nothing is recalled any more: what is then imported by
    // a remembered name is listed as `?`, which is still an import.
    fn remember(&mut self, number: u64) -> Result<(), Flaw> {
        let text = match self.top()? {
            Item::Text(text) => Some(Rc::clone(text)),
            _ => None,
        };
        if self.memo.len() < MEMO || self.memo.contains_key(&number) {
            self.memo.insert(number, text);
        } else {
            self.forgot = true;
        }
        Ok(())
    }

    fn import(&mut self, module: Option<&str>, name: Option<&str>) {
        let importable = |part: Option<&str>| {
            part.is_some_and(|text| {
                !text.is_empty()
                    && !text.contains(|c: char| {
                        c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER
                    })
            })
        };
        self.named |= importable(module) && importable(name);
        if self.imports.len() <= limits::FORMAT_MARKS {
            let full = format!("{}.{}", module.unwrap_or("?"), name.unwrap_or("?"));
            self.imports.insert(printable(&full));
        }
    }

    fn called(&mut self, name: &'static str) {
        *self.calls.entry(name).or_default() += 1;
    }
}

pub(super) fn lossy(bytes: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(bytes).into_owned())
}
