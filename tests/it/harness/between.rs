//! A server that counts what it is asked, and does wrong when told. Behind it
//! is a real one, or a function of the test's own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answered with this status, further header lines and body; the server
    /// behind is not asked.
    Answer(u16, &'static str, String),
    /// Asked behind, and the connection closed instead of an answer.
    CutAfter,
    /// The connection closed at once.
    CutBefore,
    /// The connection closed after that many bytes of the answer's body.
    CutMid(usize),
    /// Passed on after that long.
    Slow(Duration),
    /// The answer passed on with this done to its body.
    Alter(fn(&str) -> String),
    /// The answer passed on with this done to its body, which is no text.
    Change(fn(&[u8]) -> Vec<u8>),
    /// As many bytes as that, which are no JSON.
    Garbage(usize),
    /// A body without an end.
    Endless,
    /// Answered with this status, and an error that quotes the credential it was shown.
    Quote(u16),
    /// Answered with what this makes of the request; the server behind is not
    /// asked.
    Judged(Judge),
    /// The answer passed on as this makes of it.
    Turned(Arc<dyn Fn(Said) -> Said + Send + Sync>),
    /// The connection held open, and nothing said.
    Silent,
    /// The answer passed on byte by byte, with that long before each.
    Drip(Duration),
}

pub(crate) type Judge = Arc<dyn Fn(&Call) -> Said + Send + Sync>;

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// Method, path and query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    }
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Said {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Plan = Arc<Mutex<VecDeque<(String, Act)>>>;
type Behind = dyn Fn(&Call) -> Option<Said> + Send + Sync;

pub(crate) struct Between {
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Call>>>,
    plan: Plan,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Between {
    /// Before the server at `behind`, a `host:port`.
    pub(crate) fn new(behind: &str) -> Self {
        let behind = behind.to_owned();
        Self::before(move |call| ask(&behind, call))
    }

    pub(crate) fn before(behind: impl Fn(&Call) -> Option<Said> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = Self {
            host: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            plan: Arc::default(),
            connections: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, plan) = (Arc::clone(&between.seen), Arc::clone(&between.plan));
        let stop = Arc::clone(&between.stop);
        let connections = Arc::clone(&between.connections);
        let behind: Arc<Behind> = Arc::new(behind);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, plan) = (Arc::clone(&seen), Arc::clone(&plan));
                let behind = Arc::clone(&behind);
                std::thread::spawn(move || serve(&stream, &*behind, &seen, &plan));
            }
        });
        between
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Does this to the next request whose line has `part` in it.
    pub(crate) fn next(&self, part: impl Into<String>, act: Act) {
        self.plan.lock().unwrap().push_back((part.into(), act));
    }

    /// How many connections were opened so far.
    // The unit tests do not count them.
    #[allow(dead_code)]
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What was asked since the last time this was asked.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.calls().iter().map(Call::line).collect()
    }

    /// The same, whole.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Plans nothing any more; how much was still to come.
    pub(crate) fn forget(&self) -> usize {
        std::mem::take(&mut *self.plan.lock().unwrap()).len()
    }

    /// Whether everything that was planned came to pass.
    pub(crate) fn done(&self) -> bool {
        self.plan.lock().unwrap().is_empty()
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(&self.host);
    }
}

