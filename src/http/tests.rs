use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A server of one connection per answer; counts what it was asked.
fn serve(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    (url, asked)
}

fn ask(url: &str, repeatable: bool, options: &Options) -> Result<Reply, HttpFault> {
    let request = Request {
        method: Method::Post,
        url,
        headers: &[],
        body: Some(("application/json", b"{}".to_vec())),
        repeatable,
        deadline: Duration::from_secs(3),
        limit: 64,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { Client::new(options)?.send(&request).await })
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const DOWN: &str = "HTTP/1.1 503 Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn what_was_turned_away_is_sent_again() {
    let (url, asked) = serve(&[BUSY, BUSY, OK]);
    assert_eq!(ask(&url, false, &Options::default()).unwrap().body, b"ok");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn what_may_have_been_done_is_sent_again_only_if_that_does_no_harm() {
    let (url, asked) = serve(&["", OK]);
    let cut = ask(&url, false, &Options::default());
    assert!(matches!(cut, Err(HttpFault::Cut { .. })), "{cut:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let (url, asked) = serve(&["", DOWN, OK]);
    assert_eq!(ask(&url, true, &Options::default()).unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (url, asked) = serve(&[DOWN, OK]);
    assert_eq!(ask(&url, false, &Options::default()).unwrap().status, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn lasting_throttling_has_its_own_name() {
    let (url, _) = serve(&[
        "HTTP/1.1 429 x\r\nretry-after: 60\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ]);
    let refused = ask(&url, true, &Options::default());
    assert!(
        matches!(refused, Err(HttpFault::Throttled { .. })),
        "{refused:?}"
    );
}

#[test]
fn answers_are_bounded_in_size_and_time() {
    let (url, _) = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n\
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    let long = ask(&url, true, &Options::default());
    assert!(
        matches!(long, Err(HttpFault::TooLarge { limit: 64, .. })),
        "{long:?}"
    );
    // Accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let late = ask(&url, true, &Options::default());
    assert!(
        matches!(late, Err(HttpFault::Deadline { seconds: 3, .. })),
        "{late:?}"
    );
}

#[test]
fn offline_opens_no_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let options = Options {
        offline: true,
        ..Options::default()
    };
    assert!(matches!(
        ask(&url, true, &options),
        Err(HttpFault::Offline { .. })
    ));
    assert!(listener.accept().is_err());
}

#[test]
fn nobody_there_and_no_address() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = ask(&format!("http://{free}/"), false, &Options::default());
    assert!(
        matches!(gone, Err(HttpFault::Unreachable { .. })),
        "{gone:?}"
    );
    for url in ["ftp://h/", "nothing", "https://user:hunter2@"] {
        let bad = ask(url, false, &Options::default()).unwrap_err();
        assert!(matches!(bad, HttpFault::BadUrl { .. }), "{bad:?}");
        assert!(!bad.to_string().contains("hunter2"));
    }
    let options = Options {
        authorities: vec![
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
        ],
        ..Options::default()
    };
    let bad = ask("https://127.0.0.1/", false, &options);
    assert!(matches!(bad, Err(HttpFault::BadTls(_))), "{bad:?}");
}

#[test]
fn pauses_grow_and_stay_within_the_deadline() {
    let left = Duration::from_secs(60);
    let pause = |number| match after(number, Attempt::NotSent, false, None, left, 1.0) {
        Next::Again(pause) => pause.as_millis(),
        Next::GiveUp => 0,
    };
    assert_eq!([1, 2, 3, 4, 5].map(pause), [100, 200, 400, 800, 0]);
    let said = Some(Duration::from_secs(2));
    for (left, next) in [(1, Next::GiveUp), (3, Next::Again(Duration::from_secs(2)))] {
        let left = Duration::from_secs(left);
        assert_eq!(after(1, Attempt::Status(429), false, said, left, 0.0), next);
    }
    for status in [200, 400, 403, 404] {
        let next = after(1, Attempt::Status(status), true, None, left, 0.0);
        assert_eq!(next, Next::GiveUp);
    }
}
