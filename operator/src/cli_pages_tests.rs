//! The pages of `docs/cli`, made from the commands' definitions:
//! `DUEFLOW_WRITE_CLI_PAGES=1 cargo test -p operator --lib every_command_has_its_page`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory};

use demo::local_world::SERVICES;
use shared::config;

use super::Cli;

/// The pages by their file names: one for each command that does something, and the list of them.
fn pages() -> BTreeMap<String, String> {
    let mut commands = Vec::new();
    collect("dueflow", &Cli::command(), &mut commands);
    let mut pages = BTreeMap::new();
    let mut list = "# Commands\n\nThese pages are made from the commands' definitions; each \
                    command prints its own with `--help`.\n\n"
        .to_owned();
    for (name, command) in commands {
        let file = format!("{}.md", name.trim_start_matches("dueflow ").replace(' ', "-"));
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(list, "- [`{name}`]({file}): {about}").unwrap();
        pages.insert(file, page(&name, command));
    }
    pages.insert("README.md".to_owned(), list);
    pages
}

fn collect(name: &str, command: &Command, commands: &mut Vec<(String, Command)>) {
    if !command.has_subcommands() {
        commands.push((name.to_owned(), command.clone()));
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        collect(&format!("{name} {}", inner.get_name()), inner, commands);
    }
}

fn page(name: &str, command: Command) -> String {
    let mut command = command.bin_name(name.to_owned()).disable_help_flag(true);
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let about = command.get_long_about().or(command.get_about());
    let mut page =
        format!("# {name}\n\n{}\n\n", about.map(ToString::to_string).unwrap_or_default());
    writeln!(page, "```text\n{usage}\n```\n").unwrap();
    for (title, positional) in [("Arguments", true), ("Options", false)] {
        let wanted = |arg: &&Arg| arg.is_positional() == positional && !arg.is_hide_set();
        let arguments: Vec<_> = command.get_arguments().filter(wanted).collect();
        if !arguments.is_empty() {
            writeln!(page, "## {title}\n").unwrap();
            arguments.into_iter().for_each(|arg| page.push_str(&item(arg)));
            page.push('\n');
        }
    }
    if let Some(help) = command.get_after_long_help().or(command.get_after_help()) {
        writeln!(page, "## More\n\n{help}").unwrap();
    }
    let service = name.trim_start_matches("dueflow ");
    if SERVICES.contains(&service) {
        writeln!(page, "## Settings\n\n```text\n{}\n```", config::help(service).trim()).unwrap();
    }
    format!("{}\n", page.trim_end())
}

fn item(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut item = format!("- `{arg}`: {}", help.split_whitespace().collect::<Vec<_>>().join(" "));
    if arg.get_action().takes_values() {
        let values: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        for (title, texts) in
            [("possible values", values.join(", ")), ("default", defaults.join(" "))]
        {
            if !texts.is_empty() {
                write!(item, " [{title}: {texts}]").unwrap();
            }
        }
    }
    item + "\n"
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/cli")
}

#[test]
fn every_command_has_its_page_and_every_page_its_command() {
    let (folder, pages) = (folder(), pages());
    if std::env::var_os("DUEFLOW_WRITE_CLI_PAGES").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, page) in &pages {
            fs::write(folder.join(file), page).unwrap();
        }
    }
    let entries = fs::read_dir(&folder).unwrap();
    let mut there: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, pages.keys().cloned().collect::<Vec<_>>());
    for (file, page) in pages {
        let written = fs::read_to_string(folder.join(&file)).unwrap();
        assert!(
            written == page,
            "docs/cli/{file} is out of date: see operator/src/cli_pages_tests.rs"
        );
    }
}
