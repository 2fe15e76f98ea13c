//! Where the processes connect to, and what they need of the machine for it.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::flow::DUEFLOW;

/// Counts who connects, and hangs up.
fn listener() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, seen)
}

fn without_certificates(command: &mut Command) -> &mut Command {
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_proxy_of_the_environment_sees_nothing_and_plain_http_needs_no_certificates() {
    let (proxy, seen) = listener();
    let mut demo = Command::new(DUEFLOW);
    demo.args(["demo", "--payments", "40", "--asynchronous"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    {
        demo.env(name, &proxy);
    }
    demo.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = without_certificates(&mut demo).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(seen.load(Ordering::SeqCst), 0, "calls went to the proxy");
}

#[test]
fn an_address_that_needs_certificates_says_so_with_its_whole_chain_when_there_are_none() {
    let mut preflight = Command::new(DUEFLOW);
    preflight
        .arg("preflight")
        .env("DUEFLOW_TRANSACTION_URL", "https://transactions.example.invalid")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let output = without_certificates(&mut preflight).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).to_lowercase() + &stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("certificates"), "{said}");
}

#[test]
fn no_password_of_a_broken_address_is_shown() {
    let broken = "https//me:hunter2@transactions.bank.example";
    for (name, value) in [
        ("DUEFLOW_TRANSACTION_URL", broken),
        ("DUEFLOW_TRANSACTION_PROXY", broken),
        ("DUEFLOW_ADMIN_ADDRESS", broken),
    ] {
        let output = Command::new(DUEFLOW).arg("dispatcher").env(name, value).output().unwrap();
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(name) && !errors.contains("hunter2"), "{errors}");
    }
    let arguments = ["preflight", "--admin", broken];
    let output = Command::new(DUEFLOW).args(arguments).output().unwrap();
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(errors.contains("--admin") && !errors.contains("hunter2"), "{errors}");
}

/// A zone that is UTC, in the format of RFC 8536.
fn write_utc(path: &Path) {
    let block = |version: u8| {
        let mut block = b"TZif".to_vec();
        block.push(version);
        block.extend([0; 15]);
        for count in [0_u32, 0, 0, 0, 1, 4] {
            block.extend(count.to_be_bytes());
        }
        block.extend([0; 6]);
        block.extend(b"UTC\0");
        block
    };
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&[block(b'2'), block(b'2'), b"\nUTC0\n".to_vec()].concat()).unwrap();
}

#[test]
fn a_list_of_zones_with_one_zone_hides_no_other() {
    let zones = std::env::temp_dir().join(format!("dueflow-zones-{}", std::process::id()));
    std::fs::create_dir_all(&zones).unwrap();
    write_utc(&zones.join("UTC"));
    let status = |zone: &str| {
        let mut due = Command::new(DUEFLOW);
        due.args(["payments", "due", "--date", "2026-11-23", "--status", "SCHEDULED", "--json"])
            .env("TZDIR", &zones)
            .env("DUEFLOW_TIME_ZONE", zone)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        due.output().unwrap()
    };
    // Nothing listens there: beyond the settings is what matters.
    let output = status("Europe/Madrid");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let output = status("Europe/Madrd");
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    std::fs::remove_dir_all(zones).unwrap();
}
