//! Runbooks, and the commands in them.

use std::fs;
use std::process::Command;

use crate::root;

/// Whether a page of Markdown has a section with this anchor.
pub(crate) fn section_exists(page: &str, anchor: &str) -> bool {
    page.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line) == anchor)
}

/// The anchor that GitHub gives a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether the command line takes `command`, which is not run: its help is printed instead.
///
/// # Errors
/// What the command line says.
pub(crate) fn takes(command: &str) -> Result<(), String> {
    if !command.starts_with("dueflow ") {
        return Err(format!("{command:?} is no command of dueflow"));
    }
    // A shell, because the command may have quotes.
    let script = format!("dueflow() {{ \"$EXECUTABLE\" \"$@\" --help; }}; {command}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("EXECUTABLE", env!("CARGO_BIN_EXE_dueflow-under-test"))
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What stands in a page for what an operator has at hand, and an example of it.
const PLACEHOLDERS: [(&str, &str); 2] = [
    ("REF", "ACC-000017/2026-11-24/019ab1f4-5c1e-7d3a-8b2f-0123456789ab"),
    ("STOP-ID", "019ab1f4-5c1e-7d3a-8b2f-0123456789ab"),
];

/// What can be run of a line of a page: up to a comment, a pipe or a redirection, with an example
/// for each placeholder.
fn runnable(line: &str) -> String {
    let command = line.split(['#', '|', '>']).next().unwrap_or_default();
    let words = command.split_whitespace().map(|word| {
        let example = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
        example.map_or(word, |(_, example)| example)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_command_line_takes_every_command_of_a_runbook() {
    let (mut pages, mut commands) = (0, 0);
    for file in fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let path = file.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        pages += 1;
        let mut in_block = false;
        for line in page.lines() {
            if line.starts_with("```") {
                in_block = line == "```sh";
            } else if in_block && line.starts_with("dueflow ") {
                commands += 1;
                takes(&runnable(line))
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
    }
    assert!(pages >= 5 && commands >= 15, "{commands} commands in {pages} pages");
}

#[test]
fn a_command_that_is_not_there_and_a_wrong_option_are_noticed() {
    assert_eq!(takes("dueflow dlq list --reason rejected"), Ok(()));
    assert_eq!(takes("dueflow dlq list --text \"no funds\""), Ok(()));
    assert!(takes("dueflow dlq list --text no funds").is_err());
    assert!(takes("dueflow dlq lists").is_err());
    assert!(takes("dueflow dlq list --code rejected").is_err());
    assert!(takes("dueflow dlq list --reason payed").is_err());
    assert!(takes("aws sqs purge-queue").is_err());
    assert_eq!(runnable("dueflow dlq list --json | jq -r .code"), "dueflow dlq list --json");
    assert_eq!(anchor_of("## A day is not opened"), "a-day-is-not-opened");
}
