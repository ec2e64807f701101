//! A vault as Microsoft describes it: keys with versions and attributes, and a
//! token service beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use obreia::crypto::{KeyKind, PrivateKey, Scheme};
use obreia::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use super::standin::{Answer, Call, Description, Server};

pub(crate) const HOST: &str = "acme.vault.azure.net";
pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const CLIENT: &str = "66666666-7777-8888-9999-000000000000";
pub(crate) const SECRET: &str = "entra-client-secret";
const TOKEN: &str = "entra-access-token";

/// What a test sets of a version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) private: Arc<PrivateKey>,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) operations: Vec<&'static str>,
    created: i64,
}

#[derive(Default)]
pub(crate) struct State {
    /// Oldest first.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    pub(crate) deleted: Vec<String>,
    /// What the client may not do: operations by name.
    pub(crate) forbidden: Vec<&'static str>,
    made: u32,
}

pub(crate) struct Vault {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

impl Vault {
    pub(crate) fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let description = Description::load("azure-key-vault-2025-07-01.json");
        let of = Arc::clone(&state);
        let server = Server::start(move |call| {
            if call.path.ends_with("/oauth2/v2.0/token") {
                return Ok(("token".to_owned(), token(call)?));
            }
            let asked = description.check(call)?;
            if call.header("authorization") != format!("Bearer {TOKEN}") {
                return Err("it has no token".to_owned());
            }
            let mut state = of.lock().unwrap();
            let answer = state.answer(&asked.operation, &asked.path, &asked.body);
            Ok((asked.operation, answer))
        });
        Self { server, state }
    }

    /// Makes a key, or a new version where there is one.
    pub(crate) fn make(&self, key: &str, kind: KeyKind) -> Version {
        self.state.lock().unwrap().make(key, private(kind))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Changes the newest version of a key.
    pub(crate) fn newest(&self, key: &str, change: impl FnOnce(&mut Version)) {
        let mut state = self.state.lock().unwrap();
        change(state.keys.get_mut(key).unwrap().last_mut().unwrap());
    }

    /// `[keys.azure]` for a configuration.
    pub(crate) fn settings(&self) -> String {
        let origin = &self.server.origin;
        format!("[keys.azure]\nendpoint = \"{origin}\"\nauthority = \"{origin}\"\n")
    }
}

/// RSA keys take their time to make: one is enough.
fn private(kind: KeyKind) -> Arc<PrivateKey> {
    static RSA: std::sync::OnceLock<Arc<PrivateKey>> = std::sync::OnceLock::new();
    match kind {
        KeyKind::Rsa { .. } => {
            Arc::clone(RSA.get_or_init(|| Arc::new(PrivateKey::generate(kind).unwrap())))
        }
        kind => Arc::new(PrivateKey::generate(kind).unwrap()),
    }
}

fn token(call: &Call) -> Result<Answer, String> {
    let form = call.form();
    let is = |name: &str, value: &str| form.get(name).is_some_and(|v| v == value);
    if call.path != format!("/{TENANT}/oauth2/v2.0/token") || !is("client_id", CLIENT) {
        return Err("another application".to_owned());
    }
    if !is("grant_type", "client_credentials") || !is("scope", "https://vault.azure.net/.default") {
        return Err(format!("not how a token is asked for: {:?}", form.keys()));
    }
    if !is("client_secret", SECRET) && !is("client_assertion", "a.federated.token") {
        let error = json!({
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided.",
            "error_codes": [7_000_215],
        });
        return Ok(Answer::Json(401, error));
    }
    let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN});
    Ok(Answer::Json(200, token))
}

/// An error as Key Vault has it.
pub(crate) fn error(status: u16, code: &str, inner: Option<&str>, message: &str) -> Answer {
    let mut error = json!({"code": code, "message": message});
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    Answer::Json(status, json!({ "error": error }))
}

