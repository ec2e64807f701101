//! A server of tokens, as Docker's specification has it, whose tokens the
//! CNCF's registry believes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::between::{Between, Call, Said};
use super::server::Setup;
use crate::harness::{Scratch, peer};

/// Whom it gives tokens to.
pub(super) const NAME: &str = "me";
pub(super) const PASSWORD: &str = "a-password-of-the-registry";
/// What others are got for.
pub(super) const REFRESH: &str = "a-refresh-token-of-the-registry";
const SERVICE: &str = "the-registry";

/// What it does wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrong {
    /// Tokens for somebody else.
    pub(super) audience: Option<&'static str>,
    /// Tokens that allow nothing but reading.
    pub(super) reads_only: bool,
    /// Tokens that ended long ago.
    pub(super) expired: bool,
    /// Tokens of another issuer's key.
    pub(super) forged: bool,
}

#[derive(Default)]
struct State {
    wrong: Wrong,
    /// The scopes that were asked for, one entry per token.
    asked: Vec<String>,
    /// The tokens that were given out.
    given: Vec<String>,
}

pub(super) struct Tokens {
    pub(super) front: Between,
    state: Arc<Mutex<State>>,
    certificate: PathBuf,
}

impl Tokens {
    /// With a key of its own; `None` where there is no OpenSSL.
    pub(super) fn start(scratch: &Scratch) -> Option<Self> {
        let openssl = peer("openssl")?;
        for name in ["issuer", "stranger"] {
            let request = format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            );
            let made = scratch.obreia().program(&openssl);
            made.args(request.split(' ')).run().ok();
        }
        let state: Arc<Mutex<State>> = Arc::default();
        let (own, place) = (Arc::clone(&state), scratch.clone());
        let front = Between::before(move |call| {
            let mut state = own.lock().unwrap();
            Some(answer(&place, &mut state, call))
        });
        Some(Self {
            front,
            state,
            certificate: scratch.join("issuer.pem"),
        })
    }

    /// A registry's configuration that believes it.
    pub(super) fn setup(&self) -> Setup {
        let auth = format!(
            "auth:\n  token:\n    realm: {}/token\n    service: {SERVICE}\n    issuer: issuer\n    rootcertbundle: {}\n",
            self.front.address(),
            self.certificate.display()
        );
        Setup {
            auth,
            ..Setup::default()
        }
    }

    pub(super) fn wrong(&self, wrong: Wrong) {
        self.state.lock().unwrap().wrong = wrong;
    }

    /// What was asked for since the last time this was asked.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// Every token that was given out.
    pub(super) fn given(&self) -> Vec<String> {
        self.state.lock().unwrap().given.clone()
    }

    /// The words with which the registry asks for a token.
    pub(super) fn challenge(&self) -> &'static str {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"{}/token\",service=\"{SERVICE}\",error=\"invalid_token\"",
            self.front.address()
        );
        Box::leak(challenge.into_boxed_str())
    }
}

fn answer(scratch: &Scratch, state: &mut State, call: &Call) -> Said {
    let query = call.target.split_once('?').map_or("", |(_, query)| query);
    let form = match call.method.as_str() {
        "POST" => String::from_utf8_lossy(&call.body).into_owned(),
        _ => query.to_owned(),
    };
    let url = reqwest::Url::parse(&format!("form:x?{form}")).unwrap();
    let value = |wanted: &str| {
        let mut pairs = url.query_pairs();
        pairs
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("{NAME}:{PASSWORD}")));
    let known = match call.method.as_str() {
        "POST" => {
            value("grant_type").as_deref() == Some("refresh_token")
                && value("refresh_token").as_deref() == Some(REFRESH)
        }
        _ => call.header("authorization") == Some(&basic),
    };
    if !known || value("service").as_deref() != Some(SERVICE) {
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]});
        return Said::new(401, body.to_string());
    }
    let scopes: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| value.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    state.asked.push(scopes.join(" "));
    let token = token(scratch, &state.wrong, &scopes);
    state.given.push(token.clone());
    Said::new(200, json!({"token": token, "expires_in": 300}).to_string())
}

/// A JSON Web Token in the form that the registry believes.
fn token(scratch: &Scratch, wrong: &Wrong, scopes: &[String]) -> String {
    let access: Vec<Value> = scopes
        .iter()
        .map(|scope| {
            let parts: Vec<&str> = scope.split(':').collect();
            let actions = parts[2]
                .split(',')
                .filter(|a| !wrong.reads_only || *a == "pull");
            json!({"type": parts[0], "name": parts[1], "actions": actions.collect::<Vec<_>>()})
        })
        .collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let shift = if wrong.expired { 100_000 } else { 0 };
    let claims = json!({"iss": "issuer", "sub": NAME, "aud": wrong.audience.unwrap_or(SERVICE),
        "exp": now - shift + 600, "nbf": now - shift - 600, "iat": now - shift,
        "jti": format!("{now}-{}", fastrand::u64(..)), "access": access});
    let signer = if wrong.forged { "stranger" } else { "issuer" };
    let pem = scratch.read_text(format!("{signer}.pem"));
    let der: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let openssl = peer("openssl").unwrap();
    let key = format!("{signer}.key");
    let command = scratch.obreia().program(openssl);
    let out = command
        .args(["dgst", "-sha256", "-sign", &key])
        .stdin(&signed)
        .run();
    let signature = URL_SAFE_NO_PAD.encode(&out.ok().stdout_bytes);
    format!("{signed}.{signature}")
}
