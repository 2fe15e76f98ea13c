//! Bad input of every kind, as files: what is rejected, where and why, and what goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{GOOD, HEADER, Try, csv, options, rejected, whole};
use crate::{Import, ImportError, SourceFile};

const ID: &str = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";

fn today(zone: &TimeZone) -> DueDate {
    DueDate::today(Timestamp::now(), zone)
}

fn prepare(path: &Path, arguments: &[&str]) -> Result<Import, ImportError> {
    Import::prepare(SourceFile::open(path)?, options("", arguments), today(&TimeZone::UTC))
}

#[test]
fn a_bad_field_of_csv_is_said_with_line_and_name_and_the_rest_goes_on() {
    let blob = |bytes: usize| format!("ACC-1,2999-11-23,1,EUR,B,{},", "x".repeat(bytes));
    let (fits, too_large) = (blob(7 * 1024), blob(8 * 1024));
    for (row, reason) in [
        ("ACC-1,2999-11-23,-5,EUR,B,,", "Amount: -5 is not above zero"),
        ("ACC-1,2999-11-23,0,EUR,B,,", "Amount: 0 is not above zero"),
        (
            "ACC-1,2999-11-23,12.50,EUR,B,,",
            "Amount: \"12.50\" is not a whole number of minor units",
        ),
        ("ACC-1,2999-11-23,1e3,EUR,B,,", "Amount: \"1e3\" is not a whole number"),
        ("ACC-1,2999-11-23,,EUR,B,,", "Amount: \"\" is not a whole number"),
        ("ACC-1,2999-11-23,9007199254740992,EUR,B,,", "Amount: 9007199254740992 is above"),
        ("ACC-1,2999-11-23,99999999999999999999,EUR,B,,", "Amount: 99999999999999999999 is above"),
        ("ACC-1,2999-11-23,1,XXQ,B,,", "Currency: \"XXQ\""),
        ("ACC-1,2999-11-23,1,eur,B,,", "Currency: \"eur\""),
        ("ACC-1,2999-02-30,1,EUR,B,,", "ScheduledDate: \"2999-02-30\""),
        ("ACC-1,23.11.2999,1,EUR,B,,", "ScheduledDate: \"23.11.2999\""),
        ("ACC-1,2020-11-23,1,EUR,B,,", "ScheduledDate: 2020-11-23 has passed"),
        (",2999-11-23,1,EUR,B,,", "AccountID: is empty"),
        ("ACC#1,2999-11-23,1,EUR,B,,", "AccountID: has '#'"),
        ("ACC-1,2999-11-23,1,EUR,a b,,", "BeneficiaryID: has ' '"),
        ("ACC-1,2999-11-23,1,EUR,B,,17", "PaymentID: \"17\""),
        (&too_large, "DataBlob: the payment ACC-1/2999-11-23"),
        ("ACC-1,2999-11-23,1,EUR,B", "has 5 fields, the header has 7"),
        ("ACC-1,2999-11-23,1,EUR,B,,,", "has 8 fields, the header has 7"),
    ] {
        let found = rejected(csv(&[GOOD, row, GOOD, &fits]).as_bytes(), &[]);
        let [(line, said)] = &found[..] else { panic!("{row} gave {found:?}") };
        assert!(*line == 3 && said.starts_with(reason), "{row} gave line {line}: {said}");
    }
}

#[test]
fn a_bad_field_of_json_is_said_with_line_and_name_and_the_rest_goes_on() {
    let good = r#"{"AccountID":"A","ScheduledDate":"2999-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"B"}"#;
    for (from, to, reason) in [
        ("1250", "-5", "Amount: -5 is not above zero"),
        ("1250", "12.50", "Amount: \"12.50\" is not a whole number of minor units"),
        ("1250", "99999999999999999999", "Amount: 99999999999999999999 is above"),
        ("1250", "[1]", "Amount: must be a JSON text"),
        ("1250", "null", "Amount: is missing"),
        ("\"A\"", "17", "AccountID: must be a JSON text"),
        ("\"A\"", "\"\\ud800\"", "AccountID: must be a JSON text"),
        ("\"EUR\"", "\"EURO\"", "Currency: \"EURO\""),
        ("2999-11-23", "2999-02-30", "ScheduledDate: \"2999-02-30\""),
        ("\"Currency\"", "\"Curency\"", "unknown field `Curency`"),
        ("\"Currency\"", "\"Amount\"", "duplicate field `Amount`"),
        ("{", "", "invalid type"),
        ("}", "", "EOF while parsing"),
    ] {
        let content = format!("{good}\n\n{}\n{good}\n", good.replacen(from, to, 1));
        let found = Try::new("monday.jsonl", content.as_bytes(), &[]).check().unwrap().1.reasons;
        let [(line, said)] = &found[..] else { panic!("{from} -> {to} gave {found:?}") };
        assert!(*line == 3 && said.starts_with(reason), "{from} -> {to} gave line {line}: {said}");
        assert!(!said.contains("line 1"), "the parser's line is not the file's: {said}");
    }
}

