//! The HTTP client of the AWS SDK. It goes through the proxies of the environment, as every
//! AWS SDK does, except to services on this machine: `dueflow local`, the demo and the tests
//! must not leave it. TLS is set up for https alone: plain http needs no certificates.

use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;

use crate::http::is_loopback;

/// The client.
pub(crate) fn client() -> SharedHttpClient {
    ByHost(Arc::new(ways())).into_shared()
}

fn ways() -> Ways {
    let by_environment = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    });
    let plain = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build_http()
    });
    let here = Builder::new().build_http();
    Ways { here, plain, by_environment }
}

/// The ways that requests go.
#[derive(Debug)]
struct Ways {
    /// Without a proxy or TLS.
    here: SharedHttpClient,
    /// Without TLS, through the environment's proxies.
    plain: SharedHttpClient,
    /// With TLS, through the environment's proxies.
    by_environment: SharedHttpClient,
}

/// A client that decides by the host of each request.
#[derive(Debug)]
struct ByHost(Arc<Ways>);

impl HttpClient for ByHost {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let ways = Arc::clone(&self.0);
        let (settings, components) = (settings.clone(), components.clone());
        SharedHttpConnector::new(Connector { ways, settings, components })
    }
}

/// The connectors of both are kept by the clients themselves: this is made for each request.
#[derive(Debug)]
struct Connector {
    ways: Arc<Ways>,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.ways.of(request.uri()).http_connector(&self.settings, &self.components).call(request)
    }
}

impl Ways {
    fn of(&self, uri: &str) -> &SharedHttpClient {
        match uri.parse::<reqwest::Url>() {
            Ok(url) if url.scheme() == "http" => {
                if url.host_str().is_some_and(is_loopback) {
                    &self.here
                } else {
                    &self.plain
                }
            }
            Ok(_) | Err(_) => &self.by_environment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requests_to_this_machine_leave_the_proxy_out_and_only_https_sets_up_tls() {
        let ways = ways();
        let way = |uri: &str| match ways.of(uri) {
            way if std::ptr::eq(way, &ways.here) => "here",
            way if std::ptr::eq(way, &ways.plain) => "plain",
            _ => "tls",
        };
        assert_eq!(way("http://127.0.0.1:8000/"), "here");
        assert_eq!(way("http://localhost:9324/x"), "here");
        assert_eq!(way("http://10.0.0.1/"), "plain");
        for uri in ["https://sqs.eu-central-1.amazonaws.com/", "https://127.0.0.1/", "/", ""] {
            assert_eq!(way(uri), "tls", "{uri}");
        }
    }
}
