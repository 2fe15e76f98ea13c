//! Files of an import: a letter for the form, then the file. What is taken by the grammar of CSV
//! says the same to a reader that knows RFC 4180 and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use import::RowSyntax;
use import::fuzzing::payments;
use domain::{Amount, Data, Payment};

/// The rows of a text by RFC 4180, blank ones left out; `None` where it is none.
fn strict(text: &str) -> Option<Vec<Vec<String>>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    loop {
        if !quoted && field.is_empty() && characters.next_if_eq(&'"').is_some() {
            loop {
                match (characters.next()?, characters.peek()) {
                    ('"', Some('"')) => field.extend(characters.next()),
                    ('"', _) => break,
                    (other, _) => field.push(other),
                }
            }
            quoted = true;
            continue;
        }
        let ends = match characters.next() {
            Some(',') => false,
            Some('\r') if characters.peek() == Some(&'\n') => continue,
            Some('\n') | None => true,
            Some('"' | '\r' | '\0') => return None,
            Some(_) if quoted => return None,
            Some(other) => {
                field.push(other);
                continue;
            }
        };
        row.push(std::mem::take(&mut field));
        quoted = false;
        if ends {
            let row: Vec<String> = std::mem::take(&mut row);
            if !row.iter().all(|field| is_blank(field)) {
                rows.push(row);
            }
            if characters.peek().is_none() {
                return Some(rows);
            }
        }
    }
}

/// Nothing but what a spreadsheet leaves in an empty cell. Other white space, such as a form
/// feed, is a fault of its row, and is not passed over.
fn is_blank(field: &str) -> bool {
    field.chars().all(|character| matches!(character, ' ' | '\t' | '\r' | '\n'))
}

fn is_payment(payment: &Payment) {
    assert!((1..=Amount::MAX).contains(&payment.amount.minor_units()));
    let written = serde_json::to_string(payment).unwrap();
    assert_eq!(&serde_json::from_str::<Payment>(&written).unwrap(), payment);
}

/// What a payment of the file says stands in its own row of the file.
fn agrees(text: &str, taken: &[Result<Payment, String>]) {
    let rows = strict(text).expect("a file that RFC 4180 does not know is taken");
    let Some((header, rows)) = rows.split_first() else { return };
    let place = |name: &str| header.iter().position(|column| column.trim() == name);
    let rows: Vec<_> = rows.iter().filter(|row| row[0].trim_ascii() != "TRAILER").collect();
    assert_eq!(rows.len(), taken.len(), "rows have come together, or apart");
    for (row, payment) in rows.into_iter().zip(taken) {
        let Ok(payment) = payment else { continue };
        let field = |name| place(name).map(|place| row[place].as_str()).unwrap_or_default();
        assert_eq!(field("AccountID").trim(), payment.account.as_str());
        assert_eq!(field("BeneficiaryID").trim(), payment.beneficiary.as_str());
        let blob = match &payment.data {
            Some(Data::Whole(blob)) => blob.as_str(),
            Some(Data::Beside(_)) | None => "",
        };
        assert_eq!(field("DataBlob"), blob);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((form, file)) = data.split_first() else { return };
    let form = match form {
        b'c' => RowSyntax::Csv,
        b'l' => RowSyntax::CsvLines,
        b'j' => RowSyntax::JsonLines,
        _ => return,
    };
    let Some(taken) = payments(file, form) else { return };
    taken.iter().flatten().for_each(is_payment);
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if let (RowSyntax::Csv, Ok(text)) = (form, std::str::from_utf8(text)) {
        agrees(text, &taken);
    }
});
