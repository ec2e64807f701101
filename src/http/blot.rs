//! What a server repeats of the credentials that it was sent is taken out of
//! its answer before anybody reads it: whoever quotes the answer, in a message
//! or because it cannot be parsed, has nothing to quote.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Request;
use crate::secret::Secret;

/// Headers that hold a credential.
const HEADERS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "x-amz-security-token",
    "x-vault-token",
];
/// Fields of forms that do.
const FIELDS: [&str; 7] = [
    "assertion",
    "client_assertion",
    "client_secret",
    "password",
    "refresh_token",
    "subject_token",
    "WebIdentityToken",
];
/// What is shorter stands in answers by chance.
const SHORTEST: usize = 6;

/// `bytes` without those secrets.
pub fn blot(bytes: Vec<u8>, secrets: &[&Secret]) -> Vec<u8> {
    let mut bytes = bytes;
    for secret in secrets {
        let secret = secret.expose();
        if secret.len() < SHORTEST {
            continue;
        }
        let found: Vec<usize> = memchr::memmem::find_iter(&bytes, secret).collect();
        for at in found.into_iter().rev() {
            bytes.splice(at..at + secret.len(), "…".bytes());
        }
    }
    bytes
}

/// The password in what goes after `Basic `.
fn password(encoded: &[u8]) -> Option<Secret> {
    let pair = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(Secret::new(pair[colon + 1..].to_vec()))
}

/// The answer to `request`, without what the request proved itself with.
pub(super) fn repeated(request: &Request<'_>, status: u16, body: Vec<u8>) -> Vec<u8> {
    let mut secrets = Vec::new();
    for (name, value) in request.headers {
        if HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let value = value.expose();
            let bare = [&b"Bearer "[..], b"Basic "]
                .iter()
                .find_map(|scheme| value.strip_prefix(*scheme));
            // Only where it is no content: a password can be a word like others.
            if status >= 400 {
                secrets.extend(value.strip_prefix(b"Basic ").and_then(password));
            }
            secrets.push(Secret::new(bare.unwrap_or(value).to_vec()));
        }
    }
    if let Some(("application/x-www-form-urlencoded", form)) = &request.body {
        for pair in form.split(|byte| *byte == b'&') {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            if FIELDS.iter().any(|known| known.as_bytes() == name) {
                secrets.push(Secret::new(value.to_vec()));
                secrets.push(Secret::new(decoded(value)));
            }
        }
    }
    let secrets: Vec<&Secret> = secrets.iter().collect();
    blot(body, &secrets)
}

/// As forms are encoded (WHATWG URL, section 5.1).
fn decoded(value: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let pair = (hex(value.get(at + 1)), hex(value.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn answered(headers: &[(&str, &str)], form: Option<&str>, body: &str) -> String {
        said(400, headers, form, body)
    }

    fn said(status: u16, headers: &[(&str, &str)], form: Option<&str>, body: &str) -> String {
        let secrets: Vec<Secret> = headers
            .iter()
            .map(|(_, value)| Secret::from((*value).to_owned()))
            .collect();
        let names = headers.iter().map(|(name, _)| *name);
        let headers: Vec<(&str, &Secret)> = names.zip(&secrets).collect();
        let request = Request {
            method: Method::Post,
            url: "https://h/",
            headers: &headers,
            body: form.map(|form| {
                let kind = "application/x-www-form-urlencoded";
                (kind, form.as_bytes().to_vec().into())
            }),
            repeatable: false,
            deadline: std::time::Duration::from_secs(1),
            limit: 1,
        };
        String::from_utf8(repeated(&request, status, body.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn credentials_are_taken_out_wherever_they_stand() {
        let token = [("X-Vault-Token", "hvs.abc+/d")];
        let told = answered(&token, None, "got hvs.abc+/d, hvs.abc+/d and hvs.abc");
        assert_eq!(told, "got …, … and hvs.abc");
        let bearer = [("authorization", "Bearer abcdef")];
        assert_eq!(answered(&bearer, None, "abcdef Bearer"), "… Bearer");
        // `me:hunter2`
        let basic = [("authorization", "Basic bWU6aHVudGVyMg==")];
        let body = "bWU6aHVudGVyMg== or hunter2";
        assert_eq!(answered(&basic, None, body), "… or …");
        assert_eq!(said(200, &basic, None, body), "… or hunter2");
        let form = "grant_type=x&client_secret=a%2Bb%20c+d&scope=y";
        assert_eq!(
            answered(&[], Some(form), "a+b c d, a%2Bb%20c+d, scope"),
            "…, …, scope"
        );
    }

    #[test]
    fn what_is_no_credential_stays() {
        let headers = [("x-vault-request", "true"), ("accept", "application/json")];
        let body = "{\"renewable\": true, \"kind\": \"application/json\"}";
        assert_eq!(answered(&headers, None, body), body);
        // Too short to be told from anything else.
        assert_eq!(
            answered(&[("authorization", "Bearer a")], None, "banana"),
            "banana"
        );
        assert_eq!(
            answered(&[], Some("grant_type=abcdef&x"), "abcdef"),
            "abcdef"
        );
        assert_eq!(answered(&[], Some("password=%zz%4"), "%zz%4"), "%zz%4");
    }
}
