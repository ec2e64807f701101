//! To whom our client certificate is shown.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use obreia::environment::{Environment, SecretSource};
use obreia::oci::{Descriptor, media_type};
use obreia::reference::Select;
use obreia::source::registry::{Access, ClientCertificate, Registries, Settings};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::fake::{Fake, Kind};
use super::wait;
use crate::harness::between::Act;
use crate::harness::{Scratch, peer};

/// A server that asks for a client certificate, gives a token to anybody, and
/// keeps whether one was shown with each request.
struct Asking {
    address: String,
    shown: Arc<Mutex<Vec<bool>>>,
}

impl Asking {
    fn start(folder: &Path) -> Self {
        let config = Arc::new(config(folder));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("https://{}", listener.local_addr().unwrap()),
            shown: Arc::default(),
        };
        let shown = Arc::clone(&server.shown);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _gone = serve(stream, &config, &shown);
            }
        });
        server
    }

    fn shown(&self) -> Vec<bool> {
        std::mem::take(&mut *self.shown.lock().unwrap())
    }
}

fn config(folder: &Path) -> ServerConfig {
    let pem = |name: &str| CertificateDer::from_pem_file(folder.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pem("ca.pem")).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![pem("server.pem")],
            PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap(),
        )
        .unwrap()
}

fn serve(
    mut stream: TcpStream,
    config: &Arc<ServerConfig>,
    shown: &Mutex<Vec<bool>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let new = ServerConnection::new(Arc::clone(config));
    let mut connection = new.map_err(std::io::Error::other)?;
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = tls.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let one = tls.conn.peer_certificates().is_some();
    shown.lock().unwrap().push(one);
    let body = r#"{"token":"t"}"#;
    let length = body.len();
    write!(
        tls,
        "HTTP/1.1 200 x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// An authority, and a server's and a client's certificate of it.
fn certificates(scratch: &Scratch) {
    let openssl = peer("openssl").expect("a system program is never left out");
    let run = |command: &str| {
        let command = command.split_whitespace();
        scratch.obreia().program(&openssl).args(command).run().ok();
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(&format!(
        "req -x509 {new} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca -addext basicConstraints=critical,CA:TRUE"
    ));
    for (name, alternative) in [("server", "IP:127.0.0.1"), ("client", "DNS:client")] {
        scratch.write("ext", format!("subjectAltName={alternative}\n"));
        run(&format!(
            "req -new {new} -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        run(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile ext"
        ));
    }
}

fn registries(folder: &Path, shown_to: &[&str]) -> Registries {
    let certificate = ClientCertificate {
        certificate: folder.join("client.pem"),
        key: SecretSource::File(folder.join("client.key")),
    };
    let client = shown_to
        .iter()
        .map(|host| ((*host).to_owned(), certificate.clone()));
    Registries::new(Access {
        settings: Settings {
            authorities: vec![folder.join("ca.pem")],
            client: client.collect(),
            ..Settings::default()
        },
        environment: Environment::default(),
        ..Access::default()
    })
}

#[test]
fn a_client_certificate_is_shown_to_its_host_alone() {
    let scratch = Scratch::new();
    certificates(&scratch);
    let folder = scratch.path();
    let asking = Asking::start(&folder);
    let fake = Fake::new(Kind::default());
    let registries = registries(&folder, &[fake.host()]);
    let repository = registries.repository(fake.host(), "a").unwrap();
    let tag = Select::Tag("v1".into());
    // A token that the certificate would earn, for whoever sent us there.
    let challenge = format!(
        "WWW-Authenticate: Bearer realm=\"{}/token?service=other\"",
        asking.address
    );
    let challenge: &'static str = challenge.leak();
    let denied = Act::Answer(401, challenge, String::new());
    fake.front.next("/manifests/v1", denied);
    assert!(wait(repository.resolve(&tag)).is_err());
    assert_eq!(asking.shown(), [false]);
    let location: &'static str = format!("Location: {}/x", asking.address).leak();
    let elsewhere = Act::Answer(307, location, String::new());
    fake.front.next("/blobs/", elsewhere);
    let blob = Descriptor::of(media_type::OCTETS, b"x");
    assert!(wait(repository.read_blob(&blob, 100)).is_err());
    assert_eq!(asking.shown(), [false]);
}
