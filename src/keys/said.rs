//! What others say of a failure, as messages may show it.

/// A text of somebody else's in one line of at most `longest` characters,
/// without control characters.
pub(super) fn one_line(text: &str, longest: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(longest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paints_goes_and_the_rest_stays() {
        assert_eq!(one_line("no\n\u{1b}[31m  way", 100), "no [31m way");
        assert_eq!(one_line("a  b", 2), "a ");
    }
}
