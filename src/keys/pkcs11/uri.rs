//! `pkcs11:` URIs (RFC 7512): which token, which object, which module.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::crypto::Scheme;
use crate::limits;

/// What a `pkcs11:` URI names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) token: TokenName,
    pub(super) object: ObjectName,
    pub(super) module: Option<ModuleName>,
    /// The file that holds the PIN.
    pub(super) pin_source: Option<PathBuf>,
    /// The scheme to sign under, an attribute of our own: RSA keys have several.
    pub(super) scheme: Option<Scheme>,
}

/// What is asked of a token, its slot and its library; what is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenName {
    pub(super) label: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) model: Option<String>,
    pub(super) library_description: Option<String>,
    pub(super) library_manufacturer: Option<String>,
    pub(super) library_version: Option<String>,
    pub(super) slot_description: Option<String>,
    pub(super) slot_manufacturer: Option<String>,
    pub(super) slot_id: Option<u64>,
}

/// What is asked of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectName {
    /// `CKA_LABEL`
    pub(super) label: Option<String>,
    /// `CKA_ID`
    pub(super) id: Option<Vec<u8>>,
    /// The class as the URI has it.
    pub(super) class: Option<Class>,
}

/// An object's class, as far as it can be a signing key or show one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Private,
    Public,
    Certificate,
}

/// How the module is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModuleName {
    /// A name in `[keys.pkcs11.modules]`.
    Configured(String),
    /// An absolute path.
    Path(PathBuf),
}

/// Why a text is not a `pkcs11:` URI that names a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriError {
    #[error("it does not begin with pkcs11:")]
    Scheme,
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0:?} is not an attribute with a value (RFC 7512: name=value, separated by ;)")]
    NoValue(String),
    #[error("attribute {0} has no value")]
    Empty(String),
    #[error("attribute {0} stands there twice")]
    Twice(String),
    #[error("attribute {0} is not known here, so the key cannot be told from others")]
    Unknown(String),
    #[error("{character:?} in attribute {attribute} must be percent-encoded, as {encoded}")]
    Character {
        attribute: String,
        character: char,
        encoded: String,
    },
    #[error("attribute {0} has a % that two hex digits do not follow")]
    Percent(String),
    #[error("attribute {0} is not UTF-8")]
    NotUtf8(String),
    #[error("slot-id {0:?} is not a number")]
    SlotId(String),
    #[error("type={0} is not a signing key: private, public and cert are read")]
    Class(String),
    #[error(
        "pin-value would show the PIN to everybody who sees the command line: name a file with pin-source=FILE, or set PKCS11_PIN"
    )]
    PinValue,
    #[error("pin-source names a program, and none is run: name a file")]
    PinProgram,
    #[error("{0} is not an absolute path")]
    Relative(&'static str),
    #[error("module-name and module-path exclude each other")]
    TwoModules,
    #[error("scheme={0} is not a signature scheme: rsa-pkcs1-sha256, rsa-pss-sha256, …")]
    SignatureScheme(String),
}

