//! Files that were taken wrongly once, each as the test of its whole kind.

use super::{GOOD, Try, csv, rejected, whole};

const QUOTES_INSIDE: &[u8] = include_bytes!("cases/import-quotes-inside-a-field.csv");
const SWALLOWS: &[u8] = include_bytes!("cases/import-quote-swallows-next-row.csv");
const EMPTY_ROWS: &[u8] = include_bytes!("cases/import-rows-of-empty-fields.csv");
const EMPTY_BEFORE_HEADER: &[u8] = include_bytes!("cases/import-empty-fields-before-header.csv");
const UTF16: &[u8] = include_bytes!("cases/import-utf16-without-bom.csv");

/// The days in the files pass.
const ANY_DAY: &str = "--allow-past";

#[test]
fn a_quote_that_swallows_the_next_row_refuses_the_file() {
    let reason = whole(SWALLOWS, &[ANY_DAY]);
    let place = "line 3, byte 40, in the row that begins on line 2: text after a closing quote";
    assert!(reason.starts_with(place), "{reason}");
    assert!(reason.contains("--trust-lines"), "{reason}");

    let found = rejected(SWALLOWS, &[ANY_DAY, "--trust-lines"]);
    let [(2, reason)] = &found[..] else { panic!("{found:?}") };
    assert!(reason.contains("a quoted field that is not closed on its line"), "{reason}");
    let trusted = Try::new("monday.csv", SWALLOWS, &[ANY_DAY, "--trust-lines"]);
    assert_eq!(trusted.check().unwrap().0.totals.rows, 3, "the row after it is one of its own");
}

#[test]
fn quotes_inside_a_quoted_field_refuse_the_file() {
    let reason = whole(QUOTES_INSIDE, &[ANY_DAY]);
    assert!(reason.starts_with("line 2, byte 48: text after a closing quote"), "{reason}");
    let found = rejected(QUOTES_INSIDE, &[ANY_DAY, "--trust-lines"]);
    let [(2, reason)] = &found[..] else { panic!("{found:?}") };
    assert!(reason.starts_with("is no row of RFC 4180: text after a closing"), "{reason}");
}

/// Whatever field it stands in, and whatever would be made of it.
#[test]
fn what_rfc_4180_does_not_know_refuses_the_file_or_its_own_line_where_lines_are_trusted() {
    for (row, part) in [
        ("\"ACC-1\"7,2999-11-23,1,EUR,B,,", "text after a closing quote"),
        ("ACC-1,2999-11-23,\"1\"00,EUR,B,,", "text after a closing quote"),
        ("ACC-1,2999-11-23,\"1\" ,EUR,B,,", "text after a closing quote"),
        ("ACC-1,2999-11-23,1,EUR,B,5\" pipe,", "a quote in a field without quotes"),
        ("ACC-1,2999-11-23,1,EUR,B, \"x\",", "a quote in a field without quotes"),
        ("ACC-1,2999-11-23,1,EUR,B,a\0b,", "a byte of value 0"),
        ("ACC-1,2999-11-23,1,EUR,B,\"a\0b\",", "a byte of value 0"),
        ("ACC-1,2999-11-23\r,1,EUR,B,,", "a carriage return without a line feed"),
        ("ACC-1,2999-11-23,1,EUR,B,,\rACC-2,2999-11-23,1,EUR,B,,", "a carriage return without"),
    ] {
        let text = csv(&[GOOD, row, GOOD]);
        let reason = whole(text.as_bytes(), &[]);
        assert!(reason.starts_with("line 3, byte ") && reason.contains(part), "{row}: {reason}");
        let found = rejected(text.as_bytes(), &["--trust-lines"]);
        let [(3, reason)] = &found[..] else { panic!("{row} gave {found:?}") };
        assert!(reason.contains(part), "{row}: {reason}");
    }
    let macintosh = csv(&[GOOD, GOOD]).replace('\n', "\r");
    let reason = whole(macintosh.as_bytes(), &[]);
    assert!(reason.starts_with("the header is no row") && reason.contains("carriage"), "{reason}");
    let header = whole(format!("\"Account\"ID,x\n{GOOD}\n").as_bytes(), &["--trust-lines"]);
    assert!(header.starts_with("the header is no row of RFC 4180"), "{header}");
}

