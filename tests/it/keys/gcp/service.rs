//! Cloud KMS as Google describes it: keys with versions and states, and the
//! services beside it that give tokens. What is refused with which code is as in
//! the contract tests that Google's own fake of it (`fakekms`) passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use obreia::crypto::{KeyKind, PrivateKey, PublicKey, Scheme};
use obreia::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use super::standin::{Answer, Call, Description, Server};

pub(crate) const RING: &str = "projects/acme/locations/europe-west3/keyRings/release";
pub(crate) const EMAIL: &str = "signer@acme.iam.gserviceaccount.com";
pub(crate) const REFRESH: &str = "user-refresh-token";
pub(crate) const FEDERATED: &str = "a.federated.token";
const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x";
pub(crate) const TOKEN: &str = "google-access-token";

/// What a test sets of a version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) private: Arc<PrivateKey>,
    pub(crate) algorithm: &'static str,
    pub(crate) state: &'static str,
    /// Whether its material was made elsewhere.
    pub(crate) imported: bool,
}

#[derive(Default)]
pub(crate) struct State {
    /// By resource name; versions oldest first.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    /// What the client may not do: operations by name.
    pub(crate) forbidden: Vec<&'static str>,
}

pub(crate) struct Service {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let description = Description::load("google-cloud-kms-v1.json");
        let of = Arc::clone(&state);
        let server = Server::start(move |call| {
            if let Some(answer) = token(call) {
                return Ok(answer);
            }
            let asked = description.check(call)?;
            let operation = match asked.operation.as_str() {
                "cryptoKeys.create" => "createKey",
                "cryptoKeys.list" => "listKeys",
                other => other.rsplit('.').next().unwrap(),
            };
            let resource = call.path.trim_start_matches("/v1/");
            let answer = match is_logged_in(call)? {
                Err(why) => error(401, "UNAUTHENTICATED", &why),
                Ok(()) => {
                    let mut state = of.lock().unwrap();
                    state.answer(operation, resource, call, &asked.body)
                }
            };
            Ok((operation.to_owned(), answer))
        });
        Self { server, state }
    }

    /// Makes a key, or a new version where there is one; its URI.
    pub(crate) fn make(&self, key: &str, algorithm: &'static str) -> String {
        let resource = format!("{RING}/cryptoKeys/{key}");
        let uri = format!("gcpkms://{resource}");
        self.state
            .lock()
            .unwrap()
            .make(&resource, algorithm, "ENABLED");
        uri
    }

    /// The public key of a key's newest version.
    pub(crate) fn public_key(&self, key: &str) -> PublicKey {
        let state = self.state.lock().unwrap();
        let versions = &state.keys[&format!("{RING}/cryptoKeys/{key}")];
        versions.last().unwrap().private.public_key().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Changes the newest version of a key.
    pub(crate) fn newest(&self, key: &str, change: impl FnOnce(&mut Version)) {
        let mut state = self.state.lock().unwrap();
        let versions = state.keys.get_mut(&format!("{RING}/cryptoKeys/{key}"));
        change(versions.unwrap().last_mut().unwrap());
    }

    /// `[keys.gcp]` for a configuration.
    pub(crate) fn settings(&self) -> String {
        format!("[keys.gcp]\nendpoint = \"{}\"\n", self.server.origin)
    }

    /// The file that a service account's key comes in.
    pub(crate) fn service_account(&self) -> String {
        self.account_with(account())
    }

    /// The same with a key that Google does not know of.
    pub(crate) fn stolen_name(&self) -> String {
        self.account_with(&PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap())
    }

    fn account_with(&self, key: &PrivateKey) -> String {
        let der = key.to_pkcs8_der().unwrap();
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for line in STANDARD.encode(der.expose()).as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).unwrap());
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        json!({
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "k1",
            "private_key": pem,
            "client_email": EMAIL,
            "token_uri": format!("{}/token", self.server.origin),
        })
        .to_string()
    }

    /// The file that `gcloud auth application-default login` leaves.
    pub(crate) fn user(&self) -> String {
        json!({
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": REFRESH,
            "token_uri": format!("{}/token", self.server.origin),
        })
        .to_string()
    }
}

impl Service {
    /// The file of an identity that another issuer vouches for, as CI services
    /// and Kubernetes have it; its token is in that file.
    pub(crate) fn federated(&self, token: &std::path::Path) -> String {
        json!({
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}/token", self.server.origin),
            "credential_source": {"file": token},
        })
        .to_string()
    }
}

/// RSA keys take their time to make: one is enough for all.
fn account() -> &'static Arc<PrivateKey> {
    static RSA: OnceLock<Arc<PrivateKey>> = OnceLock::new();
    RSA.get_or_init(|| Arc::new(PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap()))
}

