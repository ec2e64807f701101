//! Protocol buffers, walked by hand: fields and their places, nothing is copied.

use super::content::{Flaw, Window, malformed};
use super::facts::printable_bytes;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    /// Where it lies; 32 or 64 bits.
    Fixed,
    /// A message, text, bytes or packed numbers.
    Bytes(Span),
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) fn of(window: &Window<'_>) -> Self {
        Self {
            at: 0,
            end: window.len(),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.at >= self.end
    }

    /// The next field; `None` at the end.
    pub(super) fn next(&mut self, window: &mut Window<'_>) -> Result<Option<(u64, Value)>, Flaw> {
        if self.is_empty() {
            return Ok(None);
        }
        let tag = self.varint(window)?;
        let number = tag >> 3;
        if number == 0 || number > 0x1fff_ffff {
            return malformed("a protobuf field without a number");
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint(window)?),
            1 => self.skip(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint(window)?;
                Value::Bytes(self.skip(len)?)
            }
            5 => self.skip(4).map(|_| Value::Fixed)?,
            other => return malformed(format!("protobuf wire type {other}")),
        };
        Ok(Some((number, value)))
    }

    /// A number of up to ten bytes.
    pub(super) fn varint(&mut self, window: &mut Window<'_>) -> Result<u64, Flaw> {
        let there = (self.end - self.at).min(10) as usize;
        let bytes = window.upto(self.at, there)?;
        let mut value = 0u64;
        for (i, byte) in bytes.iter().enumerate() {
            value |= u64::from(byte & 0x7f)
                .checked_shl(7 * i as u32)
                .unwrap_or(0);
            if byte & 0x80 == 0 {
                self.at += i as u64 + 1;
                return Ok(value);
            }
        }
        malformed("a protobuf number is cut off")
    }

    fn skip(&mut self, len: u64) -> Result<Self, Flaw> {
        let start = self.at;
        match start.checked_add(len) {
            Some(end) if end <= self.end => {
                self.at = end;
                Ok(Self { at: start, end })
            }
            _ => malformed("a protobuf field is longer than its message"),
        }
    }

    /// Its beginning, as text for people.
    pub(super) fn text(self, window: &mut Window<'_>) -> Result<String, Flaw> {
        let len = (self.end - self.at).min(2048) as usize;
        Ok(printable_bytes(window.upto(self.at, len)?))
    }

    /// Whether every field of it can be read and none has a number above `highest`.
    pub(super) fn holds(mut self, window: &mut Window<'_>, highest: u64) -> Result<bool, Flaw> {
        loop {
            match self.next(window) {
                Ok(None) => return Ok(true),
                Ok(Some((number, _))) if number <= highest => {}
                Ok(Some(_)) | Err(Flaw::Malformed(_)) => return Ok(false),
                Err(flaw) => return Err(flaw),
            }
        }
    }
}
