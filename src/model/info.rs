//! INFO text: the server writes it, the sentinel reads it; one file keeps both honest.

use std::fmt::{Display, Write};

/// Builds INFO: sections of `field:value` lines, CRLF-terminated, a blank line between sections.
#[derive(Default)]
pub struct InfoWriter {
    text: String,
}

impl InfoWriter {
    pub fn section(&mut self, title: &str) -> &mut Self {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        let _ = write!(self.text, "# {title}\r\n");
        self
    }

    pub fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        let _ = write!(self.text, "{name}:{value}\r\n");
        self
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// Fields of an INFO reply. A field named twice keeps its last value. Total on any bytes: lines
/// that are not `field:value` are skipped. The caller bounds the size before it parses.
#[derive(Debug, Default, Clone)]
pub struct Info<'a> {
    /// In their order. Twenty of two hundred are asked for: looking through the list costs less than
    /// an index would.
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Info<'a> {
    pub fn parse(text: &'a str) -> Self {
        let mut fields = Vec::with_capacity(256);
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            let line = rest[..end].trim_end_matches('\r');
            rest = rest.get(end + 1..).unwrap_or("");
            if !line.starts_with('#')
                && let Some(colon) = memchr::memchr(b':', line.as_bytes())
            {
                fields.push((&line[..colon], &line[colon + 1..]));
            }
        }
        Info { fields }
    }

    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.fields.iter().rev().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    /// In the order of the text, with those that are named again.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().copied()
    }

    pub fn number(&self, field: &str) -> Option<i64> {
        self.get(field)?.parse().ok()
    }

    pub fn offset(&self, field: &str) -> Option<u64> {
        self.get(field)?.parse().ok()
    }
}