fn private(algorithm: &str) -> Arc<PrivateKey> {
    let kind = match algorithm {
        "EC_SIGN_P384_SHA384" => KeyKind::EcP384,
        "EC_SIGN_ED25519" => KeyKind::Ed25519,
        name if name.starts_with("RSA_") => return Arc::clone(account()),
        _ => KeyKind::EcP256,
    };
    Arc::new(PrivateKey::generate(kind).unwrap())
}

/// The numbers of the enumerations, from Google's protocol buffers: it answers
/// with them to those who ask for `enum-encoding=int`.
fn number_of(name: &str) -> i64 {
    NUMBERS.iter().find(|(n, _)| *n == name).unwrap().1
}

/// The name of an enumeration's value, in the group of that first word.
pub(crate) fn name_of(value: &Value) -> &'static str {
    let is = |(name, number): &&(&'static str, i64)| {
        name.contains("_SIGN_") && (*value == *number || *value == *name)
    };
    NUMBERS.iter().find(is).unwrap().0
}

const NUMBERS: [(&str, i64); 18] = [
    ("GENERATION_FAILED", 8),
    ("ENABLED", 1),
    ("DISABLED", 2),
    ("DESTROYED", 3),
    ("DESTROY_SCHEDULED", 4),
    ("PENDING_GENERATION", 5),
    ("GOOGLE_SYMMETRIC_ENCRYPTION", 1),
    ("RSA_SIGN_PSS_2048_SHA256", 2),
    ("RSA_SIGN_PKCS1_2048_SHA256", 5),
    ("RSA_DECRYPT_OAEP_2048_SHA256", 8),
    ("EC_SIGN_P256_SHA256", 12),
    ("EC_SIGN_P384_SHA384", 13),
    ("RSA_SIGN_RAW_PKCS1_2048", 28),
    ("EC_SIGN_SECP256K1_SHA256", 31),
    ("EC_SIGN_ED25519", 40),
    ("RSA_SIGN_PSS_3072_SHA256", 3),
    ("RSA_SIGN_PKCS1_3072_SHA256", 6),
    ("PQ_SIGN_ML_DSA_65", 56),
];

/// What token services say; `None` for a call that is none of theirs.
fn token(call: &Call) -> Option<(String, Answer)> {
    let mut token = json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"});
    let answer = match call.path.as_str() {
        "/token" => {
            let form = call.form();
            let is = |name: &str, value: &str| form.get(name).is_some_and(|v| v == value);
            let body = String::from_utf8_lossy(&call.body);
            let refreshed = body.contains(REFRESH);
            let exchanged = is("subject_token", FEDERATED) && is("audience", AUDIENCE);
            if refreshed || exchanged {
                token["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
                Answer::Json(200, token)
            } else {
                // With what it was sent, which a careless service might repeat.
                let error = json!({"error": "invalid_grant", "error_description": body});
                Answer::Json(400, error)
            }
        }
        path if path.starts_with("/computeMetadata/v1/") => {
            if call.header("metadata-flavor") != "Google" {
                return Some(("machine".to_owned(), Answer::Raw(403, Vec::new())));
            }
            return Some(("machine".to_owned(), Answer::Json(200, token)));
        }
        _ => return None,
    };
    Some(("token".to_owned(), answer))
}

/// One of our tokens, or a JWT that the service account signed for itself. No
/// token at all is a fault of the caller's.
fn is_logged_in(call: &Call) -> Result<Result<(), String>, String> {
    let bearer = call.header("authorization").strip_prefix("Bearer ");
    let bearer = bearer.ok_or("it has no token")?;
    if bearer == TOKEN {
        return Ok(Ok(()));
    }
    Ok(is_the_accounts(bearer))
}

fn is_the_accounts(bearer: &str) -> Result<(), String> {
    let (signed, signature) = bearer.rsplit_once('.').ok_or("another token")?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|e| e.to_string());
    let claims = signed.split_once('.').ok_or("no claims")?.1;
    let claims: Value = serde_json::from_slice(&decoded(claims)?).map_err(|e| e.to_string())?;
    if claims["iss"] != EMAIL || claims["sub"] != EMAIL {
        return Err(format!("another account: {claims}"));
    }
    Scheme::RsaPkcs1(Algorithm::Sha256)
        .verify(
            account().public_key(),
            signed.as_bytes(),
            &decoded(signature)?,
        )
        .map_err(|e| e.to_string())
}

/// An error as Google's APIs have it.
pub(crate) fn error(code: u16, status: &str, message: &str) -> Answer {
    let error = json!({"code": code, "message": message, "status": status});
    Answer::Json(code, json!({ "error": error }))
}