#[test]
fn bytes_that_are_no_text_are_rejected_as_they_are_and_the_rest_goes_on() {
    let rows = csv(&[GOOD, "ACC-1,2999-11-23,1,EUR,B,?,", GOOD]);
    let content: Vec<u8> = rows.bytes().map(|b| if b == b'?' { 0xff } else { b }).collect();
    let import = Try::new("monday.csv", &content, &[]);
    let (validation, results) = import.check().unwrap();
    assert_eq!((validation.totals.rows, results.counts.rejected), (3, 1));
    assert_eq!(results.reasons, [(3, "DataBlob: is not UTF-8 from its byte 1 on".to_owned())]);
    assert!(
        import.rejected_rows().windows(4).any(|part| part == b"B,\xff,"),
        "{:?}",
        import.rejected_rows()
    );

    let import = Try::new("monday.jsonl", b"{\"AccountID\":\"\xff\"}\n", &[]);
    assert_eq!(import.check().unwrap().1.reasons[0].1, "is not UTF-8 from its byte 15 on");
}

#[test]
fn a_row_without_end_is_refused_and_takes_no_memory() {
    let long = format!("ACC-1,2999-11-23,1,EUR,B,{},", "x".repeat(70_000));
    let found = rejected(csv(&[&long, GOOD]).as_bytes(), &[]);
    let [(2, reason)] = &found[..] else { panic!("{found:?}") };
    assert!(reason.starts_with("has 70026 bytes, from byte 73 of the file on"), "{reason}");
}

#[test]
fn a_bad_header_is_refused_whole_with_all_that_is_wrong() {
    let reason = whole(b"AccountID,Amount,Amount,Curency\n1,2,3,4\n", &[]);
    for part in
        ["ScheduledDate is missing", "Amount is there twice", "\"Curency\" is unknown", "PaymentID"]
    {
        assert!(reason.contains(part), "{part} is missing in {reason}");
    }
    assert_eq!(whole(b"", &[]), "the file is empty");
    assert_eq!(whole(b"\n\r\n", &[]), "the file is empty");
    assert!(whole(b"\xff\xfeA\0", &[]).contains("UTF-16"));
    assert!(whole(csv(&[]).as_bytes(), &[]).contains("the file holds no rows"));
    assert_eq!(whole(csv(&[]).as_bytes(), &["--expect-count", "0"]), "");
}

