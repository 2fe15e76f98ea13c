//! The list of all settings, read from the embedded default file.

use std::fmt::Write;
use std::sync::LazyLock;

const FILE: &str = include_str!("defaults.env");

/// One setting as the default file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `DUEFLOW_…`.
    pub name: &'static str,
    /// Its default; empty when there is none.
    pub default: &'static str,
    /// The comment above it.
    pub help: String,
    /// The services it concerns, as the file heads them.
    pub section: &'static str,
}

/// Every setting, in the order of the file.
#[must_use]
pub fn catalogue() -> &'static [Setting] {
    static CATALOGUE: LazyLock<Vec<Setting>> = LazyLock::new(|| parse(FILE));
    &CATALOGUE
}

fn parse(file: &'static str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut section = "";
    let mut help = String::new();
    for line in file.lines() {
        if let Some(heading) = line.strip_prefix("#[").and_then(|line| line.strip_suffix(']')) {
            section = heading;
        } else if let Some(comment) = line.strip_prefix('#') {
            let space = if help.is_empty() { "" } else { " " };
            let _ = write!(help, "{space}{}", comment.trim());
        } else if let Some((name, default)) = line.split_once('=') {
            settings.push(Setting { name, default, help: std::mem::take(&mut help), section });
        } else {
            help.clear();
        }
    }
    settings
}

/// The settings of a service for its `--help`: those of every service and those whose
/// section names it.
#[must_use]
pub fn help(service: &str) -> String {
    let mut text = String::new();
    let mut section = "";
    let concerned = |setting: &&Setting| {
        setting.section == "every service" || setting.section.contains(service)
    };
    for setting in catalogue().iter().filter(concerned) {
        if section != setting.section {
            section = setting.section;
            let _ = writeln!(text, "\nSettings of {section}:");
        }
        let default = if setting.default.is_empty() { "no default" } else { setting.default };
        let _ = writeln!(text, "  {} ({default})", setting.name);
        for line in wrap(&setting.help, 84) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained_and_belongs_to_a_section() {
        assert!(catalogue().len() >= 15);
        for setting in catalogue() {
            assert!(setting.name.starts_with("DUEFLOW_"), "{}", setting.name);
            assert!(!setting.section.is_empty(), "{} has no section", setting.name);
            assert!(setting.help.len() > 20, "{} has no help", setting.name);
        }
    }

    #[test]
    fn help_lists_what_concerns_the_service_and_nothing_else() {
        let help = help("dispatcher");
        for name in ["DUEFLOW_PREFIX", "DUEFLOW_VISIBILITY_TIMEOUT", "DUEFLOW_TRANSACTION_URL"] {
            assert!(help.contains(name), "{name} is missing");
        }
        assert!(!help.contains("DUEFLOW_SWEEP_DAYS"));
    }
}