impl Uri {
    /// Reads `text`, strictly: what is not understood could be what tells one
    /// key from another.
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > limits::KEY_URI {
            return Err(UriError::TooLong(limits::KEY_URI));
        }
        let rest = text.strip_prefix("pkcs11:").ok_or(UriError::Scheme)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut uri = Self::default();
        let mut seen = Vec::new();
        for (name, value) in attributes(path, ';', "&", &mut seen)? {
            uri.path_attribute(name, &value)?;
        }
        for (name, value) in attributes(query.unwrap_or_default(), '&', "/?|", &mut seen)? {
            uri.query_attribute(name, &value)?;
        }
        Ok(uri)
    }

    fn path_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), UriError> {
        let text = || utf8(name, value).map(Some);
        let token = &mut self.token;
        match name {
            "token" => token.label = text()?,
            "manufacturer" => token.manufacturer = text()?,
            "serial" => token.serial = text()?,
            "model" => token.model = text()?,
            "library-description" => token.library_description = text()?,
            "library-manufacturer" => token.library_manufacturer = text()?,
            "library-version" => token.library_version = text()?,
            "slot-description" => token.slot_description = text()?,
            "slot-manufacturer" => token.slot_manufacturer = text()?,
            "slot-id" => {
                let number = utf8(name, value)?;
                let id = number.parse().map_err(|_| UriError::SlotId(number))?;
                token.slot_id = Some(id);
            }
            "object" => self.object.label = text()?,
            "id" => self.object.id = Some(value.to_owned()),
            "type" => {
                let class = utf8(name, value)?;
                self.object.class = Some(match class.as_str() {
                    "private" => Class::Private,
                    "public" => Class::Public,
                    "cert" => Class::Certificate,
                    _ => return Err(UriError::Class(class)),
                });
            }
            _ => return Err(UriError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    fn query_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), UriError> {
        let module = match name {
            "module-name" => ModuleName::Configured(utf8(name, value)?),
            "module-path" => ModuleName::Path(absolute("module-path", &utf8(name, value)?)?),
            "pin-source" => {
                let source = utf8(name, value)?;
                if source.starts_with('|') {
                    return Err(UriError::PinProgram);
                }
                self.pin_source = Some(absolute("pin-source", &source)?);
                return Ok(());
            }
            "pin-value" => return Err(UriError::PinValue),
            "scheme" => {
                let scheme = utf8(name, value)?;
                let known = Scheme::from_name(&scheme);
                self.scheme = Some(known.ok_or(UriError::SignatureScheme(scheme))?);
                return Ok(());
            }
            _ => return Err(UriError::Unknown(name.to_owned())),
        };
        if self.module.replace(module).is_some() {
            return Err(UriError::TwoModules);
        }
        Ok(())
    }

    /// One spelling for all that mean the same key, without where its PIN is.
    pub(super) fn canonical(&self) -> String {
        let mut out = String::from("pkcs11:");
        let mut separator = "";
        let mut add = |name: &str, value: Option<&[u8]>| {
            if let Some(value) = value {
                let _ = write!(out, "{separator}{name}=");
                // An id is bytes, and is written so that this can be seen.
                encode(&mut out, value, name == "id");
                separator = ";";
            }
        };
        let token = &self.token;
        for (name, value) in [
            ("token", &token.label),
            ("manufacturer", &token.manufacturer),
            ("serial", &token.serial),
            ("model", &token.model),
            ("library-description", &token.library_description),
            ("library-manufacturer", &token.library_manufacturer),
            ("library-version", &token.library_version),
            ("slot-description", &token.slot_description),
            ("slot-manufacturer", &token.slot_manufacturer),
        ] {
            add(name, value.as_deref().map(str::as_bytes));
        }
        let slot = token.slot_id.map(|id| id.to_string());
        add("slot-id", slot.as_deref().map(str::as_bytes));
        add("id", self.object.id.as_deref());
        add("object", self.object.label.as_deref().map(str::as_bytes));
        let mut separator = '?';
        let mut query = |name: &str, value: &str| {
            let _ = write!(out, "{separator}{name}=");
            encode(&mut out, value.as_bytes(), false);
            separator = '&';
        };
        match &self.module {
            Some(ModuleName::Configured(name)) => query("module-name", name),
            Some(ModuleName::Path(path)) => query("module-path", &path.to_string_lossy()),
            None => {}
        }
        if let Some(scheme) = self.scheme {
            query("scheme", &scheme.to_string());
        }
        out
    }

    /// What it says of the token, for messages.
    pub(super) fn token_shown(&self) -> String {
        let only_token = Self {
            token: self.token.clone(),
            ..Self::default()
        };
        only_token.canonical()
    }
}

/// The attributes of one part, decoded; `also` are characters that this part
/// allows beyond those of both.
fn attributes<'a>(
    part: &'a str,
    separator: char,
    also: &str,
    seen: &mut Vec<&'a str>,
) -> Result<Vec<(&'a str, Vec<u8>)>, UriError> {
    let mut found = Vec::new();
    if part.is_empty() {
        return Ok(found);
    }
    for attribute in part.split(separator) {
        let Some((name, value)) = attribute.split_once('=') else {
            // Without its value, should one follow a misspelt separator.
            let name: String = attribute.chars().take(64).collect();
            return Err(UriError::NoValue(name));
        };
        if seen.contains(&name) {
            return Err(UriError::Twice(name.to_owned()));
        }
        seen.push(name);
        if value.is_empty() {
            return Err(UriError::Empty(name.to_owned()));
        }
        found.push((name, decode(name, value, also)?));
    }
    Ok(found)
}

