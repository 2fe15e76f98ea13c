//! Reading settings: every error is kept, none ends the reading.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use super::catalogue::catalogue;
use crate::http::without_user_info;

const CONFIG_FILE: &str = "DUEFLOW_CONFIG_FILE";

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Default,
    File { path: String, line: usize },
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// All that is wrong with the settings of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} error(s):", self.0.len())?;
        for error in &self.0 {
            writeln!(f, "  - {error}")?;
        }
        f.write_str("--help lists every setting with its default")
    }
}

/// The values of all settings, and what was found wrong with them so far.
pub struct Settings {
    values: HashMap<&'static str, (String, Origin)>,
    errors: Vec<String>,
}

/// Without the values: some are secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("errors", &self.errors).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads this process's environment, and the file that it may name.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::load(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))
    }

    /// Reads settings from the given variables; those without the prefix `DUEFLOW_` do not
    /// concern it. An unknown name with the prefix is an error: it may be a typing mistake
    /// in a setting that somebody relies on.
    #[must_use]
    pub fn load(environment: impl Iterator<Item = (String, String)>) -> Self {
        let defaults = catalogue()
            .iter()
            .map(|setting| (setting.name, (setting.default.to_owned(), Origin::Default)));
        let mut settings = Self { values: defaults.collect(), errors: Vec::new() };
        let environment: Vec<_> =
            environment.filter(|(name, _)| name.starts_with("DUEFLOW_")).collect();
        let file = environment.iter().find(|(name, path)| name == CONFIG_FILE && !path.is_empty());
        if let Some((_, path)) = file {
            settings.read_file(path);
        }
        for (name, value) in environment {
            settings.set(&name, value, Origin::Environment);
        }
        settings
    }

    fn read_file(&mut self, path: &str) {
        let content = match std::fs::read_to_string(path) {
            Ok(content) => content,
            Err(error) => {
                self.errors.push(format!("{CONFIG_FILE}: {path} cannot be read: {error}"));
                return;
            }
        };
        for (index, line) in content.lines().enumerate() {
            let origin = Origin::File { path: path.to_owned(), line: index + 1 };
            let line = line.trim();
            match line.split_once('=') {
                _ if line.is_empty() || line.starts_with('#') => {}
                Some((name, value)) => self.set(name.trim(), value.trim().to_owned(), origin),
                None => {
                    let name = shown(line);
                    self.errors.push(format!("{origin}: {name} is not NAME=value"));
                }
            }
        }
    }

    fn set(&mut self, name: &str, value: String, origin: Origin) {
        match catalogue().iter().find(|setting| setting.name == name) {
            Some(setting) => {
                self.values.insert(setting.name, (value, origin));
            }
            None => self.errors.push(format!("{} ({origin}) is not a setting", shown(name))),
        }
    }

    /// Says that something is wrong with the value of `name`.
    pub fn refuse(&mut self, name: &str, reason: impl fmt::Display) {
        let (value, origin) =
            self.values.get(name).map_or(("", &Origin::Default), |(v, o)| (v.as_str(), o));
        let value = without_user_info(value);
        let error = format!("{name}={value} ({origin}): {reason}");
        self.errors.push(error);
    }

    /// A value as given, or `None` when it is empty.
    #[must_use]
    pub fn optional(&self, name: &'static str) -> Option<String> {
        self.values.get(name).map(|(value, _)| value.clone()).filter(|value| !value.is_empty())
    }

    /// A value read by its type's own parser.
    pub fn parse<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.parse_with(name, |text| text.parse::<T>().map_err(|error| error.to_string()))
    }

    /// A value read by `parse`; there must be one.
    pub fn parse_with<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = self.optional(name) else {
            self.refuse(name, "must be set");
            return None;
        };
        parse(&text).map_err(|reason| self.refuse(name, reason)).ok()
    }

    /// A secret read by `parse`, or `None` when it is empty. Unlike any other value it is
    /// named but not shown when it is wrong, so `parse` must not show it either.
    pub fn secret<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        parse(&text).map_err(|reason| self.errors.push(format!("{name}: {reason}"))).ok()
    }

    /// A whole number within `range`.
    pub fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        self.parse_with(name, |text| match text.parse::<T>() {
            Ok(number) if range.contains(&number) => Ok(number),
            Ok(_) | Err(_) => {
                Err(format!("must be a whole number from {} to {}", range.start(), range.end()))
            }
        })
    }

    /// A duration with a unit, within `range`.
    pub fn duration(
        &mut self,
        name: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.parse_with(name, |text| {
            // A bare number has no unit and would be a guess.
            let unit_given = text.ends_with(|c: char| c.is_ascii_alphabetic());
            let parsed = text.parse::<SignedDuration>().ok().filter(|_| unit_given);
            match parsed.and_then(|duration| Duration::try_from(duration).ok()) {
                Some(duration) if range.contains(&duration) => Ok(duration),
                Some(_) | None => Err(format!(
                    "must be a duration with a unit, such as 30s, from {:?} to {:?}",
                    range.start(),
                    range.end()
                )),
            }
        })
    }

    /// Ends the reading: `config` if nothing was wrong.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that was wrong.
    pub fn finish<C>(self, config: Option<C>) -> Result<C, ConfigErrors> {
        match config {
            Some(config) if self.errors.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigErrors(self.errors)),
        }
    }
}

