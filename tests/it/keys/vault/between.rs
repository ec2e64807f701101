//! A server between us and OpenBao that counts, and does wrong when told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Passed on after that long.
    Slow(Duration),
    /// The answer passed on with this done to its body.
    Alter(fn(&str) -> String),
    /// As many bytes as that, which are no JSON.
    Garbage(usize),
    /// Answered with what this makes of header lines and body; the server
    /// behind is not asked.
    Judged(Judge),
}

pub(crate) type Judge = Arc<dyn Fn(&str, &[u8]) -> (u16, String) + Send + Sync>;

type Plan = Arc<Mutex<VecDeque<(&'static str, Act)>>>;

pub(crate) struct Between {
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<String>>>,
    plan: Plan,
    stop: Arc<AtomicBool>,
}

impl Between {
    pub(crate) fn new(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = Self {
            host: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            plan: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, plan) = (Arc::clone(&between.seen), Arc::clone(&between.plan));
        let stop = Arc::clone(&between.stop);
        let behind = behind.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, plan) = (Arc::clone(&seen), Arc::clone(&plan));
                let behind = behind.clone();
                std::thread::spawn(move || serve(&stream, &behind, &seen, &plan));
            }
        });
        between
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Does this to the next request whose line has `part` in it.
    pub(crate) fn next(&self, part: &'static str, act: Act) {
        self.plan.lock().unwrap().push_back((part, act));
    }

    /// What was asked since the last time this was asked.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
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
fn serve(stream: &TcpStream, behind: &str, seen: &Mutex<Vec<String>>, plan: &Plan) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((line, headers, body)) = read(&mut reader) {
        seen.lock().unwrap().push(line.clone());
        let act = {
            let mut plan = plan.lock().unwrap();
            let found = plan.iter().position(|(part, _)| line.contains(part));
            found.and_then(|at| plan.remove(at)).map(|(_, act)| act)
        };
        let ask = || ask(behind, &line, &headers, &body);
        let (status, more, body) = match act {
            None => passed(ask()),
            Some(Act::Slow(pause)) => {
                std::thread::sleep(pause);
                passed(ask())
            }
            Some(Act::Alter(change)) => {
                let (status, more, body) = passed(ask());
                (status, more, change(&body))
            }
            Some(Act::Answer(status, more, body)) => (status, more.to_owned(), body),
            Some(Act::Judged(judge)) => {
                let (status, answer) = judge(&headers, &body);
                (status, String::new(), answer)
            }
            Some(Act::Garbage(length)) => (200, String::new(), "x".repeat(length)),
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
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).is_err() || stream.write_all(body.as_bytes()).is_err()
        {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value.trim().parse().ok()?;
                continue;
            }
            "connection" | "host" | "accept-encoding" => continue,
            _ => {}
        }
        headers.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    Some((line, headers, body))
}

fn ask(behind: &str, line: &str, headers: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(behind).ok()?;
    let head = format!(
        "{line} HTTP/1.0\r\nHost: {behind}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn passed(answer: Option<Vec<u8>>) -> (u16, String, String) {
    let answer = String::from_utf8(answer.unwrap_or_default()).unwrap_or_default();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status.unwrap_or(502), String::new(), body.to_owned())
}
