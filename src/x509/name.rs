//! Distinguished names, and patterns for them.

use std::fmt;

use der::asn1::{Any, ObjectIdentifier};
use der::{Encode, Tag, Tagged};

/// The attributes that have short names here (RFC 4514 and 4519; the last two
/// are customary).
const SHORT: [(&str, ObjectIdentifier); 12] = [
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("SERIALNUMBER", ObjectIdentifier::new_unwrap("2.5.4.5")),
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    (
        "UID",
        ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1"),
    ),
    (
        "DC",
        ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"),
    ),
    (
        "EMAILADDRESS",
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1"),
    ),
];
/// What every pattern must name (Notary Project, "Trusted Identities Constraints").
const NEEDED: [&str; 3] = ["C", "ST", "O"];
/// What must be escaped inside a value.
const SPECIAL: &str = "\\,;+\"<>#= ";

/// A distinguished name as a certificate bears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    der: Vec<u8>,
    /// In the certificate's order; `None` where a value is no text.
    attributes: Vec<(ObjectIdentifier, Option<String>)>,
}

impl Name {
    pub(super) fn read(name: &x509_cert::name::Name) -> Result<Self, der::Error> {
        let attributes = name.0.iter().flat_map(|rdn| rdn.0.iter());
        Ok(Self {
            der: name.to_der()?,
            attributes: attributes
                .map(|attribute| (attribute.oid, text(&attribute.value)))
                .collect(),
        })
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The only value of an attribute; `None` where there are several, or none,
    /// or one that is no text.
    fn only(&self, wanted: ObjectIdentifier) -> Option<&str> {
        let mut values = self.attributes.iter().filter(|(oid, _)| *oid == wanted);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => value.as_deref(),
            _ => None,
        }
    }
}

/// As patterns are written: `C=US, ST=WA, O=acme, CN=builder`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (oid, value)) in self.attributes.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            pair(f, *oid, value.as_deref().unwrap_or("(no text)"))?;
        }
        Ok(())
    }
}

fn pair(f: &mut fmt::Formatter<'_>, oid: ObjectIdentifier, value: &str) -> fmt::Result {
    match SHORT.iter().find(|(_, known)| *known == oid) {
        Some((short, _)) => write!(f, "{short}=")?,
        None => write!(f, "{oid}=")?,
    }
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        let edge = i == 0 || i == last;
        let escaped = match c {
            ' ' => edge,
            '#' => i == 0,
            '=' => false,
            _ => SPECIAL.contains(c),
        };
        if escaped {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    Ok(())
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(value.value().to_vec()).ok(),
        // In use for Latin-1, whatever T.61 says.
        Tag::TeletexString => Some(value.value().iter().map(|b| char::from(*b)).collect()),
        Tag::BmpString => {
            let (units, rest) = value.value().as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|u| u16::from_be_bytes(*u)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// Which subjects count: Notation's trusted identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectPattern {
    /// Whoever the trusted certificates vouch for.
    Any,
    /// Who has each of these attributes, once, with this very value; further
    /// ones do not matter.
    With(Vec<(ObjectIdentifier, String)>),
}

impl SubjectPattern {
    /// Reads `*`, or `C=US, ST=WA, O=acme, …` with `x509.subject:` before it or
    /// without.
    ///
    /// As Notation has it: `C`, `ST` and `O` must be named; no attribute twice;
    /// a backslash before `,` `;` `\` and a space at either end of a value, or
    /// before two hexadecimal digits.
    ///
    /// # Errors
    /// `SubjectError`, with the part that is wrong.
    pub fn parse(pattern: &str) -> Result<Self, SubjectError> {
        let pattern = pattern.trim_start();
        if pattern.trim_end() == "*" {
            return Ok(Self::Any);
        }
        let pattern = pattern.strip_prefix("x509.subject:").unwrap_or(pattern);
        let mut found: Vec<(ObjectIdentifier, String)> = Vec::new();
        for part in split(pattern) {
            let wrong = |why| SubjectError::Part(part.chars().take(128).collect(), why);
            let (kind, value) = part.split_once('=').ok_or_else(|| wrong("no ="))?;
            let kind = kind.trim();
            let upper = match kind.to_ascii_uppercase() {
                short if short == "S" => "ST".to_owned(),
                other => other,
            };
            let oid = match SHORT.iter().find(|(short, _)| *short == upper) {
                Some((_, oid)) => *oid,
                None => kind
                    .parse()
                    .map_err(|_| wrong("no attribute of that name is known"))?,
            };
            let value = unescape(value).map_err(wrong)?;
            if value.is_empty() {
                return Err(wrong("the value is empty"));
            }
            if found.iter().any(|(known, _)| *known == oid) {
                return Err(wrong("the attribute stands there twice"));
            }
            found.push((oid, value));
        }
        for needed in NEEDED {
            let named = |oid: &ObjectIdentifier| {
                SHORT
                    .iter()
                    .any(|(short, known)| short == &needed && known == oid)
            };
            if !found.iter().any(|(oid, _)| named(oid)) {
                return Err(SubjectError::Lacks(needed));
            }
        }
        found.sort();
        Ok(Self::With(found))
    }

    /// Whether a certificate of that subject counts.
    pub fn matches(&self, subject: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::With(wanted) => wanted
                .iter()
                .all(|(oid, value)| subject.only(*oid) == Some(value)),
        }
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self {
            Self::Any => return f.write_str("*"),
            Self::With(wanted) => wanted,
        };
        for (i, (oid, value)) in wanted.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            pair(f, *oid, value)?;
        }
        Ok(())
    }
}

/// Cut at every comma and semicolon that is not escaped.
fn split(pattern: &str) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in pattern.char_indices() {
        if c == ',' && !escaped {
            parts.push(&pattern[from..at]);
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&pattern[from..]);
    parts
}

/// A value without its escapes and without the spaces around it.
fn unescape(value: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(value.len());
    // As far as what is there must stay, an escaped space included.
    let mut kept = 0;
    let mut rest = value.trim_start_matches(' ').chars().peekable();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => {
                let next = rest.next().ok_or("it ends with a backslash")?;
                if !SPECIAL.contains(next) {
                    let low = rest.next().and_then(|c| c.to_digit(16));
                    let (Some(high), Some(low)) = (next.to_digit(16), low) else {
                        return Err(
                            "a backslash stands before something else than , ; \\ or a space",
                        );
                    };
                    bytes.push((high * 16 + low) as u8);
                    kept = bytes.len();
                    continue;
                }
                kept = bytes.len() + 1;
                next
            }
            '+' => return Err("one part has several attributes"),
            ';' | '"' | '<' | '>' => return Err("a special character is not escaped"),
            c => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c != ' ' {
            kept = bytes.len();
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 without its escapes")
}

/// Why a text is no pattern for subjects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// One part of it is wrong.
    #[error("{0:?}: {1}; a subject is written C=US, ST=WA, O=acme, CN=builder, or * for any")]
    Part(String, &'static str),
    /// It must name this attribute.
    #[error("it names no {0}: C, ST and O must be named, or * for any subject")]
    Lacks(&'static str),
}
