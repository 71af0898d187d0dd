//! FUNCTION LIST and FUNCTION STATS.

use super::library::{Library, flag_names};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::server::Server;
use crate::server::script::Kind;
use crate::stdx::glob;

type Done = Result<(), CommandError>;

impl Server {
    pub(super) fn list_functions(&self, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
        let (mut pattern, mut with_code) = (None, false);
        let mut words = argv.iter().skip(2);
        while let Some(word) = words.next() {
            if !with_code && word.eq_ignore_ascii_case(b"withcode") {
                with_code = true;
            } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
                let given = words.next().ok_or("ERR library name argument was not given")?;
                pattern = Some(given.to_ascii_lowercase());
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::Text(format!("ERR Unknown argument {word}")));
            }
        }
        let is_wanted = |library: &&Library| {
            pattern
                .as_ref()
                .is_none_or(|pattern| glob::matches(pattern, library.name.to_ascii_lowercase().as_bytes()))
        };
        let wanted: Vec<&Library> = self.functions.libraries.values().filter(is_wanted).collect();
        out.array(wanted.len());
        for library in wanted {
            put_library(library, with_code, out);
        }
        Ok(())
    }

    /// What runs now, and how much there is.
    pub(super) fn function_stats(&self, out: &mut Writer<'_>) -> Done {
        let standing = self.scripting.standing();
        if let Some((Kind::Eval, ..)) = standing {
            return Err(
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
                    .into(),
            );
        }
        out.map(2);
        out.bulk(b"running_script");
        match standing {
            None => out.null(),
            Some((_, name, took)) => {
                out.map(3);
                out.bulk(b"name");
                out.bulk(name.as_bytes());
                out.bulk(b"command");
                out.array(self.functions.request.len());
                for word in &self.functions.request {
                    out.bulk(word);
                }
                out.bulk(b"duration_ms");
                out.integer(took.as_millis() as i64);
            }
        }
        out.bulk(b"engines");
        out.map(1);
        out.bulk(b"LUA");
        out.map(2);
        out.bulk(b"libraries_count");
        out.integer(self.functions.library_count() as i64);
        out.bulk(b"functions_count");
        out.integer(self.functions.function_count() as i64);
        Ok(())
    }
}

fn put_library(library: &Library, with_code: bool, out: &mut Writer<'_>) {
    out.map(if with_code { 4 } else { 3 });
    out.bulk(b"library_name");
    out.bulk(library.name.as_bytes());
    out.bulk(b"engine");
    out.bulk(b"LUA");
    out.bulk(b"functions");
    out.array(library.functions.len());
    for function in &library.functions {
        out.map(3);
        out.bulk(b"name");
        out.bulk(function.name.as_bytes());
        out.bulk(b"description");
        match &function.description {
            Some(description) => out.bulk(description),
            None => out.null(),
        }
        out.bulk(b"flags");
        let flags = flag_names(function.flags);
        out.set(flags.len());
        for flag in flags {
            out.simple(flag);
        }
    }
    if with_code {
        out.bulk(b"library_code");
        out.bulk(&library.text);
    }
}
