//! What lies at the bottom of an error of an HTTP client, ours or an SDK's.

use std::error::Error;

/// Whether the other side's certificate was not accepted.
pub fn refuses_the_certificate(error: &(dyn Error + 'static)) -> bool {
    is_of_tls(error) || sources(error).any(is_of_tls)
}

/// The innermost cause, in at most 512 characters: the outer ones repeat the URL.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    sources(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
        .chars()
        .take(512)
        .collect()
}

/// An I/O error names as its source not what it holds but the source of that:
/// what it holds is looked at too, however many hold one another.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_of_tls(inner))
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_certificate_that_is_refused_is_seen_through_what_holds_it() {
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert!(refuses_the_certificate(&tls()));
        let once = io::Error::other(tls());
        assert!(refuses_the_certificate(&once));
        assert!(refuses_the_certificate(&io::Error::other(once)));
        let other = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(!refuses_the_certificate(&other));
    }
}
