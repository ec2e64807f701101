//! DER, element by element. What is a set stays in the order in which it came,
//! and nothing is read that nobody asks for.

use der::asn1::ObjectIdentifier;
use der::{Decode, Error, ErrorKind, Header, Reader, SliceReader, Tag};

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    /// Tag, length and contents.
    pub(super) whole: &'a [u8],
    /// The contents alone.
    pub(super) body: &'a [u8],
}

/// Elements, one behind the other.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next one, which must be there and of that tag.
    pub(super) fn expect_tag(&mut self, tag: Tag) -> Result<Element<'a>, Error> {
        match self.next() {
            None => Err(ErrorKind::Failed.into()),
            Some(Err(error)) => Err(error),
            Some(Ok(element)) => element.tag.assert_eq(tag).map(|_| element),
        }
    }

    /// The next one, where it is of that tag.
    pub(super) fn maybe(&mut self, tag: Tag) -> Result<Option<Element<'a>>, Error> {
        let saved = self.rest;
        match self.next() {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(element)) if element.tag == tag => Ok(Some(element)),
            Some(Ok(_)) => {
                self.rest = saved;
                Ok(None)
            }
        }
    }

    /// The next one, of any tag.
    pub(super) fn any(&mut self) -> Result<Element<'a>, Error> {
        self.next().unwrap_or_else(|| Err(ErrorKind::Failed.into()))
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), Error> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(ErrorKind::Failed.into()),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = || -> Result<(Element<'a>, usize), Error> {
            let mut reader = SliceReader::new(self.rest)?;
            let header = Header::decode(&mut reader)?;
            let from = usize::try_from(reader.position())?;
            let body = reader.read_slice(header.length)?;
            let length = from + body.len();
            let element = Element {
                tag: header.tag,
                whole: &self.rest[..length],
                body,
            };
            Ok((element, length))
        };
        match read() {
            Ok((element, length)) => {
                self.rest = &self.rest[length..];
                Some(Ok(element))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

impl<'a> Element<'a> {
    /// What is inside.
    pub(super) const fn inside(&self) -> Elements<'a> {
        Elements::new(self.body)
    }

    /// As an object identifier.
    pub(super) fn oid(&self) -> Result<ObjectIdentifier, Error> {
        ObjectIdentifier::from_der(self.whole)
    }

    /// As the algorithm of an `AlgorithmIdentifier`; its parameters are for
    /// nobody here.
    pub(super) fn algorithm(&self) -> Result<ObjectIdentifier, Error> {
        self.tag.assert_eq(Tag::Sequence)?;
        self.inside().expect_tag(Tag::ObjectIdentifier)?.oid()
    }
}
