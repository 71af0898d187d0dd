//! ACL at the server's door: whose keys a request touches, and the file that users may be kept in.

use super::Server;
use super::admin::keys;
use super::table::{CommandId, Table};
use crate::commands::CommandError;
use crate::session::acl::Order;
use crate::session::{PortFacts, Session, SessionId};
use crate::stdx::time::Now;
use bytes::Bytes;
use std::sync::OnceLock;

/// All commands by name, for questions that come without a server.
fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::new)
}

pub(super) fn facts() -> PortFacts {
    PortFacts {
        knows: Some(|name| table().find(name.as_bytes()).is_some()),
        keys: Some(|argv| match table().spec_of(argv.first().copied().unwrap_or_default()) {
            Some(spec) if spec.arity.accepts(argv.len()) => Ok(keys::positions(spec, argv)),
            Some(spec) => Err(CommandError::Arity(spec.name.to_owned()).to_string()),
            None => Ok(Vec::new()),
        }),
        entropy: None,
    }
}

impl Server {
    /// Why the session's user may not do this.
    pub(super) fn forbids(
        &mut self,
        session: &mut Session,
        now: Now,
        id: CommandId,
        argv: &[&[u8]],
    ) -> Option<CommandError> {
        let spec = self.table.entry(id).spec;
        self.hub.refuses(session, now, argv, || keys::positions(&spec, argv)).map(CommandError::Text)
    }

    /// Where ACL GENPASS takes its bytes from.
    pub fn set_entropy(&mut self, fill: fn(&mut [u8]) -> bool) {
        self.hub.settings.port.entropy = Some(fill);
    }

    /// Users at the start: those of directives, or those of a file.
    pub fn define_users<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        self.hub.auth.acl.define(lines)
    }

    pub fn load_users(&mut self, text: &str, file: &str) -> Result<(), String> {
        self.hub.auth.acl.has_file = true;
        self.hub.auth.acl.load(text, file)
    }

    /// The shell has done what an ACL LOAD or SAVE asked for.
    pub fn acl_file_done(&mut self, session: SessionId, order: &Order, result: Result<String, String>) {
        let reply = match self.hub.acl_file_done(order, result) {
            Ok(()) => Bytes::from_static(b"+OK\r\n"),
            Err(why) => Bytes::from(format!("-{}\r\n", why.replace(['\r', '\n'], " "))),
        };
        self.respond(session, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::acl::catalogue;

    #[test]
    fn every_command_is_in_the_catalogue() {
        let missing: Vec<&str> = table()
            .iter()
            .map(|entry| entry.spec.name)
            .filter(|name| catalogue::find(name).is_none())
            .collect();
        assert!(missing.is_empty(), "without categories: {missing:?}");
    }
}
