//! The reader of CSV against Python's, in its strict mode, over generated texts.
//!
//! Whatever is taken here, Python takes, with the same fields; whatever Python rejects is rejected
//! here. What only this reader rejects is what RFC 4180 forbids and Python lets pass.

use std::io::Write;
use std::process::{Command, Stdio};

use fastrand::Rng;

use crate::RowSyntax;
use crate::file::{CsvParser, RowEnd, RowReader, SyntaxError};

/// Texts that are compared in one run.
const TEXTS: usize = 20_000;
/// The same texts each time; another number of `DUEFLOW_CSV_SEED` gives others.
const SEED: u64 = 4180;

/// Reads each text, a JSON string on a line of its own, and writes its rows, or null.
const PYTHON: &str = r#"
import csv, io, json, sys
for line in sys.stdin:
    text = json.loads(line)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        rows = None
    print(json.dumps(rows))
"#;

/// A text that is CSV, nearly CSV, or neither.
fn generate(random: &mut Rng) -> String {
    const PIECES: [&str; 14] =
        ["a", "7", "é", " ", ",", ",", "\"", "\"", "\"\"", "\n", "\r\n", "\r", "\",\"", "\"\n"];
    let mut text = String::new();
    if random.bool() {
        for _ in 0..random.usize(0..14) {
            text.push_str(PIECES[random.usize(0..PIECES.len())]);
        }
    } else {
        // Rows as a program writes them, with one piece of dirt at most.
        for _ in 0..random.usize(1..4) {
            for field in 0..random.usize(1..4) {
                if field > 0 {
                    text.push(',');
                }
                let content: String = (0..random.usize(0..5))
                    .map(|_| PIECES[random.usize(0..PIECES.len())])
                    .collect();
                if content.contains([',', '"', '\n', '\r']) || random.bool() {
                    text.push_str(&format!("\"{}\"", content.replace('"', "\"\"")));
                } else {
                    text.push_str(&content);
                }
            }
            text.push_str(if random.bool() { "\n" } else { "\r\n" });
        }
        if random.bool() {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            let at = places.get(random.usize(0..=places.len())).copied().unwrap_or(text.len());
            text.insert_str(at, PIECES[random.usize(0..PIECES.len())]);
        }
    }
    text
}

/// The rows of a text, or the fault for which it is rejected.
fn read(text: &str) -> Result<Vec<Vec<String>>, SyntaxError> {
    let mut lines = RowReader::new(text.as_bytes(), RowSyntax::Csv);
    let mut rows = Vec::new();
    while let Some(span) = lines.next().unwrap() {
        if let Some(found) = span.error {
            return Err(found.error);
        }
        if span.end == RowEnd::FileInQuotes {
            return Err(SyntaxError::Open);
        }
        if !lines.bytes().is_empty() {
            rows.push(CsvParser::fields(lines.bytes()).unwrap());
        }
    }
    Ok(rows)
}

/// What Python makes of the texts; `None` where there is no Python.
fn ask_python(texts: &[String]) -> Option<Vec<Option<Vec<Vec<String>>>>> {
    let python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = match python {
        Ok(python) => python,
        Err(error) => {
            // Not seen is not the same as right, so where it must be there it is a failure.
            assert!(std::env::var_os("CI").is_none(), "CI needs python3: {error}");
            eprintln!("SKIPPED: python3 is missing ({error}); nothing was compared");
            return None;
        }
    };
    let mut input = python.stdin.take().unwrap();
    let lines: Vec<_> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    let writing = std::thread::spawn(move || {
        input.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    });
    let output = python.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success(), "python3 failed");
    let answers = String::from_utf8(output.stdout).unwrap();
    Some(answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn what_is_taken_as_csv_says_the_same_to_pythons_strict_reader() {
    let seed = std::env::var("DUEFLOW_CSV_SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    let mut random = Rng::with_seed(seed);
    let texts: Vec<_> = (0..TEXTS).map(|_| generate(&mut random)).collect();
    let Some(answers) = ask_python(&texts) else { return };
    assert_eq!(answers.len(), texts.len());
    let (mut taken, mut rejected, mut stricter) = (0, 0, 0);
    for (text, python) in texts.iter().zip(answers) {
        // A blank line is an empty row to Python, and none here.
        let python = python.map(|rows| rows.into_iter().filter(|row| !row.is_empty()).collect());
        match (read(text), python) {
            (Ok(rows), Some(theirs)) => {
                let theirs: Vec<Vec<String>> = theirs;
                assert_eq!(rows, theirs, "{text:?} of seed {seed}");
                taken += 1;
            }
            (Err(_), None) => rejected += 1,
            (Err(SyntaxError::BareQuote | SyntaxError::LoneReturn), Some(_)) => stricter += 1,
            (ours, theirs) => panic!("{text:?} of seed {seed}: {ours:?} here, {theirs:?} there"),
        }
    }
    // A generator that makes only one kind of text compares nothing.
    assert!(
        taken > TEXTS / 5 && rejected > TEXTS / 20 && stricter > TEXTS / 20,
        "{taken} taken, {rejected} rejected by both, {stricter} only here"
    );
}
