use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::secret::Secret;

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
        body: Some(("application/json", b"{}"[..].into())),
        repeatable,
        deadline: Duration::from_secs(3),
        limit: 64,
    };
    run(async { Client::new(options)?.send(&request).await })
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
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

/// An environment in which everything is to go by way of a proxy.
fn with_proxy(proxy: &TcpListener) -> Options {
    let address = format!("http://{}", proxy.local_addr().unwrap());
    Options {
        environment: [
            ("HTTP_PROXY", address.as_str()),
            ("http_proxy", &address),
            ("HTTPS_PROXY", &address),
            ("ALL_PROXY", &address),
        ]
        .into(),
        ..Options::default()
    }
}

#[test]
fn what_stays_on_the_machine_is_shown_to_no_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let options = with_proxy(&proxy);
    let (url, asked) = serve(&[OK]);
    assert_eq!(ask(&url, false, &options).unwrap().body, b"ok");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Nobody is there, or no TLS is spoken; the proxy is not asked instead.
    for url in [
        "https://127.0.0.1:1/",
        "https://localhost:1/",
        "http://kms.invalid/",
    ] {
        assert!(ask(url, false, &options).is_err(), "{url}");
    }
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[test]
fn what_is_encrypted_goes_by_way_of_the_proxy_unless_excepted() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = with_proxy(&proxy);
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        proxy.set_nonblocking(true).unwrap();
        (
            String::from_utf8_lossy(&request[..read]).into_owned(),
            proxy,
        )
    });
    let refused = ask("https://kms.invalid/secret", false, &options);
    assert!(refused.is_err(), "{refused:?}");
    let (heard, proxy) = heard.join().unwrap();
    assert!(heard.starts_with("CONNECT kms.invalid:443 "), "{heard}");
    assert!(!heard.contains("secret"), "{heard}");
    while proxy.accept().is_ok() {}
    let address = proxy.local_addr().unwrap();
    options.environment = [
        ("HTTPS_PROXY", format!("http://{address}").as_str()),
        ("NO_PROXY", "other.example,kms.invalid"),
    ]
    .into();
    assert!(ask("https://kms.invalid/", false, &options).is_err());
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[test]
fn a_proxy_that_is_none_is_told_without_its_address() {
    let options = Options {
        environment: [("HTTPS_PROXY", "http://user:hunter2@:x")].into(),
        ..Options::default()
    };
    let bad = ask("http://127.0.0.1:1/", false, &options).unwrap_err();
    assert_eq!(
        bad,
        HttpFault::BadProxy {
            variable: "HTTPS_PROXY"
        }
    );
    assert!(!bad.to_string().contains("hunter2"));
}

#[test]
fn a_header_that_cannot_be_sent_is_named_and_not_shown() {
    let value = Secret::from("hunter2\nX-Other: 1".to_owned());
    let request = Request {
        method: Method::Get,
        url: "http://127.0.0.1:1/",
        headers: &[("x-vault-token", &value)],
        body: None,
        repeatable: true,
        deadline: Duration::from_secs(3),
        limit: 64,
    };
    let bad = run(async { Client::new(&Options::default())?.send(&request).await }).unwrap_err();
    assert!(bad.to_string().contains("x-vault-token"), "{bad}");
    assert!(!bad.to_string().contains("hunter2"), "{bad}");
}

#[test]
fn tls_that_does_not_come_about_is_no_doubt_of_who_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // A handshake_failure, and then a server that speaks no TLS at all.
        for answer in [
            &[21, 3, 3, 0, 2, 2, 40][..],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    let refused = ask(&url, false, &Options::default()).unwrap_err();
    assert!(
        matches!(refused, HttpFault::Handshake { .. }),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("refused our handshake"),
        "{refused}"
    );
    let plain = ask(&url, false, &Options::default()).unwrap_err();
    assert!(matches!(plain, HttpFault::Handshake { .. }), "{plain:?}");
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

#[test]
fn retry_after_is_seconds_or_a_date() {
    use std::time::SystemTime;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let said = |text| send::retry_after(text, now);
    assert_eq!(said("7"), Some(Duration::from_secs(7)));
    assert_eq!(
        said("Sun, 06 Nov 1994 08:49:47 GMT"),
        Some(Duration::from_secs(10))
    );
    assert_eq!(
        said("Sun, 06 Nov 1994 08:49:00 GMT"),
        Some(Duration::ZERO),
        "it has passed"
    );
    assert_eq!(said("soon"), None);
}
