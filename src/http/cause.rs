//! What lies at the bottom of an error of an HTTP client, ours or an SDK's.

use std::error::Error;

/// What went wrong with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsCause {
    /// The other side's certificate was not accepted.
    Certificate,
    /// The other side did not accept what we sent: our certificate, or its lack.
    Refused,
    /// No TLS is spoken there, or none that we speak.
    Other,
}

/// What went wrong with TLS, where it was that.
pub fn tls_cause(error: &(dyn Error + 'static)) -> Option<TlsCause> {
    let found = causes(error).find_map(of_tls)?;
    Some(match found {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::InvalidCertRevocationList(_) => TlsCause::Certificate,
        rustls::Error::AlertReceived(_) => TlsCause::Refused,
        _ => TlsCause::Other,
    })
}

/// The innermost cause, in at most 512 characters: the outer ones repeat the URL.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
        .chars()
        .take(512)
        .collect()
}

/// An error and what caused it, outermost first.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An I/O error names as its source not what it holds but the source of that:
/// what it holds is looked at too, however many hold one another.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref().or_else(|| {
        error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| of_tls(inner))
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_certificate_that_is_refused_is_seen_through_what_holds_it() {
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let found = Some(TlsCause::Certificate);
        assert_eq!(tls_cause(&tls()), found);
        let once = io::Error::other(tls());
        assert_eq!(tls_cause(&once), found);
        assert_eq!(tls_cause(&io::Error::other(once)), found);
        let other = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(tls_cause(&other), None);
    }

    #[test]
    fn not_every_failure_of_tls_is_about_who_the_other_side_is() {
        use rustls::{AlertDescription, Error, InvalidMessage};
        for (error, cause) in [
            (Error::NoCertificatesPresented, TlsCause::Certificate),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                TlsCause::Refused,
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                TlsCause::Other,
            ),
        ] {
            assert_eq!(tls_cause(&io::Error::other(error)), Some(cause));
        }
    }
}