/// The requests of one connection, one after the other.
fn serve(stream: &TcpStream, behind: &Behind, seen: &Mutex<Vec<Call>>, plan: &Plan) {
    let _quick = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(call) = read(&mut reader) {
        seen.lock().unwrap().push(call.clone());
        let act = {
            let (mut plan, line) = (plan.lock().unwrap(), call.line());
            let found = plan
                .iter()
                .position(|(part, _)| line.contains(part.as_str()));
            found.and_then(|at| plan.remove(at)).map(|(_, act)| act)
        };
        let ask = || behind(&call).unwrap_or_else(|| Said::new(502, ""));
        let mut most = usize::MAX;
        let said = match act {
            None => ask(),
            Some(Act::Slow(pause)) => {
                std::thread::sleep(pause);
                ask()
            }
            Some(Act::Alter(change)) => {
                let said = ask();
                let body = change(&String::from_utf8_lossy(&said.body)).into_bytes();
                Said { body, ..said }
            }
            Some(Act::Change(change)) => {
                let said = ask();
                let body = change(&said.body);
                Said { body, ..said }
            }
            Some(Act::Answer(status, more, body)) => {
                let mut said = Said::new(status, body).with("Content-Type", "application/json");
                let lines = more.lines().filter_map(|line| line.split_once(": "));
                said.headers
                    .extend(lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
                said
            }
            Some(Act::Turned(turn)) => turn(ask()),
            Some(Act::Silent) => {
                // Until the other side has had enough.
                let _gone = reader.read(&mut [0]);
                return;
            }
            Some(Act::Quote(status)) => {
                let shown = call.header("authorization").unwrap_or_default();
                let body = format!(
                    "{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"not with {shown}\"}}]}}"
                );
                Said::new(status, body)
            }
            Some(Act::Judged(judge)) => judge(&call),
            Some(Act::Garbage(length)) => Said::new(200, "x".repeat(length)),
            Some(Act::CutMid(at)) => {
                most = at;
                ask()
            }
            Some(Act::Endless) => {
                let mut stream = stream;
                let head = "HTTP/1.1 200 x\r\nContent-Type: application/json\r\n\r\n";
                let _gone = stream.write_all(head.as_bytes());
                while stream.write_all(&[b' '; 4096]).is_ok() {}
                return;
            }
            Some(Act::Drip(pause)) => {
                let (mut stream, said) = (stream, ask());
                let length = said.body.len();
                let head = format!(
                    "HTTP/1.1 {} x\r\nContent-Length: {length}\r\n\r\n",
                    said.status
                );
                let mut alive = stream.write_all(head.as_bytes()).is_ok();
                for byte in said.body {
                    std::thread::sleep(pause);
                    alive = alive && stream.write_all(&[byte]).is_ok();
                    if !alive {
                        return;
                    }
                }
                continue;
            }
            Some(Act::CutAfter) => {
                ask();
                let _closed = stream.shutdown(Shutdown::Both);
                return;
            }
            Some(Act::CutBefore) => {
                let _closed = stream.shutdown(Shutdown::Both);
                return;
            }
        };
        if !write(stream, &call, &said, most) {
            return;
        }
    }
}

/// Whether the connection lives on.
fn write(mut stream: &TcpStream, call: &Call, said: &Said, most: usize) -> bool {
    let mut head = format!("HTTP/1.1 {} x\r\n", said.status);
    let to_head = call.method == "HEAD";
    for (name, value) in &said.headers {
        let length = name.eq_ignore_ascii_case("content-length");
        let own = ["connection", "transfer-encoding", "keep-alive"];
        if own.iter().any(|own| name.eq_ignore_ascii_case(own)) || length && !to_head {
            continue;
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !to_head {
        head.push_str(&format!("Content-Length: {}\r\n", said.body.len()));
    }
    head.push_str("\r\n");
    let body = if to_head { &[][..] } else { &said.body[..] };
    let cut = most < body.len();
    let sent = stream.write_all(head.as_bytes()).is_ok()
        && stream.write_all(&body[..most.min(body.len())]).is_ok();
    if cut {
        let _closed = stream.shutdown(Shutdown::Both);
    }
    sent && !cut
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let mut call = Call {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Call::default()
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "connection" => {}
            _ => call.headers.push((name.to_owned(), value)),
        }
    }
    call.body = vec![0; length];
    reader.read_exact(&mut call.body).ok()?;
    Some(call)
}

fn ask(behind: &str, call: &Call) -> Option<Said> {
    let mut stream = TcpStream::connect(behind).ok()?;
    let headers: String = call
        .headers
        .iter()
        // What comes is looked at here.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{} HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n",
        call.line(),
        call.body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&call.body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some(Said {
        status,
        headers,
        body: answer[end + 4..].to_vec(),
    })
}