/// A doubled quote takes in the next rows up to one that closes the field again by chance: no
/// fault by the grammar, and a payment less.
#[test]
fn a_row_within_a_quoted_field_refuses_the_file_even_where_the_grammar_is_kept() {
    let swallowed = "ACC-2,2999-11-23,2,EUR,B,\"\",";
    let rows =
        ["ACC-1,2999-11-23,1,EUR,B,\"Invoice\"\",", swallowed, "ACC-3,2999-11-23,3,EUR,B,\","];
    let reason = whole(csv(&[GOOD, &rows.join("\n"), GOOD]).as_bytes(), &[]);
    assert!(reason.starts_with("line 3, byte 1: a line within a quoted field"), "{reason}");
    // A blob over several lines is none.
    let letter = "ACC-1,2999-11-23,1,EUR,B,\"Dear Sir,\nas of 2999-11-23, 17 EUR,\nyours\",";
    assert_eq!(rejected(csv(&[letter]).as_bytes(), &[]), []);
}

#[test]
fn a_field_over_many_lines_that_is_too_long_refuses_the_file() {
    let mut rows = vec!["ACC-1,2999-11-23,1,EUR,B,\"x,"; 1];
    rows.extend(std::iter::repeat_n("ACC-2,2999-11-23,1,EUR,B,y,", 3_000));
    rows.push("ACC-3,2999-11-23,1,EUR,B,\",");
    let reason = whole(csv(&rows).as_bytes(), &[]);
    assert!(reason.contains("over several lines that is too long"), "{reason}");
}

#[test]
fn rows_of_empty_fields_are_passed_over_and_counted() {
    let (validation, results) = Try::new("monday.csv", EMPTY_ROWS, &[ANY_DAY]).check().unwrap();
    assert_eq!((validation.totals.rows, validation.blank, results.counts.rejected), (2, 3, 0));
    assert_eq!(whole(EMPTY_ROWS, &[ANY_DAY, "--expect-count", "2"]), "");

    let early = Try::new("monday.csv", EMPTY_BEFORE_HEADER, &[ANY_DAY]).check().unwrap();
    assert_eq!((early.0.totals.rows, early.0.blank, early.1.counts.rejected), (1, 1, 0));

    let rows = csv(&[GOOD, " , ,,\t", "\"\",\"\"", "TRAILER,1,1250:EUR", ",,,,,,", "", ",,"]);
    let (validation, _) = Try::new("monday.csv", rows.as_bytes(), &[]).check().unwrap();
    assert_eq!((validation.totals.rows, validation.blank), (1, 5));

    let rows = csv(&[GOOD, "\x0c,,,,,,"]);
    let (validation, results) = Try::new("monday.csv", rows.as_bytes(), &[]).check().unwrap();
    assert_eq!((validation.totals.rows, validation.blank, results.counts.rejected), (2, 0, 1));

    let jsonl = Try::new("monday.jsonl", b"\n  \n{\"Trailer\":{\"Count\":0}}\n \n", &[]);
    assert_eq!(jsonl.check().unwrap().0.blank, 3);
}

#[test]
fn utf_16_without_a_mark_is_called_by_its_name_with_what_to_do() {
    let reason = whole(UTF16, &[ANY_DAY]);
    assert!(reason.starts_with("the file is written in UTF-16LE, not in UTF-8"), "{reason}");
    assert!(reason.contains("iconv -f UTF-16LE -t UTF-8"), "{reason}");
    let json: Vec<u8> = "{\"A\":1}\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let reason = Try::new("monday.jsonl", &json, &[]).check().err().unwrap_or_default();
    assert!(reason.starts_with("the file is written in UTF-16BE"), "{reason}");
}

