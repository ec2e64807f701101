//! A stand-in for AWS KMS on a loopback port. It checks each request (SigV4
//! with the secret that it knows, the action's members and their lengths,
//! what a key may be asked), signs with keys of its own, and fails on demand.
//!
//! It knows nothing of obreia, so that the library's own tests use it too.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use super::held::{Held, Kind};
use super::sigv4;

pub(crate) const ACCESS_KEY: &str = "AKIDSTANDIN000000001";
pub(crate) const SECRET_KEY: &str = "the-stand-in's+secret/key-of-40-characters";
pub(crate) const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";

/// How the next request of an action goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An answer of that status, type and message.
    Error(u16, &'static str, &'static str),
    /// The connection ends after the request was read.
    Cut,
    /// The answer comes this late.
    Slow(Duration),
    /// 200, and no JSON.
    Garbage,
    /// 200, and more bytes than anybody should read.
    Huge,
    /// A signature by another key of the same kind.
    WrongSignature,
    /// The answer names another algorithm than was asked for.
    OtherAlgorithm,
    /// The answer does not name the key.
    Nameless,
}

pub(crate) const THROTTLED: Fault = Fault::Error(400, "ThrottlingException", "Rate exceeded");

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) body: Value,
    pub(crate) headers: BTreeMap<String, String>,
    /// The region that the request was signed for.
    pub(crate) region: String,
    /// What was answered: status and body.
    pub(crate) answer: Option<(u16, Value)>,
}

#[derive(Default)]
struct State {
    keys: Vec<Held>,
    aliases: BTreeMap<String, String>,
    faults: Vec<(String, VecDeque<Fault>)>,
    calls: Vec<Call>,
    /// What was wrong with requests; a test that sees any fails.
    wrong: Vec<String>,
}

/// The server; it ends with the value.
pub(crate) struct StandIn {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    scheme: &'static str,
    ended: Arc<AtomicBool>,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        Self::listen("http", |stream, state| {
            converse(&mut BufReader::new(stream), state);
        })
    }

    /// With TLS: the certificate and its key, PEM.
    pub(crate) fn start_tls(certificate: &Path, key: &Path) -> Self {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_file_iter(certificate)
            .unwrap()
            .map(Result::unwrap);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), PrivateKeyDer::from_pem_file(key).unwrap());
        let config = Arc::new(config.unwrap());
        Self::listen("https", move |stream, state| {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = rustls::StreamOwned::new(session, stream);
            converse(&mut BufReader::new(stream), state);
        })
    }

    fn listen(
        scheme: &'static str,
        serve: impl Fn(TcpStream, &Mutex<State>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            state: Arc::default(),
            address: listener.local_addr().unwrap(),
            scheme,
            ended: Arc::default(),
        };
        let (state, ended) = (Arc::clone(&server.state), Arc::clone(&server.ended));
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (state, serve) = (Arc::clone(&state), Arc::clone(&serve));
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A new key of that kind with that alias; its ARN.
    pub(crate) fn key(&self, kind: Kind, alias: &str) -> String {
        let mut state = self.state();
        let held = Held::new(kind, state.keys.len());
        let arn = arn(REGION, &held.id);
        state.aliases.insert(alias.to_owned(), held.id.clone());
        state.keys.push(held);
        arn
    }

    /// The alias names another key from now on.
    pub(crate) fn point(&self, alias: &str, arn: &str) {
        let id = arn.rsplit('/').next().unwrap().to_owned();
        self.state().aliases.insert(alias.to_owned(), id);
    }

    /// The key's material is another's from now on: what AWS never does.
    pub(crate) fn replace(&self, arn: &str) {
        let mut state = self.state();
        let held = state
            .keys
            .iter_mut()
            .find(|k| arn.ends_with(&k.id))
            .unwrap();
        held.replace();
    }

    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub(crate) fn set(&self, arn: &str, key_state: &'static str) {
        let mut state = self.state();
        let held = state
            .keys
            .iter_mut()
            .find(|k| arn.ends_with(&k.id))
            .unwrap();
        held.state = key_state;
    }

    /// The next requests of the action go wrong so, in that order.
    pub(crate) fn fail(&self, action: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = (action.to_owned(), faults.into_iter().collect());
        self.state().faults.push(faults);
    }

    /// Forgets the faults that were not met.
    pub(crate) fn spend(&self) {
        self.state().faults.clear();
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The actions asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.state().calls);
        calls.into_iter().map(|call| call.action).collect()
    }

    /// What was wrong was meant to be.
    pub(crate) fn forgive(&self) {
        let wrong = std::mem::take(&mut self.state().wrong);
        assert!(!wrong.is_empty());
    }

    /// Fails where any request was not as AWS wants it.
    pub(crate) fn nothing_was_wrong(&self) {
        let wrong = self.state().wrong.clone();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ended = TcpStream::connect(self.address);
        if !std::thread::panicking() {
            self.nothing_was_wrong();
        }
    }
}

fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

/// Requests of one connection, until it ends.
fn converse<S: Read + Write>(stream: &mut BufReader<S>, state: &Mutex<State>) {
    while let Some(request) = sigv4::Request::read(stream) {
        let number = state.lock().unwrap().calls.len();
        let (status, body, fault) = answer(&request, state);
        match fault {
            Some(Fault::Cut) => return,
            Some(Fault::Slow(late)) => std::thread::sleep(late),
            _ => {}
        }
        let huge = matches!(fault, Some(Fault::Huge));
        let text = match fault {
            Some(Fault::Garbage) => "<html>not KMS</html>".to_owned(),
            _ if body.is_null() => String::new(),
            _ => body.to_string(),
        };
        let length = if huge { 64 << 20 } else { text.len() };
        let mut head = format!(
            "HTTP/1.1 {status} X\r\nx-amzn-RequestId: 00000000-0000-0000-0000-{number:012}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\n"
        );
        if let Some(kind) = body["__type"].as_str() {
            head.push_str(&format!("x-amzn-ErrorType: {kind}\r\n"));
        }
        if let Some(call) = state.lock().unwrap().calls.get_mut(number) {
            call.answer = Some((status, body));
        }
        let out = stream.get_mut();
        let sent = out.write_all(format!("{head}\r\n{text}").as_bytes());
        if huge {
            let _refused = out.write_all(&vec![b' '; 64 << 20]);
        }
        if sent.and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn error(kind: &str, message: impl Into<String>) -> (u16, Value) {
    (400, json!({"__type": kind, "message": message.into()}))
}

fn answer(request: &sigv4::Request, state: &Mutex<State>) -> (u16, Value, Option<Fault>) {
    let mut state = state.lock().unwrap();
    let (action, body, region) = match request.checked(ACCESS_KEY, SECRET_KEY) {
        Ok(checked) => checked,
        Err(why) => {
            state.wrong.push(format!("{why} in {request:?}"));
            let (status, body) = error("InvalidSignatureException", why);
            return (status, body, None);
        }
    };
    state.calls.push(Call {
        action: action.clone(),
        body: body.clone(),
        headers: request.headers.clone(),
        region: region.clone(),
        answer: None,
    });
    let waiting = state.faults.iter_mut().filter(|(of, _)| *of == action);
    let fault = waiting.flat_map(|(_, faults)| faults.pop_front()).next();
    if let Some(Fault::Error(status, kind, message)) = fault {
        return (status, json!({"__type": kind, "message": message}), None);
    }
    let (status, mut answer) = state.carry_out(&action, &body, &region);
    match fault {
        Some(Fault::WrongSignature) => {
            let digest = body["Message"].as_str().unwrap();
            let id = answer["KeyId"].as_str().unwrap().to_owned();
            let held = state.keys.iter().find(|k| id.ends_with(&k.id)).unwrap();
            let other = Held::new(held.kind, usize::MAX);
            let algorithm = body["SigningAlgorithm"].as_str().unwrap();
            answer["Signature"] = json!(other.sign(algorithm, digest).unwrap());
        }
        Some(Fault::OtherAlgorithm) => answer["SigningAlgorithm"] = json!("ECDSA_SHA_384"),
        Some(Fault::Nameless) => {
            answer.as_object_mut().unwrap().remove("KeyId");
        }
        _ => {}
    }
    (status, answer, fault)
}

impl State {
    fn carry_out(&mut self, action: &str, body: &Value, region: &str) -> (u16, Value) {
        if let Err(why) = members(action, body) {
            self.wrong.push(format!("{action}: {why}: {body}"));
            return error("ValidationException", why);
        }
        match action {
            "ListKeys" => return self.list(body, region),
            "CreateKey" => return self.create(body, region),
            "CreateAlias" => return self.create_alias(body),
            "DeleteAlias" => {
                self.aliases.remove(body["AliasName"].as_str().unwrap());
                return (200, Value::Null);
            }
            _ => {}
        }
        let wanted = body["KeyId"].as_str().unwrap_or_default();
        let alias = wanted.starts_with("alias/") || wanted.contains(":alias/");
        if alias && matches!(action, "EnableKey" | "DisableKey" | "ScheduleKeyDeletion") {
            self.wrong.push(format!("{action} takes no alias: {body}"));
        }
        let name = wanted.rsplit("key/").next().unwrap_or(wanted);
        let by_alias = wanted
            .find("alias/")
            .and_then(|at| self.aliases.get(&wanted[at..]));
        let id = by_alias.map_or(name, String::as_str).to_owned();
        let elsewhere = wanted.starts_with("arn:") && wanted.split(':').nth(3) != Some(region);
        let found = self
            .keys
            .iter_mut()
            .find(|held| held.id == id && !elsewhere);
        let Some(held) = found else {
            return error(
                "NotFoundException",
                format!("Key '{wanted}' does not exist"),
            );
        };
        let arn = arn(region, &held.id);
        match (action, held.state) {
            ("GetPublicKey" | "Sign", "Disabled") => {
                return error("DisabledException", format!("{arn} is disabled."));
            }
            ("GetPublicKey" | "Sign" | "EnableKey" | "DisableKey", "PendingDeletion") => {
                return error(
                    "KMSInvalidStateException",
                    format!("{arn} is pending deletion."),
                );
            }
            _ => {}
        }
        match action {
            "DescribeKey" => (200, json!({"KeyMetadata": held.metadata(&arn)})),
            "EnableKey" => {
                held.state = "Enabled";
                (200, Value::Null)
            }
            "DisableKey" => {
                held.state = "Disabled";
                (200, Value::Null)
            }
            "ScheduleKeyDeletion" => {
                held.state = "PendingDeletion";
                (200, json!({"KeyId": arn, "KeyState": held.state}))
            }
            "GetPublicKey" => match held.public_key(&arn) {
                Some(shown) => (200, shown),
                None => error(
                    "UnsupportedOperationException",
                    format!("{arn} is a symmetric key."),
                ),
            },
            "ListAliases" => {
                let of_key = self.aliases.iter().filter(|(_, key)| **key == id);
                let told: Vec<Value> = of_key
                    .map(|(name, key)| json!({"AliasName": name, "TargetKeyId": key}))
                    .collect();
                (200, json!({"Aliases": told, "Truncated": false}))
            }
            _ => self.sign(&id, &arn, body),
        }
    }

    fn sign(&mut self, id: &str, arn: &str, body: &Value) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (algorithm, kind) = (text("SigningAlgorithm"), text("MessageType"));
        let held = self.keys.iter().find(|held| held.id == id).unwrap();
        let usage = held.kind.usage();
        if usage != "SIGN_VERIFY" {
            let why = format!("{arn} key usage is {usage} which is not valid for Sign.");
            return error("InvalidKeyUsageException", why);
        }
        if !held.kind.algorithms().contains(&algorithm) {
            let why = format!(
                "Algorithm {algorithm} is incompatible with key spec {}.",
                held.kind.spec()
            );
            self.wrong.push(why.clone());
            return error("InvalidKeyUsageException", why);
        }
        let raw = algorithm == "ED25519_SHA_512";
        if kind != if raw { "RAW" } else { "DIGEST" } {
            self.wrong
                .push(format!("MessageType {kind:?} with {algorithm}"));
            return error("ValidationException", "MessageType");
        }
        match held.sign(algorithm, text("Message")) {
            Ok(signature) => (
                200,
                json!({"KeyId": arn, "Signature": signature, "SigningAlgorithm": algorithm}),
            ),
            Err(why) => {
                self.wrong.push(why.clone());
                error("ValidationException", why)
            }
        }
    }

    /// Two keys a page, so that pages are turned.
    fn list(&self, body: &Value, region: &str) -> (u16, Value) {
        let from = body["Marker"].as_str().map_or(0, |m| m.parse().unwrap());
        let end = (from + 2).min(self.keys.len());
        let page: Vec<Value> = self.keys[from..end]
            .iter()
            .map(|held| json!({"KeyId": held.id, "KeyArn": arn(region, &held.id)}))
            .collect();
        let mut answer = json!({"Keys": page, "Truncated": end < self.keys.len()});
        if end < self.keys.len() {
            answer["NextMarker"] = json!(end.to_string());
        }
        (200, answer)
    }

    fn create(&mut self, body: &Value, region: &str) -> (u16, Value) {
        let kind = Kind::of_spec(body["KeySpec"].as_str().unwrap_or_default());
        let (Some(kind), Some("SIGN_VERIFY")) = (kind, body["KeyUsage"].as_str()) else {
            return error("ValidationException", "KeySpec and KeyUsage");
        };
        let held = Held::new(kind, self.keys.len());
        let metadata = held.metadata(&arn(region, &held.id));
        self.keys.push(held);
        (200, json!({"KeyMetadata": metadata}))
    }

    fn create_alias(&mut self, body: &Value) -> (u16, Value) {
        let name = body["AliasName"].as_str().unwrap().to_owned();
        let id = body["TargetKeyId"].as_str().unwrap().to_owned();
        if self.aliases.contains_key(&name) {
            return error(
                "AlreadyExistsException",
                format!("An alias {name} already exists"),
            );
        }
        self.aliases.insert(name, id);
        (200, Value::Null)
    }
}

/// The members that an action takes; those before `|` it must have.
fn members(action: &str, body: &Value) -> Result<(), String> {
    let (must, may) = match action {
        "Sign" => ("KeyId Message MessageType SigningAlgorithm", ""),
        "GetPublicKey" | "DescribeKey" | "EnableKey" | "DisableKey" => ("KeyId", ""),
        "ListKeys" => ("", "Limit Marker"),
        "ListAliases" => ("KeyId", "Limit Marker"),
        "CreateKey" => ("KeyUsage KeySpec", "Description"),
        "CreateAlias" => ("AliasName TargetKeyId", ""),
        "DeleteAlias" => ("AliasName", ""),
        "ScheduleKeyDeletion" => ("KeyId", "PendingWindowInDays"),
        _ => return Err(format!("no such action {action}")),
    };
    let body = body.as_object().ok_or("the body is no object")?;
    if let Some(lacks) = must
        .split_whitespace()
        .find(|name| !body.contains_key(*name))
    {
        return Err(format!("{lacks} is missing"));
    }
    let known = |name: &String| must.split(' ').chain(may.split(' ')).any(|m| m == name);
    match body.keys().find(|name| !known(name)) {
        Some(other) => Err(format!("{other} is no member")),
        None => Ok(()),
    }
}

/// A loopback port that nobody listens on.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Counts connections, and ends each at once.
pub(crate) fn count_connections() -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&counted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            *count.lock().unwrap() += 1;
            drop(stream);
        }
    });
    (port, counted)
}

/// Reads lines up to the empty one.
pub(super) fn head(stream: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            return Some(lines);
        }
        lines.push(line);
    }
}
