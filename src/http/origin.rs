use reqwest::Url;

/// Scheme, host and port of an address that credentials may be sent to:
/// `https`, or `http` where it does not leave the machine.
///
/// # Errors
/// What is wrong with it.
pub fn origin(address: &str) -> Result<String, &'static str> {
    let url = Url::parse(address).map_err(|_| "it is no address such as https://host")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or a password");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("only scheme, host and port may stand there");
    }
    if !is_private(&url) {
        return Err(match url.scheme() {
            "http" => "http is for addresses of this machine alone; use https",
            _ => "it is no address such as https://host",
        });
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether credentials that are sent to `url` can be read only there: it is
/// `https`, or `http` that does not leave the machine.
pub fn is_private(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether the host is this machine, by its address or as `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_at_home() {
        for (address, expected) in [
            ("https://kms.example", "https://kms.example"),
            ("https://KMS.example:8443/", "https://kms.example:8443"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
            ("http://[::1]:9", "http://[::1]:9"),
            ("http://localhost:9", "http://localhost:9"),
        ] {
            assert_eq!(origin(address), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_could_be_overheard_or_is_no_origin_is_refused() {
        for address in [
            "http://kms.example",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "ftp://kms.example",
            "kms.example",
            "https://user@kms.example",
            "https://kms.example/path",
            "https://kms.example/?a=b",
            "",
        ] {
            assert!(origin(address).is_err(), "{address}");
        }
    }
}
