/// What follows an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// Nothing.
    None,
    /// So many bytes.
    Fixed(u8),
    /// A length of so many bytes, then that many bytes.
    Counted(u8),
    /// A line of text.
    Line,
    /// Two lines of text.
    TwoLines,
}

/// What an opcode does to the stack, as far as imports and calls need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Takes so many values and puts so many.
    Stack(u8, u8),
    /// Puts the argument as text.
    Text,
    /// Puts a mark.
    Mark,
    /// Takes all down to the mark, then so many values, and puts so many.
    ToMark(u8, u8),
    /// Takes one value, or the mark.
    Pop,
    /// Doubles the top.
    Dup,
    /// Puts the import named by two lines.
    Global,
    /// Puts the import named by the two texts on the stack.
    StackGlobal,
    /// Puts an import out of the extension registry.
    Extension,
    /// Imports by two lines and calls it with all down to the mark.
    Inst,
    /// Calls: takes so many values and puts one.
    Call(u8),
    /// Calls the class below all down to the mark.
    CallToMark,
    /// Sets an object's state: may call its `__setstate__`.
    Build,
    /// Asks the loader for an object by id.
    Persistent(u8),
    /// Remembers the top under the argument or the next number.
    Put,
    /// Puts what was remembered under the argument.
    Get,
    /// The end.
    Stop,
    /// Nothing that matters here.
    Nothing,
}

/// An opcode's name, argument and effect (CPython `pickletools`), or `None` for a byte that is none.
pub(super) const fn opcode(byte: u8) -> Option<(&'static str, Argument, Effect)> {
    use Argument::{Counted, Fixed, Line, TwoLines};
    use Effect::*;
    const NO: Argument = Argument::None;
    const PUSH: Effect = Stack(0, 1);
    Some(match byte {
        b'(' => ("MARK", NO, Mark),
        b'.' => ("STOP", NO, Stop),
        b'0' => ("POP", NO, Pop),
        b'1' => ("POP_MARK", NO, ToMark(0, 0)),
        b'2' => ("DUP", NO, Dup),
        b'F' => ("FLOAT", Line, PUSH),
        b'I' => ("INT", Line, PUSH),
        b'J' => ("BININT", Fixed(4), PUSH),
        b'K' => ("BININT1", Fixed(1), PUSH),
        b'L' => ("LONG", Line, PUSH),
        b'M' => ("BININT2", Fixed(2), PUSH),
        b'N' => ("NONE", NO, PUSH),
        b'P' => ("PERSID", Line, Persistent(0)),
        b'Q' => ("BINPERSID", NO, Persistent(1)),
        b'R' => ("REDUCE", NO, Call(2)),
        b'S' => ("STRING", Line, Text),
        b'T' => ("BINSTRING", Counted(4), Text),
        b'U' => ("SHORT_BINSTRING", Counted(1), Text),
        b'V' => ("UNICODE", Line, Text),
        b'X' => ("BINUNICODE", Counted(4), Text),
        b'a' => ("APPEND", NO, Stack(2, 1)),
        b'b' => ("BUILD", NO, Build),
        b'c' => ("GLOBAL", TwoLines, Global),
        b'd' => ("DICT", NO, ToMark(0, 1)),
        b'}' => ("EMPTY_DICT", NO, PUSH),
        b'e' => ("APPENDS", NO, ToMark(1, 1)),
        b'g' => ("GET", Line, Get),
        b'h' => ("BINGET", Fixed(1), Get),
        b'i' => ("INST", TwoLines, Inst),
        b'j' => ("LONG_BINGET", Fixed(4), Get),
        b'l' => ("LIST", NO, ToMark(0, 1)),
        b']' => ("EMPTY_LIST", NO, PUSH),
        b'o' => ("OBJ", NO, CallToMark),
        b'p' => ("PUT", Line, Put),
        b'q' => ("BINPUT", Fixed(1), Put),
        b'r' => ("LONG_BINPUT", Fixed(4), Put),
        b's' => ("SETITEM", NO, Stack(3, 1)),
        b't' => ("TUPLE", NO, ToMark(0, 1)),
        b')' => ("EMPTY_TUPLE", NO, PUSH),
        b'u' => ("SETITEMS", NO, ToMark(1, 1)),
        b'G' => ("BINFLOAT", Fixed(8), PUSH),
        b'B' => ("BINBYTES", Counted(4), PUSH),
        b'C' => ("SHORT_BINBYTES", Counted(1), PUSH),
        0x80 => ("PROTO", Fixed(1), Nothing),
        0x81 => ("NEWOBJ", NO, Call(2)),
        0x82 => ("EXT1", Fixed(1), Extension),
        0x83 => ("EXT2", Fixed(2), Extension),
        0x84 => ("EXT4", Fixed(4), Extension),
        0x85 => ("TUPLE1", NO, Stack(1, 1)),
        0x86 => ("TUPLE2", NO, Stack(2, 1)),
        0x87 => ("TUPLE3", NO, Stack(3, 1)),
        0x88 => ("NEWTRUE", NO, PUSH),
        0x89 => ("NEWFALSE", NO, PUSH),
        0x8a => ("LONG1", Counted(1), PUSH),
        0x8b => ("LONG4", Counted(4), PUSH),
        0x8c => ("SHORT_BINUNICODE", Counted(1), Text),
        0x8d => ("BINUNICODE8", Counted(8), Text),
        0x8e => ("BINBYTES8", Counted(8), PUSH),
        0x8f => ("EMPTY_SET", NO, PUSH),
        0x90 => ("ADDITEMS", NO, ToMark(1, 1)),
        0x91 => ("FROZENSET", NO, ToMark(0, 1)),
        0x92 => ("NEWOBJ_EX", NO, Call(3)),
        0x93 => ("STACK_GLOBAL", NO, StackGlobal),
        0x94 => ("MEMOIZE", NO, Put),
        0x95 => ("FRAME", Fixed(8), Nothing),
        0x96 => ("BYTEARRAY8", Counted(8), PUSH),
        0x97 => ("NEXT_BUFFER", NO, PUSH),
        0x98 => ("READONLY_BUFFER", NO, Stack(1, 1)),
        _ => return None,
    })
}
