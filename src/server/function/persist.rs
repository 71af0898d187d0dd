//! Libraries on their way to and from the disk and other servers: as texts.

use super::Functions;
use super::load::Patience;
use crate::rdb::ImageWriter;
use crate::server::{Level, Server};

impl Functions {
    /// In the order of their names.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.libraries.values().map(|library| library.text.as_slice())
    }
}

impl Server {
    /// Puts the libraries in front of the keys of an image.
    pub(in crate::server) fn image_with_functions(&self, image: ImageWriter) -> ImageWriter {
        image.with_functions(self.functions.texts())
    }

    /// Takes the libraries of an image in place of those that are here. One that does not load is left
    /// out and named in the log: the data does not depend on it.
    pub fn take_functions(&mut self, texts: &[Vec<u8>]) {
        self.functions = Functions::default();
        for text in texts {
            let mut said = Vec::new();
            let result = self.functions.load(text, false, Patience::unlimited(), &mut said);
            self.tell_said(said);
            if let Err(why) = result {
                let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
                let first = String::from_utf8_lossy(&first[..first.len().min(100)]).into_owned();
                self.log(
                    Level::Error,
                    format!("a library of functions is left out ({first}): {why}; load it again with FUNCTION LOAD once it is mended"),
                );
            }
        }
    }

    pub(super) fn tell_said(&mut self, said: super::load::Said) {
        for (level, message) in said {
            let level = match level {
                0 | 1 => Level::Debug,
                2 => Level::Info,
                _ => Level::Warning,
            };
            let message = &message[..message.len().min(1024)];
            self.log(level, format!("function: {}", String::from_utf8_lossy(message)));
        }
    }
}
