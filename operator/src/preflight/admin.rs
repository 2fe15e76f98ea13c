//! Services that say themselves how they are, by their admin ports.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use shared::telemetry::Samples;

use super::check::{Check, CheckResult};

/// How long a port may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Most bytes of a page of metrics that are read: some 20 KB are usual.
const PAGE: usize = 1024 * 1024;

/// What one service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceStatus {
    /// Who was asked.
    pub(super) url: String,
    /// What it answers to `/readyz`, or why it does not.
    pub(super) ready: Result<String, String>,
    /// What it is, by its metrics.
    pub(super) service: Option<&'static str>,
    /// Whether it is a dispatcher that takes the transaction service for down.
    pub(super) circuit_open: bool,
}

/// Asks one service.
pub(super) async fn ask(url: &Url) -> ServiceStatus {
    let (ready, page) = tokio::join!(get(url, "readyz"), get(url, "metrics"));
    let page = Samples::parse(&page.unwrap_or_default());
    let url = shared::http::without_user_info(url.as_str());
    ServiceStatus { url, ready, service: service(&page), circuit_open: circuit_open(&page) }
}

async fn get(url: &Url, path: &str) -> Result<String, String> {
    let failed = |error: reqwest::Error| super::format::cause(&error);
    let client = shared::http::client(url, None).map_err(failed)?;
    let client = client.timeout(ANSWER).build().map_err(failed)?;
    let url = url.join(path).map_err(|error| error.to_string())?;
    let mut answer = client.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > PAGE {
            return Err(format!("{status} with more than {PAGE} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    if status == StatusCode::OK { Ok(text) } else { Err(format!("{status} {text}")) }
}

fn service(page: &Samples) -> Option<&'static str> {
    let services = [
        ("stream-relay", "dueflow_stream_relay_"),
        ("dispatcher", "dueflow_dispatcher_"),
        ("confirmer", "dueflow_confirmer_"),
    ];
    services.into_iter().find(|(_, prefix)| page.has_prefix(prefix)).map(|(service, _)| service)
}

fn circuit_open(page: &Samples) -> bool {
    page.sum("dueflow_dispatcher_circuit_breaker_open") != 0.0
}

/// One result for each service that is not ready, or one for all that are.
pub(super) fn evaluate(said: &[ServiceStatus]) -> Vec<CheckResult> {
    let check = Check::Services;
    let remedy = "give --admin with the admin address of each dispatcher and confirmer";
    if said.is_empty() {
        let figure = "dispatchers and confirmers were not asked: they cannot be seen from outside";
        return vec![CheckResult::warn(check, figure, "", remedy)];
    }
    let mut results: Vec<CheckResult> = said.iter().filter_map(evaluate_one).collect();
    let of = |service| said.iter().filter(|one| one.service == Some(service)).count();
    let missing: Vec<_> =
        ["dispatcher", "confirmer"].into_iter().filter(|service| of(service) == 0).collect();
    // A service shows its metrics once it has counted something, so an idle one is unnamed.
    let unnamed = said.iter().filter(|one| one.service.is_none()).count();
    if unnamed == 0 && !missing.is_empty() {
        let figure = format!("no {} among those that were asked", missing.join(" and no "));
        results.push(CheckResult::warn(check, figure, "one of each at least", remedy));
    }
    if results.is_empty() {
        let mut figure = ["stream-relay", "dispatcher", "confirmer"]
            .into_iter()
            .filter(|service| of(service) > 0)
            .map(|service| format!("{} {service}", of(service)))
            .collect::<Vec<_>>();
        if unnamed > 0 {
            figure.push(format!("{unnamed} that has done nothing yet"));
        }
        results.push(CheckResult::go(check, format!("ready: {}", figure.join(", ")), ""));
    }
    results
}

fn evaluate_one(said: &ServiceStatus) -> Option<CheckResult> {
    let ServiceStatus { url, ready, service, circuit_open } = said;
    let who = service.unwrap_or("service");
    if let Err(reason) = ready {
        let figure = format!("{who} at {url} is not ready: {reason}");
        let remedy = "start it, or look into its log";
        return Some(CheckResult::no_go(Check::Services, figure, "ready", remedy));
    }
    circuit_open.then(|| {
        let figure = format!("{who} at {url} takes the transaction service for down");
        let remedy = "see that the transaction service takes payments; the dispatcher goes on by \
                      itself when it does";
        CheckResult::no_go(Check::Services, figure, "", remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{Severity, overall};
    use super::*;

    fn ready(service: &'static str) -> ServiceStatus {
        let ready = Ok("ready".to_owned());
        ServiceStatus {
            url: "http://a/".to_owned(),
            ready,
            service: Some(service),
            circuit_open: false,
        }
    }

    #[test]
    fn every_service_that_was_asked_must_be_ready_and_one_of_each_kind_should_be_asked() {
        let draining =
            ServiceStatus { ready: Err("503 draining".to_owned()), ..ready("confirmer") };
        let idle = ServiceStatus { service: None, ..ready("confirmer") };
        let open = ServiceStatus { circuit_open: true, ..ready("dispatcher") };
        for (said, severity) in [
            (vec![], Severity::Warn),
            (vec![ready("dispatcher")], Severity::Warn),
            (vec![ready("dispatcher"), ready("confirmer")], Severity::Go),
            (vec![ready("dispatcher"), idle], Severity::Go),
            (vec![ready("dispatcher"), draining], Severity::NoGo),
            (vec![open, ready("confirmer")], Severity::NoGo),
        ] {
            assert_eq!(overall(&evaluate(&said)), severity, "{said:?}");
        }
    }

    #[test]
    fn a_page_of_metrics_tells_which_service_it_is_of_and_whether_the_circuit_is_open() {
        let page = |value| {
            Samples::parse(&format!(
                "# TYPE dueflow_dispatcher_circuit_breaker_open gauge\ndueflow_dispatcher_circuit_breaker_open {value}\n"
            ))
        };
        assert_eq!(service(&page(0)), Some("dispatcher"));
        assert!(circuit_open(&page(1)) && !circuit_open(&page(0)));
        assert_eq!(
            (service(&Samples::parse("up 1\n")), circuit_open(&Samples::default())),
            (None, false)
        );
    }
}
