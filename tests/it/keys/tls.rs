//! A server that cannot prove who it is.

use crate::harness::{Scratch, peer};

/// OpenSSL with a certificate that nobody signed, until it is dropped.
pub(crate) struct TlsServer {
    child: std::process::Child,
    pub(crate) port: u16,
}

impl TlsServer {
    pub(crate) fn start(scratch: &Scratch) -> Option<Self> {
        use std::io::{BufRead, BufReader};

        let openssl = peer("openssl")?;
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN=nobody -addext subjectAltName=IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE -keyout tls.key -out tls.pem";
        let made = scratch
            .obreia()
            .program(&openssl)
            .args(request.split_whitespace())
            .run();
        made.ok();
        let mut child = std::process::Command::new(&openssl)
            .args("s_server -accept 127.0.0.1:0 -cert tls.pem -key tls.key -www".split(' '))
            .current_dir(scratch.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .map_while(Result::ok)
            .find(|l| l.starts_with("ACCEPT"))
            .unwrap();
        let port = line.rsplit(':').next().unwrap().trim().parse().unwrap();
        Some(Self { child, port })
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
