/// One way in that a 401 names (RFC 9110, section 11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password.
    Basic,
    /// A token.
    Bearer {
        /// Who gives them out.
        realm: String,
        /// For whom.
        service: Option<String>,
    },
}

/// Reads a `WWW-Authenticate`; schemes that are not known are passed over.
pub fn challenges(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let (scheme, after) = rest
            .split_once(|c: char| c.is_whitespace())
            .unwrap_or((rest, ""));
        let (parameters, after) = parameters(after);
        rest = after;
        let value = |wanted: &str| {
            parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.clone())
        };
        if scheme.trim_end_matches(',').eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = value("realm")
        {
            found.push(Challenge::Bearer {
                realm,
                service: value("service"),
            });
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// `name="value", …` up to the next scheme, and what follows.
fn parameters(text: &str) -> (Parameters, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let Some((name, after)) = rest.split_once('=') else {
            // A scheme without parameters, or nothing.
            return (found, rest);
        };
        if name.contains([' ', '\t', ',']) {
            return (found, rest);
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find([',', ' ', '\t']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn what_registries_say() {
        for (header, expected) in [
            ("Basic realm=\"x\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                "Bearer realm=\"https://a/token\",service=\"r\",scope=\"repository:x:pull,push\"",
                vec![bearer("https://a/token", Some("r"))],
            ),
            (
                "Bearer realm=https://a/token",
                vec![bearer("https://a/token", None)],
            ),
            (
                "Negotiate, Basic realm=\"a, b\", Bearer realm=\"https://a\\\"b\"",
                vec![Challenge::Basic, bearer("https://a\"b", None)],
            ),
            ("Bearer service=\"no realm\"", vec![]),
            ("", vec![]),
            (
                "Bearer realm=\"never ends",
                vec![bearer("never ends", None)],
            ),
        ] {
            assert_eq!(challenges(header), expected, "{header}");
        }
    }
}