impl State {
    fn make(&mut self, key: &str, private: Arc<PrivateKey>) -> Version {
        self.made += 1;
        let version = Version {
            name: format!("{:032x}", 0xabc_0000 + self.made),
            private,
            enabled: true,
            not_before: None,
            expires: None,
            operations: vec!["sign", "verify"],
            created: 1_790_000_000 + i64::from(self.made),
        };
        self.keys
            .entry(key.to_owned())
            .or_default()
            .push(version.clone());
        version
    }

    fn answer(&mut self, operation: &str, path: &BTreeMap<String, String>, body: &Value) -> Answer {
        if self.forbidden.contains(&operation) {
            let message = "Caller is not authorized to perform action on resource.";
            return error(403, "Forbidden", Some("ForbiddenByRbac"), message);
        }
        if operation == "GetKeys" {
            let newest = self.keys.iter().filter_map(|(name, versions)| {
                let attributes = attributes(versions.last()?);
                Some(
                    json!({"kid": format!("https://{HOST}/keys/{name}"), "attributes": attributes}),
                )
            });
            let list: Vec<Value> = newest.collect();
            return Answer::Json(200, json!({"value": list, "nextLink": null}));
        }
        let key = path["key-name"].clone();
        if operation == "GetDeletedKey" {
            return if self.deleted.contains(&key) {
                Answer::Json(
                    200,
                    json!({"recoveryId": format!("https://{HOST}/deletedkeys/{key}")}),
                )
            } else {
                missing(&key)
            };
        }
        if operation == "CreateKey" {
            let kind = match (body["crv"].as_str(), body["key_size"].as_u64()) {
                (Some("P-256"), _) => KeyKind::EcP256,
                (Some("P-384"), _) => KeyKind::EcP384,
                (Some("P-521"), _) => KeyKind::EcP521,
                _ => KeyKind::Rsa { bits: 2048 },
            };
            let version = self.make(&key, private(kind));
            return Answer::Json(200, bundle(&key, &version));
        }
        let Some(versions) = self.keys.get_mut(&key) else {
            return missing(&key);
        };
        match operation {
            "GetKeyVersions" => {
                let list: Vec<Value> = versions
                    .iter()
                    .map(|v| json!({"kid": kid(&key, v), "attributes": attributes(v)}))
                    .collect();
                return Answer::Json(200, json!({"value": list, "nextLink": null}));
            }
            "RotateKey" => {
                let kind = versions[0].private.public_key().kind();
                let version = self.make(&key, private(kind));
                return Answer::Json(200, bundle(&key, &version));
            }
            _ => {}
        }
        let asked = &path["key-version"];
        let found = if asked.is_empty() {
            versions.last_mut()
        } else {
            versions.iter_mut().find(|v| v.name == *asked)
        };
        let Some(version) = found else {
            return missing(&key);
        };
        match operation {
            "sign" => sign(&key, version, body),
            "UpdateKey" => {
                if let Some(enabled) = body["attributes"]["enabled"].as_bool() {
                    version.enabled = enabled;
                }
                Answer::Json(200, bundle(&key, version))
            }
            _ => Answer::Json(200, bundle(&key, version)),
        }
    }
}

fn missing(key: &str) -> Answer {
    let message = format!("A key with (name/id) {key} was not found in this key vault.");
    error(404, "KeyNotFound", None, &message)
}

