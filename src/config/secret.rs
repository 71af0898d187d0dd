//! A secret as a value that cannot be printed by accident: it has no Display and its Debug says
//! nothing. Reading the file it comes from is the shell's work.

#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The content of a secret file: one trailing line end belongs to the editor, not to the secret.
    /// `None` when nothing is left.
    pub fn from_file_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        (!text.is_empty()).then(|| Secret(text.to_owned()))
    }

    /// As given in a directive, where every character counts.
    pub fn new(text: String) -> Self {
        Secret(text)
    }

    /// The one way to its text: easy to find when reviewing who sees secrets.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_dropped_and_nothing_is_shown() {
        let secret = Secret::from_file_text("hunter 2 \r\n").unwrap();
        assert_eq!(secret.expose(), "hunter 2 ");
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
        assert!(Secret::from_file_text("\n").is_none());
    }
}