#[test]
fn a_byte_order_mark_blank_rows_and_either_line_end_make_no_difference() {
    let text = csv(&[GOOD, GOOD, "ACC-1,2999-11-23,7,EUR,B,\"two\nlines\","]);
    let plain = Try::new("monday.csv", text.as_bytes(), &[]).check().unwrap().0.totals;
    let windows =
        format!("\u{feff}{}\r\n\r\n", text.replace("C-1,", "C-1 ,").replace('\n', "\r\n"));
    let (validation, results) = Try::new("monday.csv", windows.as_bytes(), &[]).check().unwrap();
    assert_eq!(results.reasons, []);
    assert_eq!((validation.totals.rows, &validation.totals.sums), (3, &plain.sums));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_whole_and_says_where() {
    let rows = csv(&[GOOD, "ACC-2,2999-11-23,99,EUR,BEN-1,\"a \"\"b\"\",\nc\",", GOOD]);
    let trailer = "TRAILER,3,2599:EUR\n";
    let file = format!("{rows}{trailer}");
    assert_eq!(whole(file.as_bytes(), &["--trailer", "required"]), "");
    for cut in 0..file.len() {
        let reason = whole(&file.as_bytes()[..cut], &["--trailer", "required"]);
        assert_ne!(reason, "", "cut after byte {cut} it was taken");
    }
    let quoted = rows.find("c\"").unwrap();
    assert!(
        whole(&rows.as_bytes()[..quoted], &[]).starts_with("line 3: the file ends within a quoted")
    );
    assert!(
        whole(&rows.as_bytes()[..rows.len() - 1], &[]).starts_with("line 5: the last row has no")
    );
    let rows_left = rows.find("ACC-2").unwrap();
    let reason = whole(&rows.as_bytes()[..rows_left], &["--expect-count", "3"]);
    assert!(reason.contains("3 rows were expected, 1 found"), "{reason}");
}

#[test]
fn a_file_of_json_that_is_cut_anywhere_is_refused_whole() {
    let row = r#"{"AccountID":"A","ScheduledDate":"2999-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"é"}"#;
    let file = format!("{row}\n{row}\n{{\"Trailer\":{{\"Count\":2,\"Sums\":{{\"EUR\":2500}}}}}}");
    let whole = |bytes: &[u8]| {
        let import = Try::new("monday.jsonl", bytes, &["--trailer", "required"]);
        import.check().err().unwrap_or_default()
    };
    assert_eq!(whole(file.as_bytes()), "");
    for cut in 0..file.len() {
        assert_ne!(whole(&file.as_bytes()[..cut]), "", "cut after byte {cut} it was taken");
    }
    let without = Try::new("monday.jsonl", &file.as_bytes()[..row.len() + 9], &[]);
    let reason = without.check().err().unwrap_or_default();
    assert!(reason.starts_with("line 2: the file ends in the middle"), "{reason}");
}

#[test]
fn wrong_totals_are_said_all_at_once_and_refused_rows_count() {
    let rows = csv(&[GOOD, "ACC-2,2999-02-30,50,EUR,B,,", "ACC-2,2999-11-23,7,JPY,B,,"]);
    let right = ["--expect-count", "3", "--expect-sum", "1300:EUR", "--expect-sum", "7:JPY"];
    assert_eq!(whole(rows.as_bytes(), &right), "");
    let wrong = ["--expect-count", "4", "--expect-sum", "1301:EUR", "--expect-sum", "7:JPY"];
    let reason = whole(rows.as_bytes(), &wrong);
    assert!(reason.contains("4 rows were expected, 3 found"), "{reason}");
    assert!(reason.contains("a sum of 1301 EUR was expected, 1300 found"), "{reason}");

    for (trailer, part) in [
        ("TRAILER,2,1300:EUR,7:JPY,", "2 rows were expected, 3 found (trailer on line 5)"),
        ("TRAILER,3,1300:EUR", "no sum of JPY was expected, 7 found"),
        ("TRAILER", "line 5: the trailer: \"\" is no number of rows"),
        ("TRAILER,3,1300", "line 5: the trailer: \"1300\" names no currency"),
        ("TRAILER,3,1:EUR,2:EUR", "line 5: the trailer: EUR is there twice"),
        (&format!("TRAILER,3\n{GOOD}"), "line 6: a row after the trailer on line 5"),
    ] {
        let reason = whole(format!("{rows}{trailer}\n").as_bytes(), &[]);
        assert!(reason.contains(part), "{trailer} gave {reason}");
    }
    assert_eq!(whole(format!("{rows}\"TRAILER\",3,,,,,\n").as_bytes(), &[]), "");
    assert!(
        whole(rows.as_bytes(), &["--trailer", "required"]).contains("no trailer after the 3 rows")
    );
}

#[test]
fn an_id_belongs_to_its_first_row_and_may_come_again_with_the_same_content() {
    let row = |account: &str, amount: &str| format!("{account},2999-11-23,{amount},EUR,B,,{ID}");
    let rows = [row("A", "bad"), row("A", "7"), row("A", "007"), row("A", "8"), row("C", "7")];
    let found = rejected(csv(&rows.each_ref().map(String::as_str)).as_bytes(), &[]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].0 == 2 && found[0].1.starts_with("Amount"), "{found:?}");
    for (at, line) in [(1, 5), (2, 6)] {
        let reason = format!("PaymentID: {ID} is another payment on line 3");
        assert_eq!(found[at], (line, reason));
    }
}

#[test]
fn days_that_have_passed_are_taken_when_told_so_and_late_ones_refused_when_told_so() {
    let rows = csv(&["A,2020-11-23,1,EUR,B,,", GOOD]);
    assert_eq!(rejected(rows.as_bytes(), &["--allow-past"]), []);
    let last = rejected(rows.as_bytes(), &["--allow-past", "--latest", "2999-11-23"]);
    assert_eq!(last, [], "the last day that is taken is taken");
    let late = rejected(rows.as_bytes(), &["--allow-past", "--latest", "2998-12-31"]);
    assert_eq!(late, [(3, "ScheduledDate: 2999-11-23 is after 2998-12-31 (--latest)".to_owned())]);
    let far = Try::new("monday.csv", rows.as_bytes(), &[]).check().unwrap().0.far_ahead.unwrap();
    assert_eq!((far.rows, far.first.0), (1, 3));
}