fn sign(key: &str, version: &Version, body: &Value) -> Answer {
    let forbidden = |inner: &str, message: &str| error(403, "Forbidden", Some(inner), message);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = now.as_secs() as i64;
    if !version.enabled {
        return forbidden(
            "KeyDisabled",
            "Operation sign is not allowed on a disabled key.",
        );
    }
    if version.not_before.is_some_and(|at| now < at) || version.expires.is_some_and(|at| now >= at)
    {
        return forbidden(
            "KeyNotValid",
            "Operation sign is not allowed outside its validity.",
        );
    }
    if !version.operations.contains(&"sign") {
        return forbidden(
            "KeyOperationForbidden",
            "Operation sign is not permitted on this key.",
        );
    }
    let value = BASE64.decode(body["value"].as_str().unwrap()).unwrap();
    let (scheme, hash) = match body["alg"].as_str().unwrap() {
        "ES256" => (Scheme::EcdsaP256Sha256, Algorithm::Sha256),
        "ES384" => (Scheme::EcdsaP384Sha384, Algorithm::Sha384),
        "ES512" => (Scheme::EcdsaP521Sha512, Algorithm::Sha512),
        "RS256" => (Scheme::RsaPkcs1(Algorithm::Sha256), Algorithm::Sha256),
        "RS384" => (Scheme::RsaPkcs1(Algorithm::Sha384), Algorithm::Sha384),
        "RS512" => (Scheme::RsaPkcs1(Algorithm::Sha512), Algorithm::Sha512),
        "PS256" => (Scheme::RsaPss(Algorithm::Sha256), Algorithm::Sha256),
        "PS384" => (Scheme::RsaPss(Algorithm::Sha384), Algorithm::Sha384),
        "PS512" => (Scheme::RsaPss(Algorithm::Sha512), Algorithm::Sha512),
        other => {
            return error(
                400,
                "BadParameter",
                None,
                &format!("{other} is not supported"),
            );
        }
    };
    let kind = version.private.public_key().kind();
    let Ok(digest) = Digest::new(hash, &value) else {
        return error(400, "BadParameter", None, "Invalid length of value");
    };
    if !scheme.fits(kind) {
        return error(
            400,
            "BadParameter",
            None,
            "Key and signing algorithm are incompatible.",
        );
    }
    let signature = version.private.sign_digest(scheme, &digest).unwrap();
    let signature = match kind {
        KeyKind::EcP256 => raw(&signature, 32),
        KeyKind::EcP384 => raw(&signature, 48),
        KeyKind::EcP521 => raw(&signature, 66),
        _ => signature,
    };
    Answer::Json(
        200,
        json!({"kid": kid(key, version), "value": BASE64.encode(signature)}),
    )
}

/// DER's two integers, one after the other, each of that length.
pub(crate) fn raw(der: &[u8], length: usize) -> Vec<u8> {
    let mut rest = if der[1] & 0x80 == 0 {
        &der[2..]
    } else {
        &der[3..]
    };
    let mut raw = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.iter().take_while(|b| **b == 0).count()..];
        raw.extend(std::iter::repeat_n(0, length - number.len()));
        raw.extend_from_slice(number);
        rest = after;
    }
    raw
}

fn kid(key: &str, version: &Version) -> String {
    format!("https://{HOST}/keys/{key}/{}", version.name)
}

fn attributes(version: &Version) -> Value {
    let mut attributes = json!({
        "enabled": version.enabled,
        "created": version.created,
        "updated": version.created,
        "recoveryLevel": "Recoverable",
    });
    for (name, at) in [("nbf", version.not_before), ("exp", version.expires)] {
        if let Some(at) = at {
            attributes[name] = json!(at);
        }
    }
    attributes
}

fn bundle(key: &str, version: &Version) -> Value {
    let public = version.private.public_key();
    let der = public.spki_der();
    let mut jwk = json!({"kid": kid(key, version), "key_ops": version.operations});
    let ec = |jwk: &mut Value, curve: &str, length: usize| {
        let (x, y) = der[der.len() - 2 * length..].split_at(length);
        jwk["kty"] = json!("EC");
        jwk["crv"] = json!(curve);
        jwk["x"] = json!(BASE64.encode(x));
        jwk["y"] = json!(BASE64.encode(y));
    };
    match public.kind() {
        KeyKind::EcP256 => ec(&mut jwk, "P-256", 32),
        KeyKind::EcP384 => ec(&mut jwk, "P-384", 48),
        KeyKind::EcP521 => ec(&mut jwk, "P-521", 66),
        _ => {
            // … INTEGER n, INTEGER 65537 at the very end.
            let n = &der[der.len() - 5 - 256..der.len() - 5];
            jwk["kty"] = json!("RSA");
            jwk["n"] = json!(BASE64.encode(n));
            jwk["e"] = json!("AQAB");
        }
    }
    json!({"key": jwk, "attributes": attributes(version)})
}