fn decode(name: &str, value: &str, also: &str) -> Result<Vec<u8>, UriError> {
    // A PIN is refused whatever it holds, and nothing of it is repeated.
    if name == "pin-value" {
        return Err(UriError::PinValue);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character == '%' {
            let mut digit = || characters.next().and_then(|c| c.to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
                _ => return Err(UriError::Percent(name.to_owned())),
            }
        } else if is_plain(character)
            || ":[]@!$'()*+,=".contains(character)
            || also.contains(character)
        {
            bytes.push(character as u8);
        } else {
            let mut encoded = String::new();
            encode(&mut encoded, character.to_string().as_bytes(), true);
            return Err(UriError::Character {
                attribute: name.to_owned(),
                character,
                encoded,
            });
        }
    }
    Ok(bytes)
}

/// RFC 3986, section 2.3: unreserved.
const fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')
}

fn encode(out: &mut String, bytes: &[u8], all: bool) {
    for &byte in bytes {
        if !all && is_plain(char::from(byte)) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn utf8(name: &str, value: &[u8]) -> Result<String, UriError> {
    String::from_utf8(value.to_owned()).map_err(|_| UriError::NotUtf8(name.to_owned()))
}

/// A path, or a `file:` URI of this machine.
fn absolute(name: &'static str, value: &str) -> Result<PathBuf, UriError> {
    let path = match value.strip_prefix("file:") {
        None => value,
        Some(path) => match path.strip_prefix("//") {
            None => path,
            // `file:///path`, `file://localhost/path`
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        },
    };
    if !path.starts_with('/') || path.contains('\0') {
        return Err(UriError::Relative(name));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7512, section 3.
        let uri = parse(
            "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91",
        );
        assert_eq!(
            uri.token.label.as_deref(),
            Some("Software PKCS#11 softtoken")
        );
        assert_eq!(uri.token.manufacturer.as_deref(), Some("Snake Oil, Inc."));
        assert_eq!(uri.object.class, Some(Class::Certificate));
        assert_eq!(uri.object.id.unwrap().len(), 8);
        let uri = parse(
            "pkcs11:slot-description=Sun%20Metaslot;slot-manufacturer=x;library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
        );
        assert_eq!(uri.token.slot_description.as_deref(), Some("Sun Metaslot"));
        assert_eq!(uri.token.library_version.as_deref(), Some("1.23"));
        assert_eq!(parse("pkcs11:"), Uri::default());
    }

    #[test]
    fn every_part_arrives() {
        let uri = parse(
            "pkcs11:token=The%20Software%20Token;serial=4d;model=v2;manufacturer=Snake%20Oil;slot-id=327;object=my%2Fkey;id=%00%C3%28;type=private?module-name=soft&pin-source=file:/run/pin&scheme=rsa-pss-sha256",
        );
        assert_eq!(uri.token.label.as_deref(), Some("The Software Token"));
        assert_eq!(uri.token.serial.as_deref(), Some("4d"));
        assert_eq!(uri.token.model.as_deref(), Some("v2"));
        assert_eq!(uri.token.manufacturer.as_deref(), Some("Snake Oil"));
        assert_eq!(uri.token.slot_id, Some(327));
        assert_eq!(uri.object.label.as_deref(), Some("my/key"));
        assert_eq!(uri.object.id.as_deref(), Some(&[0, 0xc3, 0x28][..]));
        assert_eq!(uri.object.class, Some(Class::Private));
        assert_eq!(uri.module, Some(ModuleName::Configured("soft".to_owned())));
        assert_eq!(uri.pin_source, Some(PathBuf::from("/run/pin")));
        assert_eq!(uri.scheme.unwrap().to_string(), "rsa-pss-sha256");
    }

    #[test]
    fn two_spellings_of_a_key_are_one_and_the_pin_is_left_out() {
        let one = parse("pkcs11:object=k;token=a%2db?pin-source=/x&module-path=/usr/lib/m.so");
        let two = parse("pkcs11:token=a-b;object=%6B?module-path=/usr/lib/m.so");
        assert_eq!(one.canonical(), two.canonical());
        assert_eq!(
            one.canonical(),
            "pkcs11:token=a-b;object=k?module-path=%2Fusr%2Flib%2Fm.so"
        );
    }

    #[test]
    fn file_uris_of_this_machine_are_paths() {
        for source in [
            "/run/pin",
            "file:/run/pin",
            "file:///run/pin",
            "file://localhost/run/pin",
        ] {
            let uri = parse(&format!("pkcs11:token=a?pin-source={source}"));
            assert_eq!(uri.pin_source, Some(PathBuf::from("/run/pin")), "{source}");
        }
    }

    #[test]
    fn refusals() {
        for (text, says) in [
            ("token=a", "does not begin with"),
            ("pkcs11:token", "not an attribute with a value"),
            ("pkcs11:token=a;", "not an attribute with a value"),
            ("pkcs11:token=", "token has no value"),
            ("pkcs11:token=a;token=b", "token stands there twice"),
            ("pkcs11:token=a;objekt=b", "objekt is not known"),
            (
                "pkcs11:token=a;object=my key",
                "' ' in attribute object must be percent-encoded, as %20",
            ),
            ("pkcs11:token=ä", "as %C3%A4"),
            ("pkcs11:token=a/b", "as %2F"),
            ("pkcs11:token=%4", "two hex digits"),
            ("pkcs11:token=%zz", "two hex digits"),
            ("pkcs11:token=%ff", "token is not UTF-8"),
            ("pkcs11:slot-id=-1", "slot-id \"-1\" is not a number"),
            ("pkcs11:slot-id=99999999999999999999", "not a number"),
            ("pkcs11:type=secret-key", "is not a signing key"),
            ("pkcs11:token=a?pin-source=|/bin/cat", "names a program"),
            (
                "pkcs11:token=a?pin-source=pin",
                "pin-source is not an absolute path",
            ),
            (
                "pkcs11:token=a?pin-source=file://other/pin",
                "pin-source is not an absolute path",
            ),
            (
                "pkcs11:token=a?module-path=m.so",
                "module-path is not an absolute path",
            ),
            (
                "pkcs11:token=a?module-path=/a&module-name=b",
                "exclude each other",
            ),
            ("pkcs11:token=a?version=1", "version is not known"),
            ("pkcs11:token=a?token=b", "twice"),
            ("pkcs11:token=a?scheme=rsa", "not a signature scheme"),
        ] {
            let error = Uri::parse(text)
                .err()
                .unwrap_or_else(|| panic!("{text} was read"));
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
        let long = format!("pkcs11:token={}", "a".repeat(limits::KEY_URI));
        assert_eq!(Uri::parse(&long), Err(UriError::TooLong(limits::KEY_URI)));
    }

    #[test]
    fn a_pin_in_the_uri_is_refused_and_not_repeated() {
        for text in [
            "pkcs11:token=a?pin-value=1234",
            "pkcs11:token=a?pin-value=12 34",
            "pkcs11:token=a;pin-value=1234",
        ] {
            let error = Uri::parse(text).unwrap_err();
            assert_eq!(error, UriError::PinValue, "{text}");
            assert!(error.to_string().contains("pin-source"));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_stays_the_same(text in "pkcs11:[a-z=;?&%0-9 -]{0,60}") {
            if let Ok(uri) = Uri::parse(&text) {
                let again = Uri::parse(&uri.canonical()).unwrap();
                proptest::prop_assert_eq!(again.canonical(), uri.canonical());
            }
        }

        #[test]
        fn any_label_and_id_survive(label in "\\PC{1,40}", id: Vec<u8>) {
            let uri = Uri {
                object: ObjectName { label: Some(label), id: (!id.is_empty()).then_some(id), class: None },
                ..Uri::default()
            };
            proptest::prop_assert_eq!(Uri::parse(&uri.canonical()).unwrap(), uri);
        }
    }
}