#[test]
fn json_lines_are_held_to_one_object_each_with_every_name_once() {
    let good = r#"{"AccountID":"A","ScheduledDate":"2999-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"B"}"#;
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    for (row, part) in [
        (format!("{good}{good}"), "trailing characters"),
        (format!("{good} {good}"), "trailing characters"),
        (format!("{good}\r{good}"), "trailing characters"),
        (format!("{good},"), "trailing characters"),
        (format!("\u{feff}{good}"), "expected value"),
        (format!("[{good}]"), "invalid"),
        (with("}", ",\"Amount\":1}"), "duplicate field `Amount`"),
        (with("}", ",\"\\u0041mount\":1}"), "duplicate field `Amount`"),
        (with("1250", "1250.0"), "not a whole number of minor units"),
        (with("1250", "1.25e3"), "not a whole number of minor units"),
        (with("1250", "01250"), "invalid number"),
        (with("1250", "+1250"), "expected value"),
        (with("1250", "NaN"), "expected value"),
        (with("1250", "-0"), "not above zero"),
        (with("1250", "true"), "Amount: must be a JSON text"),
    ] {
        let content = format!("{good}\n{row}\n{good}\n");
        let found = Try::new("monday.jsonl", content.as_bytes(), &[]).check().unwrap().1.reasons;
        let [(2, reason)] = &found[..] else { panic!("{row} gave {found:?}") };
        assert!(reason.contains(part), "{row}: {reason}");
    }
    for (trailer, part) in [
        (r#"{"Trailer":{"Count":1,"Sums":{"EUR":1250,"EUR":1250}}}"#, "EUR is there twice"),
        (r#"{"Trailer":{"Count":1,"Count":1}}"#, "duplicate field `Count`"),
        (r#"{"Trailer":{"Count":1}} {}"#, "trailing characters"),
        (r#"{"Trailer":{"Count":1.0}}"#, "floating point"),
        (r#"{"Trailer":{"Count":1,"Sums":{"EUR":1250.0}}}"#, "expected `,` or `}`"),
    ] {
        let content = format!("{good}\n{trailer}\n");
        let reason = Try::new("monday.jsonl", content.as_bytes(), &[]).check().err();
        let reason = reason.unwrap_or_default();
        assert!(
            reason.starts_with("line 2: the trailer: ") && reason.contains(part),
            "{trailer}: {reason}"
        );
    }
}

#[test]
fn an_amount_with_a_plus_is_refused_in_either_form() {
    let found = rejected(csv(&["ACC-1,2999-11-23,+5,EUR,B,,"]).as_bytes(), &[]);
    assert!(found[0].1.starts_with("Amount: \"+5\" is not a whole number"), "{found:?}");
}

/// The same payments under two names are told by their content.
#[test]
fn the_content_is_the_same_however_the_rows_are_written_and_in_whatever_order() {
    let content = |name: &str, bytes: &[u8]| {
        let validation = Try::new(name, bytes, &[]).check().unwrap().0;
        (validation.content.hash(), validation.content.rows())
    };
    let rows =
        ["ACC-1,2999-11-23,1250,EUR,BEN-1,\"two\nlines\",", "ACC-2,2999-11-24,7,JPY,BEN-2,,"];
    let plain = content("monday.csv", csv(&rows).as_bytes());
    assert_eq!(plain.1, 2);
    let [one, two] = rows;
    for (name, text) in [
        ("tuesday.csv", csv(&[two, one])),
        ("windows.csv", format!("\u{feff}{}", csv(&rows).replace(",\n", ",\r\n"))),
        ("quoted.csv", csv(&[one, "\"ACC-2\",\"2999-11-24\",\"007\",JPY , BEN-2,\"\",\"\""])),
        ("blank.csv", csv(&[",,,,,,", one, two, ",,"])),
        ("trailer.csv", csv(&[one, two, "TRAILER,2"])),
        ("rejected.csv", csv(&[one, "ACC-2,2999-11-24,0,JPY,BEN-2,,", two])),
        (
            "columns.csv",
            "Currency,Amount,BeneficiaryID,ScheduledDate,AccountID,DataBlob\n\
            EUR,1250,BEN-1,2999-11-23,ACC-1,\"two\nlines\"\nJPY,7,BEN-2,2999-11-24,ACC-2,\n"
                .to_owned(),
        ),
        (
            "json.jsonl",
            "{\"AccountID\":\"ACC-1\",\"ScheduledDate\":\"2999-11-23\",\"Amount\":\"1250\",\
            \"Currency\":\"EUR\",\"BeneficiaryID\":\"BEN-1\",\"DataBlob\":\"two\\u000alines\"}\n\
            {\"BeneficiaryID\":\"BEN-2\",\"AccountID\":\"ACC-2\",\"ScheduledDate\":\"2999-11-24\",\
            \"Amount\":7,\"Currency\":\"JPY\"}"
                .to_owned(),
        ),
    ] {
        assert_eq!(content(name, text.as_bytes()), plain, "{name}");
    }
    let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
    let with_id = format!("ACC-3,2999-11-24,7,JPY,BEN-2,,{id}");
    assert_eq!(content("ids.csv", csv(&[one, &with_id, two]).as_bytes()), plain);
    for other in [csv(&[one]), csv(&[one, two, two]), csv(&[one, &two.replace("JPY", "USD")])] {
        assert_ne!(content("other.csv", other.as_bytes()).0, plain.0, "{other}");
    }
}