/// What may be shown of what should be a name. A line with a typing mistake may hold a secret,
/// and base64 may end in `=`, so the value may be taken for the name.
fn shown(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let more = if rest.is_empty() { "" } else { "…" };
    if name.starts_with("DUEFLOW_") { format!("{name}{more}") } else { "what it says".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Settings {
        Settings::load(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let mut settings = load(&[
            ("DUEFLOW_DRAIN_TIMEOUT", "25"),
            ("DUEFLOW_WORKER_THREADS", "0"),
            ("DUEFLOW_PREFIXX", "x"),
            ("PATH", "/bin"),
        ]);
        let drain = settings.duration("DUEFLOW_DRAIN_TIMEOUT", Duration::ZERO..=Duration::MAX);
        let threads = settings.number("DUEFLOW_WORKER_THREADS", 1..=8_u16);
        assert!(drain.is_none() && threads.is_none());
        let errors = settings.finish(Some(())).unwrap_err().to_string();
        for part in ["DUEFLOW_DRAIN_TIMEOUT=25", "DUEFLOW_WORKER_THREADS=0", "DUEFLOW_PREFIXX"] {
            assert!(errors.contains(part), "{part} is missing in {errors}");
        }
    }

    #[test]
    fn a_wrong_address_is_shown_without_its_user_and_password() {
        let mut settings = load(&[("DUEFLOW_TRANSACTION_URL", "https//me:hunter2@bank.example")]);
        settings.refuse("DUEFLOW_TRANSACTION_URL", "must be a URL");
        let errors = settings.finish(Some(())).unwrap_err().to_string();
        assert!(errors.contains("DUEFLOW_TRANSACTION_URL=…@bank.example"), "{errors}");
    }

    #[test]
    fn a_wrong_secret_is_named_but_not_shown() {
        let mut settings = load(&[("DUEFLOW_CALLBACK_SECRET", "hunter2")]);
        let read = settings.secret("DUEFLOW_CALLBACK_SECRET", |_| Err::<(), _>("is no secret"));
        assert!(read.is_none());
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        let errors = settings.finish(Some(())).unwrap_err().to_string();
        assert!(errors.contains("DUEFLOW_CALLBACK_SECRET: is no secret"), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }

    #[test]
    fn a_line_with_a_typing_mistake_is_located_but_its_secret_is_not_shown() {
        let file = std::env::temp_dir().join(format!("dueflow-{}.env", uuid::Uuid::now_v7()));
        let lines = [
            "DUEFLOW_CALLBACK_SECRET: whsec_HUNTER2=",
            "DUEFLOW_CALLBACK_SECRET whsec_HUNTER2",
            "HUNTER2=",
            "HUNTER2",
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let settings = load(&[(CONFIG_FILE, file.to_str().unwrap())]);
        let errors = settings.finish(Some(())).unwrap_err().to_string();
        for part in ["line 1", "line 2", "line 3", "line 4", "DUEFLOW_CALLBACK_SECRET"] {
            assert!(errors.contains(part), "{part} is missing in {errors}");
        }
        assert!(!errors.contains("HUNTER") && !errors.contains("whsec"), "{errors}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_default() {
        let file = std::env::temp_dir().join(format!("dueflow-{}.env", uuid::Uuid::now_v7()));
        std::fs::write(&file, "# mine\nDUEFLOW_PREFIX=file\nDUEFLOW_LOG=warn\nnonsense\n").unwrap();
        let path = file.to_str().unwrap();
        let settings = load(&[(CONFIG_FILE, path), ("DUEFLOW_PREFIX", "env")]);
        assert_eq!(settings.optional("DUEFLOW_PREFIX").as_deref(), Some("env"));
        assert_eq!(settings.optional("DUEFLOW_LOG").as_deref(), Some("warn"));
        assert_eq!(settings.optional("DUEFLOW_DUE_SHARDS").as_deref(), Some("16"));
        let errors = settings.finish(Some(())).unwrap_err().to_string();
        assert!(errors.contains("line 4"), "{errors}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn durations_have_units_and_limits() {
        let read = |text: &str| {
            load(&[("DUEFLOW_RECEIVE_WAIT", text)])
                .duration("DUEFLOW_RECEIVE_WAIT", Duration::from_secs(1)..=Duration::from_secs(20))
        };
        assert_eq!(read("1500ms"), Some(Duration::from_millis(1500)));
        for bad in ["20", "0s", "21s", "-3s", "soon"] {
            assert_eq!(read(bad), None, "{bad} was accepted");
        }
    }
}
