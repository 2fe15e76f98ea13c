//! The HTTP client of the AWS SDK. It goes through the proxies of the environment, as every
//! AWS SDK does, except to services on this machine: `dueflow local`, the demo and the tests
//! must not leave it. For those no TLS is set up either.

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
    ByHost(Arc::new(Ways { here: Builder::new().build_http(), by_environment })).into_shared()
}

/// The ways that requests go.
#[derive(Debug)]
struct Ways {
    /// Without a proxy or TLS.
    here: SharedHttpClient,
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
        let way = if is_here(request.uri()) { &self.ways.here } else { &self.ways.by_environment };
        way.http_connector(&self.settings, &self.components).call(request)
    }
}

fn is_here(uri: &str) -> bool {
    let url: Result<reqwest::Url, _> = uri.parse();
    url.is_ok_and(|url| url.scheme() == "http" && url.host_str().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requests_to_this_machine_leave_the_proxy_out() {
        assert!(is_here("http://127.0.0.1:8000/") && is_here("http://localhost:9324/x"));
        for uri in ["https://sqs.eu-central-1.amazonaws.com/", "http://10.0.0.1/", "/", ""] {
            assert!(!is_here(uri), "{uri}");
        }
    }
}
