//! A stand-in for a Kubernetes API server: TLS with the certificate it is
//! given, a bearer token or a client certificate of the cluster's authority,
//! and one secret. It answers as API servers do, `Status` included.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "let-me-in";

/// Serves until the test's process ends; each connection has a thread.
pub(crate) struct Server {
    pub(crate) address: String,
    /// Paths of those who proved who they are.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With `CERTIFICATE.pem` and `.key` of a folder, and `ca.pem` beside them.
    pub(crate) fn start(folder: &Path, certificate: &str, path: &str, secret: &Value) -> Self {
        let config = Arc::new(config(folder, certificate));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("https://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
        };
        let (path, secret) = (path.to_owned(), secret.to_string());
        let asked = Arc::clone(&server.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, asked) = (Arc::clone(&config), Arc::clone(&asked));
                let (path, secret) = (path.clone(), secret.clone());
                std::thread::spawn(move || {
                    let _refused_or_gone = serve(stream, config, &path, &secret, &asked);
                });
            }
        });
        server
    }

    /// What was asked for since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn config(folder: &Path, certificate: &str) -> ServerConfig {
    let pem = |name: &str| {
        let file = folder.join(format!("{name}.pem"));
        CertificateDer::from_pem_file(file).unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add(pem("ca")).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{certificate}.key"))).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![pem(certificate)], key)
        .unwrap()
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    path: &str,
    secret: &str,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = tls.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let certified = tls.conn.peer_certificates().is_some();
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let bearer = format!("\r\nauthorization: bearer {TOKEN}\r\n");
    let wanted = request
        .strip_prefix("get ")
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_default()
        .to_owned();
    let status = |code: u16, message: &str| {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            _ => "NotFound",
        };
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code});
        (code, body.to_string())
    };
    let (code, body) = if !certified && !request.contains(&bearer) {
        status(401, "Unauthorized")
    } else {
        asked.lock().unwrap().push(wanted.clone());
        match wanted.rsplit('/').next() {
            _ if wanted == path => (200, secret.to_owned()),
            _ if wanted == "/version" => (200, json!({"major": "1"}).to_string()),
            Some("forbidden") => status(
                403,
                "secrets \"forbidden\" is forbidden: User cannot get resource",
            ),
            Some("echo") => status(403, &format!("who is {TOKEN}?")),
            Some("garbage") => (
                200,
                format!("{{\"kind\": \"{TOKEN}\", \"data\": \"{TOKEN}\"}}"),
            ),
            // As a gateway before the API server says that it knows no such way.
            Some("elsewhere") => (404, "404 page not found\n".to_owned()),
            _ => status(404, "secrets not found"),
        }
    };
    let head = format!(
        "HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    tls.write_all(head.as_bytes())?;
    tls.write_all(body.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}