#[test]
fn a_currency_that_nobody_is_paid_in_on_the_day_is_refused() {
    for (due, currency, reason) in [
        ("2999-11-23", "BGN", "Currency: BGN was withdrawn after 2025-12-31; EUR came instead"),
        ("2999-11-23", "HRK", "Currency: HRK was withdrawn"),
        ("2999-11-23", "ZWL", "Currency: ZWL was withdrawn"),
        ("2999-11-23", "SLL", "Currency: SLL was withdrawn"),
        ("2999-11-23", "CUC", "Currency: CUC was withdrawn"),
        ("2999-11-23", "ANG", "Currency: ANG was withdrawn after 2025-03-30; XCG came instead"),
        ("2999-11-23", "XXX", "Currency: XXX is the code for no currency"),
        ("2999-11-23", "XTS", "Currency: XTS is a code for tests"),
        ("2999-11-23", "XAU", "Currency: XAU is a precious metal"),
        ("2999-11-23", "CLF", "Currency: CLF is a fund code"),
        ("2020-11-23", "XCG", "Currency: XCG is in use from 2025-03-31 on"),
        // In use on its due date, but it would be paid today.
        ("2020-11-23", "HRK", "Currency: HRK was withdrawn"),
    ] {
        let row = format!("ACC-1,{due},1,{currency},B,,");
        let found = rejected(csv(&[GOOD, &row, GOOD]).as_bytes(), &["--allow-past"]);
        let [(line, said)] = &found[..] else { panic!("{row} gave {found:?}") };
        assert!(*line == 3 && said.starts_with(reason), "{row} gave line {line}: {said}");
    }
    let rows = ["ACC-1,2999-11-23,1,XCG,B,,", "ACC-1,2999-11-23,1,ZWG,B,,"];
    assert_eq!(rejected(csv(&rows).as_bytes(), &[]), []);
}

#[test]
fn the_banks_day_decides_what_has_passed() {
    let zone = |text| TimeZone::posix(text).unwrap();
    let (east, west) = (zone("AHEAD-14"), zone("BEHIND+11"));
    let row = format!("A,{},1,EUR,B,,", today(&west));
    for (zone, rejected) in [(&west, 0), (&east, 1)] {
        let import = Try::on(today(zone), "monday.csv", csv(&[&row]).as_bytes(), &[]);
        assert_eq!(import.check().unwrap().1.counts.rejected, rejected);
    }
}

#[test]
fn what_is_refused_stands_in_the_rejects_once_and_as_written() {
    let bad = "ACC#1,2999-11-23,1,EUR,B,\"a \"\"b\"\",\nc\",";
    let import = Try::new("monday.csv", csv(&[GOOD, bad, GOOD]).as_bytes(), &[]);
    import.check().unwrap();
    let written = String::from_utf8(import.rejected_rows()).unwrap();
    let (header, row) = written.split_once('\n').unwrap();
    assert_eq!(header, format!("Line,Reason,{HEADER}"));
    let reason = "AccountID: has '#' at position 4; letters, digits, '-', '_' and '.' are allowed";
    assert_eq!(row, format!("3,\"{reason}\",{bad}\n"));
}

#[test]
fn a_folder_a_missing_file_and_files_that_are_the_same_are_bad_usage() {
    let usage = |path: &Path, arguments: &[&str]| match prepare(path, arguments) {
        Err(ImportError::Usage(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monday.csv");
    assert!(usage(folder.path(), &[]).contains("not a regular file"));
    assert!(usage(&file, &[]).starts_with("opening "));
    fs::write(&file, csv(&[GOOD])).unwrap();
    assert!(usage(&file, &["--rejects", file.to_str().unwrap()]).contains("different files"));
}

#[test]
fn a_file_is_imported_by_one_process_at_a_time() {
    let first = Try::new("monday.csv", csv(&[GOOD]).as_bytes(), &[]);
    let path = first.folder.path().join("monday.csv");
    let second = || prepare(&path, &[]);
    assert!(second().is_err_and(|error| error.to_string().contains("is running")));
    drop(first.import);
    assert!(second().is_ok());
}

#[test]
fn sums_are_by_currency() {
    let rows = csv(&[GOOD, GOOD, "A,2999-11-23,7,JPY,B,,"]);
    let (validation, _) = Try::new("monday.csv", rows.as_bytes(), &[]).check().unwrap();
    assert_eq!(validation.totals.sums, BTreeMap::from([("EUR", 2500), ("JPY", 7)]));
}
