//! Texts that anybody may have written, without what a terminal would obey.

/// The text with its control characters written out.
pub(crate) fn escaped(text: &str) -> String {
    let shown = |character: char| -> Vec<char> {
        if character.is_control() { character.escape_default().collect() } else { vec![character] }
    };
    text.chars().flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(escaped("a\u{1b}[2Jé\n"), r"a\u{1b}[2Jé\n");
    }
}
