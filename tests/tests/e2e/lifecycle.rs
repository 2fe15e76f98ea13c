//! `dueflow demo` and `dueflow local` end: what they started ends with them, and their folder is
//! gone, whatever they were ended by.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::flow::DUEFLOW;

/// How long all may take to end: the drain deadline of a service whose world is gone, and more.
const END: Duration = Duration::from_secs(60);
/// How long all may take to be up.
const START: Duration = Duration::from_secs(120);

/// A command under way.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    fn local() -> Self {
        let ports = ["--dynamodb-port", "0", "--sqs-port", "0", "--transactions-port", "0"];
        let mut child = Command::new(DUEFLOW)
            .arg("local")
            .args(ports)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let folder = folder_in(child.stdout.take().unwrap(), "databases and logs are in ");
        Self { child, folder }
    }

    fn demo() -> Self {
        let mut child = Command::new(DUEFLOW)
            .args(["demo", "--payments", "20000", "--rate", "100"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let folder = folder_in(child.stderr.take().unwrap(), "a transaction service in ");
        Self { child, folder }
    }

    /// The three services and the janitor, once they are all there.
    async fn descendants(&self) -> Vec<u32> {
        let asked_at = Instant::now();
        loop {
            let children = children_of(self.child.id());
            if children.len() == 4 && self.folder.join("confirmer.address").exists() {
                return children;
            }
            assert!(asked_at.elapsed() < START, "{children:?} were started");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Sends the signal and waits until nothing is left.
    async fn ends_without_a_trace(mut self, signal: &str) {
        let processes = self.descendants().await;
        assert!(self.folder.is_dir());
        self.signal(signal);
        let asked_at = Instant::now();
        self.child.wait().unwrap();
        loop {
            let left: Vec<_> = processes.iter().filter(|process| is_alive(**process)).collect();
            if left.is_empty() && !self.folder.exists() {
                return;
            }
            assert!(
                asked_at.elapsed() < END,
                "{signal} left {left:?}, and of {}: {}",
                self.folder.display(),
                self.folder.exists()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The folder that a line of the output names. The rest of the output is read and dropped.
fn folder_in(output: impl Read + Send + 'static, mark: &str) -> PathBuf {
    let mut lines = BufReader::new(output).lines();
    let folder = loop {
        let line = lines.next().expect("it ended before it said where its folder is").unwrap();
        if let Some((_, folder)) = line.split_once(mark) {
            break PathBuf::from(folder);
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    folder
}

/// The fields of a process behind its name (proc_pid_stat(5)): state, parent, …
fn stat(process: &Path) -> Option<Vec<String>> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let of_parent = processes.filter_map(|entry| {
        let process = entry.file_name().to_str()?.parse().ok()?;
        (stat(&entry.path())?.get(1)? == &parent.to_string()).then_some(process)
    });
    of_parent.collect()
}

/// Whether it is there and no zombie.
fn is_alive(process: u32) -> bool {
    stat(Path::new(&format!("/proc/{process}"))).is_some_and(|stat| stat[0] != "Z")
}

#[tokio::test]
async fn sigterm_ends_local_with_its_services_and_its_folder() {
    Running::local().ends_without_a_trace("-TERM").await;
}

#[tokio::test]
async fn a_closed_terminal_ends_local_with_its_services_and_its_folder() {
    Running::local().ends_without_a_trace("-HUP").await;
}

#[tokio::test]
async fn a_killed_local_takes_its_services_and_its_folder_with_it() {
    Running::local().ends_without_a_trace("-KILL").await;
}

#[tokio::test]
async fn sigterm_sigint_and_a_closed_terminal_end_a_demo_with_its_services_and_its_folder() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        Running::demo().ends_without_a_trace(signal).await;
    }
}

#[tokio::test]
async fn a_killed_demo_takes_its_services_and_its_folder_with_it() {
    Running::demo().ends_without_a_trace("-KILL").await;
}

/// Where everything was killed at once, nobody is left to clear up but the next one.
#[tokio::test]
async fn what_was_killed_with_its_janitor_is_removed_by_the_next() {
    let mut killed = Running::local();
    let all = killed.descendants().await;
    for process in &all {
        // The services first would end local, so it stands still meanwhile.
        if *process == all[0] {
            killed.signal("-STOP");
        }
        let status = Command::new("kill").args(["-KILL", &process.to_string()]).status();
        assert!(status.unwrap().success());
    }
    killed.signal("-KILL");
    killed.child.wait().unwrap();
    let asked_at = Instant::now();
    while all.iter().any(|process| is_alive(*process)) {
        assert!(asked_at.elapsed() < END);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(killed.folder.exists(), "nobody was left to remove it");
    let next = Running::local();
    assert!(!killed.folder.exists(), "the next one has removed it");
    next.ends_without_a_trace("-TERM").await;
}
