//! What a host's name in a reference means on the network.

use reqwest::Url;

use crate::http::is_loopback;

/// Docker's registry has three names: the one in references, the one of its
/// API, and the one under which its credentials are kept.
const DOCKER: &str = "docker.io";

/// Scheme, host and port of a registry's API.
pub(super) fn base(host: &str, plain: bool) -> String {
    let host = if is_docker(host) {
        "registry-1.docker.io"
    } else {
        host
    };
    let scheme = if plain { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// The name of the registry where its credentials are kept.
pub(super) fn credentials_of(host: &str) -> &str {
    if is_docker(host) {
        "https://index.docker.io/v1/"
    } else {
        host
    }
}

/// Whether the host is this machine, where plain HTTP leaves nobody to listen.
pub(super) fn is_local(host: &str) -> bool {
    Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url))
}

/// A repository's name at its registry: Docker's own images have a folder that
/// nobody writes.
pub(super) fn repository<'a>(host: &str, name: &'a str) -> std::borrow::Cow<'a, str> {
    if is_docker(host) && !name.contains('/') {
        format!("library/{name}").into()
    } else {
        name.into()
    }
}

fn is_docker(host: &str) -> bool {
    matches!(host, DOCKER | "index.docker.io" | "registry-1.docker.io")
}

/// Where an answer sends us: `location` may be relative to `from`. `None` where
/// it is no place that is gone to: another scheme, from TLS to none, or one
/// that holds a name or a password.
pub fn resolved(from: &str, location: &str) -> Option<Url> {
    let from = Url::parse(from).ok()?;
    let to = from.join(location).ok()?;
    let fits = match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http",
        _ => false,
    };
    let bare = to.username().is_empty() && to.password().is_none();
    (fits && bare && to.host_str().is_some()).then_some(to)
}

/// Whether credentials for the one may be shown to the other.
pub(super) fn same_origin(a: &str, b: &Url) -> bool {
    Url::parse(a).is_ok_and(|a| a.origin() == b.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_has_three_names() {
        assert_eq!(base("docker.io", false), "https://registry-1.docker.io");
        assert_eq!(base("r.example:5000", false), "https://r.example:5000");
        assert_eq!(base("r.example:5000", true), "http://r.example:5000");
        assert_eq!(credentials_of("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(credentials_of("r.example"), "r.example");
        assert_eq!(repository("docker.io", "alpine"), "library/alpine");
        assert_eq!(repository("docker.io", "a/b"), "a/b");
        assert_eq!(repository("r.example", "alpine"), "alpine");
    }

    #[test]
    fn this_machine_is_known() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "r.example",
            "localhost.example",
            "127.0.0.1.example:5000",
            "10.0.0.1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn where_an_answer_may_send_us() {
        let from = "https://r.example/v2/a/blobs/x";
        let to = |location| resolved(from, location).map(|url| url.to_string());
        assert_eq!(to("/v2/b?c=d").unwrap(), "https://r.example/v2/b?c=d");
        assert_eq!(
            to("https://cdn.example/x").unwrap(),
            "https://cdn.example/x"
        );
        for bad in [
            "http://cdn.example/x",
            "ftp://cdn.example/x",
            "https://u:p@cdn.example/",
        ] {
            assert_eq!(to(bad), None, "{bad}");
        }
        assert!(same_origin(from, &resolved(from, "/x").unwrap()));
        assert!(!same_origin(
            from,
            &resolved(from, "https://r.example:444/").unwrap()
        ));
    }
}
