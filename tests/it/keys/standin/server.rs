//! HTTP/1.1 as far as a key service needs it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as a form.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        pairs(&String::from_utf8_lossy(&self.body))
    }
}

/// By which the service says that it knows every request.
pub(crate) const REQUEST: &str = "5e77ed00-0000-4000-8000-00000000a24e";

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Json(u16, Value),
    /// With further headers.
    With(u16, Vec<(&'static str, String)>, Value),
    /// Bytes that are no JSON.
    Raw(u16, Vec<u8>),
    /// The connection ends without an answer, the request having been read.
    Cut,
    /// First this long nothing.
    Late(Duration, Box<Answer>),
    /// As it would be without a fault, then changed.
    Changed(fn(&mut Value)),
    /// As it would be without a fault, but late.
    Slow(Duration),
}

type Faults = Arc<Mutex<VecDeque<(String, Answer)>>>;

/// A server on a free port, until it is dropped.
pub(crate) struct Server {
    pub(crate) origin: String,
    calls: Arc<Mutex<Vec<(String, Call)>>>,
    faults: Faults,
    wrong: Arc<Mutex<Vec<String>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the service says to a call: the operation's name, and the answer, or
/// what is wrong with the call by the vendor's description.
pub(crate) type Said = Result<(String, Answer), String>;

impl Server {
    pub(crate) fn start(service: impl Fn(&Call) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        let mut server = Self {
            origin,
            calls: Arc::default(),
            faults: Arc::default(),
            wrong: Arc::default(),
            end: Arc::default(),
            thread: None,
        };
        let (calls, faults) = (Arc::clone(&server.calls), Arc::clone(&server.faults));
        let (wrong, end) = (Arc::clone(&server.wrong), Arc::clone(&server.end));
        let service = Arc::new(service);
        server.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let service = Arc::clone(&service);
                let (calls, faults) = (Arc::clone(&calls), Arc::clone(&faults));
                let wrong = Arc::clone(&wrong);
                std::thread::spawn(move || {
                    let Some(call) = read(&stream) else { return };
                    let (name, usual) = match service(&call) {
                        Ok(said) => said,
                        Err(why) => {
                            let at = format!("{} {}: {why}", call.method, call.path);
                            wrong.lock().unwrap().push(at.clone());
                            let error = serde_json::json!({"error": {"message": at}});
                            ("wrong".to_owned(), Answer::Json(400, error))
                        }
                    };
                    calls.lock().unwrap().push((name.clone(), call));
                    let mut faults = faults.lock().unwrap();
                    let due = faults.iter().position(|(of, _)| *of == name);
                    let fault = due.and_then(|at| faults.remove(at)).map(|(_, fault)| fault);
                    drop(faults);
                    write(&stream, merged(usual, fault));
                });
            }
        }));
        server
    }

    /// The next call of that operation is answered so.
    pub(crate) fn fault(&self, operation: &str, answer: Answer) {
        self.faults
            .lock()
            .unwrap()
            .push_back((operation.to_owned(), answer));
    }

    /// Whatever fault is still to come does not.
    pub(crate) fn spend(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The operations that were asked for, in order, and forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.calls
            .lock()
            .unwrap()
            .drain(..)
            .map(|(name, _)| name)
            .collect()
    }

    /// The calls themselves.
    pub(crate) fn calls(&self) -> Vec<(String, Call)> {
        self.calls.lock().unwrap().clone()
    }

    /// That no request was other than the vendor describes them.
    #[track_caller]
    pub(crate) fn all_as_described(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(self.origin.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        if !std::thread::panicking() {
            self.all_as_described();
        }
    }
}

fn merged(usual: Answer, fault: Option<Answer>) -> Answer {
    match (fault, usual) {
        (None, usual) => usual,
        (Some(Answer::Slow(wait)), usual) => Answer::Late(wait, Box::new(usual)),
        (Some(Answer::Changed(change)), Answer::Json(status, mut body)) => {
            change(&mut body);
            Answer::Json(status, body)
        }
        (Some(fault), _) => fault,
    }
}

fn read(stream: &TcpStream) -> Option<Call> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers
        .get("content-length")
        .map_or(Some(0), |l| l.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Call {
        method,
        path: decoded(path),
        query: pairs(query),
        headers,
        body,
    })
}

fn write(stream: &TcpStream, answer: Answer) {
    let (status, headers, body) = match answer {
        Answer::Json(status, body) => (status, Vec::new(), body.to_string().into_bytes()),
        Answer::With(status, headers, body) => (status, headers, body.to_string().into_bytes()),
        Answer::Raw(status, body) => (status, Vec::new(), body),
        Answer::Late(wait, answer) => {
            std::thread::sleep(wait);
            return write(stream, *answer);
        }
        Answer::Cut | Answer::Changed(_) | Answer::Slow(_) => return,
    };
    let mut head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nconnection: close\r\nx-ms-request-id: {REQUEST}\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = stream;
    // Whoever gave up waiting has closed the connection.
    let _gone = stream.write_all(format!("{head}\r\n").as_bytes());
    let _gone = stream.write_all(&body);
    let _gone = stream.flush();
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
