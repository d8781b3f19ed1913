//! Why a session over TLS was not opened, in words that tell an operator what to do.

use rustls::{AlertDescription, CertificateError, Error};

/// The text of a TLS error of sqlx. It carries the error of the library only as text, so that the innermost cause is
/// the one with the advice.
#[derive(Debug, thiserror::Error)]
#[error("{cause}, so {advice}")]
struct TlsFault {
    cause: String,
    advice: &'static str,
}

/// Turns a failed handshake into [`sqlx::Error::Tls`] with advice. sqlx hides most of them in an I/O error, which would
/// pass for a server that is away and be retried.
pub(super) fn explained(error: sqlx::Error) -> sqlx::Error {
    match &error {
        sqlx::Error::Io(io) => match io.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => fault(inner.to_string(), advice(inner)),
            None => error,
        },
        sqlx::Error::Tls(inner) => fault(
            inner.to_string(),
            "turn ssl on at the server, check the files of the database url, or use another sslmode",
        ),
        _ => error,
    }
}

fn fault(cause: String, advice: &'static str) -> sqlx::Error {
    sqlx::Error::Tls(Box::new(TlsFault { cause, advice }))
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "use a host of the server's certificate in the database url, or sslmode=verify-ca",
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "name the authority that signed postgres' certificate with sslrootcert"
        }
        Error::InvalidCertificate(_) => "replace postgres' certificate",
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown,
        ) => "give postgres a certificate that it trusts with sslcert and sslkey",
        _ => "check the TLS settings of postgres and of the database url",
    }
}
