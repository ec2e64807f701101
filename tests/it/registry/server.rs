//! Real registries of the tests' own. Each ends with the process that started
//! it, however that ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::peer;

/// Debian's registry, which is the CNCF's of some years ago; the CNCF's; and
/// one that lists referrers.
pub(super) const ALL: &[&str] = &["docker-registry", "registry", "olareg"];

pub(super) struct Server {
    /// `host:port`.
    pub(super) host: String,
    /// Its data, configuration and log.
    pub(super) dir: TempDir,
    child: Child,
}

/// The CNCF's registry, as Debian has it and as it is.
pub(super) const DISTRIBUTION: &[&str] = &["docker-registry", "registry"];

/// What a registry's configuration has beside the usual.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    /// The address to listen at; one of this machine's own where empty.
    pub(super) address: String,
    /// The section `auth:`.
    pub(super) auth: String,
    /// Below `http:`.
    pub(super) tls: String,
}

impl Server {
    /// `None` in a quick run, where the test has been named as not run.
    pub(super) fn start(name: &str) -> Option<Self> {
        Self::with(name, &Setup::default())
    }

    /// The same, set up otherwise; olareg takes none of it.
    pub(super) fn with(name: &str, setup: &Setup) -> Option<Self> {
        let program = peer(name)?;
        let address = match setup.address.as_str() {
            "" => "127.0.0.1",
            address => address,
        };
        let free = TcpListener::bind((address, 0)).unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let dir = tempfile::tempdir().unwrap();
        let args = match name {
            "olareg" => {
                let port = host.rsplit(':').next().unwrap();
                [
                    "serve",
                    "--addr",
                    "127.0.0.1",
                    "--store-type",
                    "mem",
                    "--port",
                    port,
                ]
                .map(str::to_owned)
                .to_vec()
            }
            _ => {
                let config = format!(
                    "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n{}\nhttp:\n  addr: {host}\n{}\n",
                    dir.path().join("data").display(),
                    setup.auth,
                    setup.tls
                );
                let file = dir.path().join("config.yml");
                std::fs::write(&file, config).unwrap();
                vec!["serve".to_owned(), file.display().to_string()]
            }
        };
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        // The shell reads until we are gone, and takes the server with it.
        let child = Command::new("sh")
            .args(["-c", "\"$@\" & pid=$!; cat; kill -9 $pid", "sh"])
            .arg(program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { host, dir, child };
        server.wait(name);
        Some(server)
    }

    fn wait(&self, name: &str) {
        let begun = Instant::now();
        while !answers(&self.host) {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(!late, "{name} does not come up: {log}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

fn answers(host: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /v2/ HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // It is up, whether it wants credentials (401) or TLS (400).
        let status = answer.split(' ').nth(1);
        Ok(matches!(status, Some("200" | "400" | "401")))
    };
    ask().unwrap_or_default()
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}
