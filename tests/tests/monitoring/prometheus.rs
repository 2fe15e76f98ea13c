//! promtool and a real Prometheus, from Debian's package `prometheus`.
//!
//! Where they are not installed these tests say so and check nothing, unless
//! `REQUIRE_PROMETHEUS` is set, as it is in CI.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dashboards::{dashboards, queries};
use crate::exported::filled_in;
use crate::root;
use crate::rules::{RULE_TESTS, RULES};

/// How long Prometheus may take to start.
const START: Duration = Duration::from_secs(30);

/// Whether a program is installed; says so when it is not.
fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    let required = std::env::var_os("REQUIRE_PROMETHEUS").is_some();
    assert!(found || !required, "{program} is not installed: apt-get install prometheus");
    if !found {
        eprintln!("NOT CHECKED: {program} is not installed (apt-get install prometheus)");
    }
    found
}

fn promtool(arguments: &[&str]) {
    if !installed("promtool") {
        return;
    }
    let output = Command::new("promtool").args(arguments).current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool: {}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_takes_the_rules_and_the_configuration() {
    promtool(&["check", "rules", RULES]);
    promtool(&["check", "config", "infra/monitoring/prometheus.yml"]);
}

#[test]
fn every_alert_fires_when_it_should_and_no_other_does() {
    promtool(&["test", "rules", RULE_TESTS]);
}

/// A Prometheus without targets.
struct Prometheus {
    process: Child,
    endpoint: String,
    _dir: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    async fn start(http: &reqwest::Client) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), "global: {}\n").unwrap();
        // Free when it was asked for: nobody else binds ports by number here.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { process, endpoint, _dir: dir };
        let deadline = Instant::now() + START;
        let ready = format!("{}/-/ready", prometheus.endpoint);
        // It answers 503 before it has read its data.
        while !http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < deadline, "Prometheus did not start within {START:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        prometheus
    }
}

#[tokio::test]
async fn a_real_prometheus_evaluates_every_query_of_every_dashboard() {
    if !installed("prometheus") {
        return;
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let prometheus = Prometheus::start(&http).await;
    let url = format!("{}/api/v1/query", prometheus.endpoint);
    let ask = async |query: &str| {
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let sent = http.get(url).send().await.unwrap();
        (sent.status().is_success(), sent.text().await.unwrap())
    };
    for (file, dashboard) in dashboards() {
        for (title, query) in queries(&dashboard) {
            let (good, answer) = ask(&filled_in(query)).await;
            assert!(good, "{file}, {title}: {query}: {answer}");
        }
    }
    assert!(!ask("sum by (result (up)").await.0, "a wrong query is noticed");
}