impl State {
    fn make(&mut self, resource: &str, algorithm: &'static str, state: &'static str) -> u32 {
        let versions = self.keys.entry(resource.to_owned()).or_default();
        let number = versions.len() as u32 + 1;
        versions.push(Version {
            number,
            private: private(algorithm),
            algorithm,
            state,
            imported: false,
        });
        number
    }

    fn answer(&mut self, operation: &str, resource: &str, call: &Call, body: &Value) -> Answer {
        if self.forbidden.contains(&operation) {
            let message =
                format!("Permission 'cloudkms.{operation}' denied on resource '{resource}'.");
            return error(403, "PERMISSION_DENIED", &message);
        }
        match operation {
            "createKey" => return self.create(resource, call, body),
            "listKeys" => return self.list_keys(resource),
            _ => {}
        }
        let Some((key, rest)) = split(resource) else {
            return error(400, "INVALID_ARGUMENT", "no such resource name");
        };
        let Some(versions) = self.keys.get_mut(&key) else {
            return error(404, "NOT_FOUND", &format!("CryptoKey {key} not found."));
        };
        match operation {
            "list" => {
                let filter = call.query.get("filter").map_or("", String::as_str);
                let only = filter.strip_prefix("state=");
                let list: Vec<Value> = versions
                    .iter()
                    .filter(|v| only.is_none_or(|state| v.state == state))
                    .map(|v| shown(&key, v))
                    .collect();
                return Answer::Json(200, json!({"cryptoKeyVersions": list}));
            }
            "create" => {
                let algorithm = versions[0].algorithm;
                let number = self.make(&key, algorithm, "PENDING_GENERATION");
                let made = &self.keys[&key][number as usize - 1];
                return Answer::Json(200, shown(&key, made));
            }
            _ => {}
        }
        let number: u32 = rest.parse().unwrap_or(0);
        let Some(version) = versions.iter_mut().find(|v| v.number == number) else {
            return error(
                404,
                "NOT_FOUND",
                &format!("CryptoKeyVersion {resource} not found."),
            );
        };
        match operation {
            "get" => {
                let answer = Answer::Json(200, shown(&key, version));
                // A look later it is ready.
                if version.state == "PENDING_GENERATION" {
                    version.state = "ENABLED";
                }
                answer
            }
            "patch" => {
                if call.query.get("updateMask").map(String::as_str) != Some("state") {
                    return error(400, "INVALID_ARGUMENT", "update_mask must be state");
                }
                if !matches!(version.state, "ENABLED" | "DISABLED") {
                    let why = format!("{resource} is {}", version.state);
                    return error(400, "FAILED_PRECONDITION", &why);
                }
                version.state = match &body["state"] {
                    state if *state == "ENABLED" || *state == 1 => "ENABLED",
                    state if *state == "DISABLED" || *state == 2 => "DISABLED",
                    _ => return error(400, "INVALID_ARGUMENT", "state"),
                };
                Answer::Json(200, shown(&key, version))
            }
            _ if version.state != "ENABLED" => {
                let message = format!(
                    "{resource} is not enabled, current state is: {}.",
                    version.state
                );
                error(400, "FAILED_PRECONDITION", &message)
            }
            "getPublicKey" if version.algorithm == "GOOGLE_SYMMETRIC_ENCRYPTION" => error(
                400,
                "FAILED_PRECONDITION",
                "keys with that algorithm have no public key",
            ),
            "getPublicKey" => {
                let pem = version.private.public_key().to_pem();
                Answer::Json(
                    200,
                    json!({
                        "name": name(&key, version),
                        "pem": pem,
                        "pemCrc32c": crc32c(pem.as_bytes()).to_string(),
                        "algorithm": number_of(version.algorithm),
                        "protectionLevel": 2,
                    }),
                )
            }
            _ if !version.algorithm.contains("_SIGN_") => error(
                400,
                "FAILED_PRECONDITION",
                "keys with that algorithm do not sign",
            ),
            _ => sign(&key, version, body),
        }
    }

    fn list_keys(&self, resource: &str) -> Answer {
        if resource != format!("{RING}/cryptoKeys") {
            return error(
                404,
                "NOT_FOUND",
                &format!("KeyRing of {resource} not found."),
            );
        }
        let purpose = |versions: &[Version]| match versions.first() {
            Some(version) if version.algorithm.contains("_SIGN_") => 5,
            _ => 1,
        };
        let keys = self.keys.iter();
        let list: Vec<Value> = keys
            .map(|(name, versions)| json!({"name": name, "purpose": purpose(versions)}))
            .collect();
        Answer::Json(200, json!({"cryptoKeys": list}))
    }

