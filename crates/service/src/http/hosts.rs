//! The names under which this server answers.
//!
//! A web page may have its own name resolve to this machine (DNS rebinding) and then is of the same
//! origin as this server, as far as a browser can tell. What gives it away is the name in `Host`.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Version, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use crate::{Problem, Result};

/// Which names are answered, beside `localhost` and every IP address, for which no page can have
/// the name resolve to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Any.
    Any,
    /// These, in lower case.
    Only(Vec<String>),
}

impl FromStr for Hosts {
    type Err = ();

    /// Names with commas between; `*` for any.
    fn from_str(text: &str) -> Result<Self, ()> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(str::to_ascii_lowercase).collect();
        if names.iter().any(|name| name == "*") {
            return Ok(Self::Any);
        }
        // A name, not a URL and not with a port: it is answered at any.
        let is_name = |name: &String| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if names.iter().all(is_name) { Ok(Self::Only(names)) } else { Err(()) }
    }
}

impl Hosts {
    fn allow(&self, authority: &Authority) -> bool {
        let Self::Only(names) = self else { return true };
        let host = authority.host().to_ascii_lowercase();
        // The root of the name system may be written.
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || address.parse::<IpAddr>().is_ok()
            || names.iter().any(|name| name == host)
    }
}

/// Refuses requests without exactly one `Host` (RFC 9112 §3.2), and those for other names.
pub(super) async fn check(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let mut given = request.headers().get_all(header::HOST).iter();
    let authority = match (given.next(), given.next()) {
        (None, None) if request.version() < Version::HTTP_11 => None,
        (Some(host), None) => Some(authority(host)?),
        (None, _) => return Err(Problem::bad_request("the Host header is missing")),
        _ => return Err(Problem::bad_request("there is more than one Host header")),
    };
    // The absolute form of a target names a host as well (RFC 9112 §3.2.2).
    let named = authority.iter().chain(request.uri().authority());
    if !named.into_iter().all(|authority| hosts.allow(authority)) {
        let detail = "this server does not answer for that Host: ALLOWED_HOSTS names those it does";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail));
    }
    Ok(next.run(request).await)
}

fn authority(host: &HeaderValue) -> Result<Authority> {
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let authority = authority.filter(|authority| !authority.as_str().contains('@'));
    authority.ok_or_else(|| Problem::bad_request("the Host header is no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_page_can_take_are_answered_unless_named() {
        let hosts: Hosts = "music.example.org, Segue".parse().expect("are names");
        let allows = |host: &str| hosts.allow(&host.parse().expect("is an authority"));
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:80",
            "app.localhost:3000",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "192.168.1.5",
            "music.example.org:443",
            "segue:8080",
        ] {
            assert!(allows(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "evil-localhost",
            "2130706433",
            "0x7f.1",
            "example.org",
            "sub.music.example.org",
        ] {
            assert!(!allows(host), "{host}");
        }
        assert!(Hosts::Any.allow(&"evil.example".parse().expect("is an authority")));
    }

    #[test]
    fn a_list_holds_names_without_ports() {
        assert_eq!("a.example, *".parse(), Ok(Hosts::Any));
        for list in ["http://a.example", "a.example:80", "a b"] {
            assert!(list.parse::<Hosts>().is_err(), "{list}");
        }
    }
}
