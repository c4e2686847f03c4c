//! Error of the HTTP library -> what is in the way of a connection, if that can be told.

use std::error::Error;
use std::io;

use rustls::CertificateError::{
    BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
    NotValidYetContext, UnknownIssuer,
};

use super::resolver::NoAddress;
use swr_operator_core::failure::Obstacle;

/// What is in the way. The outermost error that says so counts: whatever befalls the way to a proxy is of the
/// proxy.
pub(super) fn obstacle(error: &reqwest::Error) -> Option<Obstacle> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        match error.downcast_ref::<NoAddress>() {
            Some(NoAddress::Unresolved(_)) => return Some(Obstacle::Unresolved),
            Some(NoAddress::Forbidden) => return Some(Obstacle::ForbiddenAddress),
            None => {}
        }
        // hyper-util does not export the type.
        if let Some(tunnel) = error.to_string().strip_prefix("tunnel error: ") {
            return Some(of_tunnel(tunnel));
        }
        // What an `io::Error` wraps is not its source.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn of_tls(error: &rustls::Error) -> Obstacle {
    let rustls::Error::InvalidCertificate(why) = error else {
        return Obstacle::NoTls;
    };
    // An authority that was made anew under its old name has another key, so its signature does not fit.
    if matches!(why, UnknownIssuer | BadSignature) {
        Obstacle::UnknownAuthority
    } else if matches!(why, NotValidForName | NotValidForNameContext { .. }) {
        Obstacle::OtherHost
    } else if matches!(
        why,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
    ) {
        Obstacle::OutOfDate
    } else {
        Obstacle::Certificate
    }
}

fn of_tunnel(words: &str) -> Obstacle {
    match words {
        "proxy authorization required" => Obstacle::ProxyPassword,
        "unsuccessful" => Obstacle::ProxyRefuses,
        _ => Obstacle::ProxyUnreachable,
    }
}
