//! INFO text: the server writes it, the sentinel reads it; one file keeps both honest.

use std::collections::HashMap;
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
    fields: HashMap<&'a str, &'a str>,
}

impl<'a> Info<'a> {
    pub fn parse(text: &'a str) -> Self {
        let fields = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.trim_end_matches('\r').split_once(':'))
            .collect();
        Info { fields }
    }

    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field).copied()
    }

    pub fn number(&self, field: &str) -> Option<i64> {
        self.get(field)?.parse().ok()
    }

    pub fn offset(&self, field: &str) -> Option<u64> {
        self.get(field)?.parse().ok()
    }
}
