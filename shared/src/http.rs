//! HTTP clients that go to the address they are given and nowhere else, and addresses as they
//! may be shown.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy, Url};

/// What a client begins with that talks to `address`: it follows no redirects, and no
/// `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` of the environment diverts it. A proxy is used
/// only if it is named here, and never to this machine itself.
///
/// TLS, with the certificates of the system, is set up only for what uses it: a container
/// without any can talk plain HTTP.
///
/// # Errors
/// The proxy's address.
pub fn client(address: &Url, proxy: Option<&Url>) -> Result<ClientBuilder, reqwest::Error> {
    let proxy = proxy.filter(|_| !address.host_str().is_some_and(is_loopback));
    let mut client = Client::builder().no_proxy().redirect(Policy::none());
    if let Some(proxy) = proxy {
        client = client.proxy(Proxy::all(proxy.clone())?);
    }
    let plain = |url: &Url| url.scheme() == "http";
    if plain(address) && proxy.is_none_or(plain) {
        client = client.tls_certs_only([]);
    }
    Ok(client)
}

/// Whether a host is this machine: `localhost`, a name below it, or a loopback address.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| match address {
            std::net::IpAddr::V4(v4) => v4.is_loopback(),
            std::net::IpAddr::V6(v6) => {
                v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
        })
}

/// A text that may be an address, or a broken one, without what stands before its last `@`:
/// a user and password.
#[must_use]
pub fn without_user_info(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.find("://").map_or("", |end| &before[..end + 3]);
    format!("{scheme}…@{after}")
}

/// A text without the user and password of each address in it, broken or not.
#[must_use]
pub fn without_user_infos(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(without_user_info).collect()
}

/// An error with all its causes, each once: `reqwest` and the SDK show only the outermost.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for host in ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        assert!(is_loopback("::ffff:127.0.0.1"));
        for host in ["10.0.0.1", "localhost.example.com", "example.com", "", "0.0.0.0", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn user_and_password_are_never_shown_however_broken_the_address_is() {
        for text in [
            "http://user:hunter2@bank.example/x",
            "https//user:hunter2@bank.example",
            "user:hunter2@bank.example",
            "http://user:hun/ter2:hunter2@bank.example:99999",
            "http://us@er:hunter2@bank.example",
        ] {
            let shown = without_user_info(text);
            assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
            assert!(shown.contains("bank.example"), "{shown}");
        }
        assert_eq!(without_user_info("http://user:p@h/x"), "http://…@h/x");
        assert_eq!(without_user_info("http://h:1/x"), "http://h:1/x");
    }

    #[test]
    fn an_error_is_told_with_its_causes_each_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer{}", if self.1 { ": inner" } else { "" })]
        struct Outer(#[source] std::io::Error, bool);
        let inner = || std::io::Error::other("inner");
        assert_eq!(chain(&Outer(inner(), false)), "outer: inner");
        assert_eq!(chain(&Outer(inner(), true)), "outer: inner");
    }
}