    fn create(&mut self, parent: &str, call: &Call, body: &Value) -> Answer {
        let id = call.query.get("cryptoKeyId").cloned().unwrap_or_default();
        let resource = format!("{}/{id}", parent.trim_end_matches('/'));
        if self.keys.contains_key(&resource) {
            return error(
                409,
                "ALREADY_EXISTS",
                &format!("CryptoKey {resource} already exists."),
            );
        }
        if body["purpose"] != 5 && body["purpose"] != "ASYMMETRIC_SIGN" {
            return error(400, "INVALID_ARGUMENT", "purpose");
        }
        let wanted = &body["versionTemplate"]["algorithm"];
        let offered = [
            "EC_SIGN_P256_SHA256",
            "EC_SIGN_P384_SHA384",
            "EC_SIGN_ED25519",
            "RSA_SIGN_PSS_2048_SHA256",
            "RSA_SIGN_PKCS1_2048_SHA256",
        ];
        let algorithm = offered
            .into_iter()
            .find(|name| *wanted == *name || *wanted == number_of(name));
        let Some(algorithm) = algorithm else {
            return error(400, "INVALID_ARGUMENT", "algorithm");
        };
        self.make(&resource, algorithm, "PENDING_GENERATION");
        Answer::Json(200, json!({"name": resource, "purpose": 5}))
    }
}

/// `projects/…/cryptoKeys/K` and what follows `/cryptoKeyVersions/`.
fn split(resource: &str) -> Option<(String, &str)> {
    let (key, rest) = resource.split_once("/cryptoKeyVersions")?;
    let number = rest.trim_start_matches('/').split([':', '/']).next()?;
    Some((key.to_owned(), number))
}

fn sign(key: &str, version: &Version, body: &Value) -> Answer {
    let wrong = |message: &str| error(400, "INVALID_ARGUMENT", message);
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
    let (scheme, field, hash) = match version.algorithm {
        "EC_SIGN_P256_SHA256" => (Scheme::EcdsaP256Sha256, "sha256", Algorithm::Sha256),
        "EC_SIGN_P384_SHA384" => (Scheme::EcdsaP384Sha384, "sha384", Algorithm::Sha384),
        "RSA_SIGN_PSS_2048_SHA256" => (
            Scheme::RsaPss(Algorithm::Sha256),
            "sha256",
            Algorithm::Sha256,
        ),
        "RSA_SIGN_PKCS1_2048_SHA256" => (
            Scheme::RsaPkcs1(Algorithm::Sha256),
            "sha256",
            Algorithm::Sha256,
        ),
        "EC_SIGN_ED25519" => (Scheme::Ed25519, "", Algorithm::Sha256),
        other => return wrong(other),
    };
    let crc_is = |given: &Value, bytes: &[u8]| *given == crc32c(bytes).to_string().as_str();
    let mut answer = json!({"name": name(key, version), "protectionLevel": 2});
    let signature = if field.is_empty() {
        let data = bytes(&body["data"]);
        if !body["digest"].is_null() || !crc_is(&body["dataCrc32c"], &data) {
            return wrong("The checksum of data is not right.");
        }
        answer["verifiedDataCrc32c"] = json!(true);
        version.private.sign(scheme, &data).unwrap()
    } else {
        let digests = body["digest"].as_object().cloned().unwrap_or_default();
        let Some(digest) = digests.get(field).filter(|_| digests.len() == 1) else {
            return wrong("The digest is of another algorithm than the key version's.");
        };
        let digest = bytes(digest);
        if !crc_is(&body["digestCrc32c"], &digest) {
            return wrong("The checksum of digest is not right.");
        }
        let Ok(digest) = Digest::new(hash, &digest) else {
            return wrong("The digest has a wrong length.");
        };
        answer["verifiedDigestCrc32c"] = json!(true);
        version.private.sign_digest(scheme, &digest).unwrap()
    };
    answer["signatureCrc32c"] = json!(crc32c(&signature).to_string());
    answer["signature"] = json!(STANDARD.encode(signature));
    Answer::Json(200, answer)
}

fn name(key: &str, version: &Version) -> String {
    format!("{key}/cryptoKeyVersions/{}", version.number)
}

fn shown(key: &str, version: &Version) -> Value {
    let job = version
        .imported
        .then(|| key.replace("cryptoKeys", "importJobs"));
    json!({
        "name": name(key, version),
        "state": number_of(version.state),
        "importJob": job.unwrap_or_default(),
        "algorithm": number_of(version.algorithm),
        "createTime": format!("2026-10-{:02}T08:00:00Z", version.number),
        "protectionLevel": 2,
    })
}

/// CRC-32C by a table: written apart from the one that is tested.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let step = |crc: u32| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            }
        };
        (0..256)
            .map(|n| (0..8).fold(n, |crc, _| step(crc)))
            .collect()
    });
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize]
    });
    !crc
}
