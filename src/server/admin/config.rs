//! CONFIG: the rows of `config::server::DIRECTIVES`, read and changed. A change of several directives
//! happens whole or not at all. No file is ever rewritten.

use super::super::{NewSecrets, Server};
use crate::commands::CommandError;
use crate::config::server::{DIRECTIVES, directives};
use crate::resp::Writer;
use crate::session::Session;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::glob;
use crate::stdx::time::Now;

type Done = Result<(), CommandError>;

pub(super) fn config(
    server: &mut Server,
    _: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let arity = |name: &str| Err(CommandError::Arity(format!("config|{name}")));
    match argv[1].to_ascii_lowercase().as_slice() {
        b"get" if argv.len() < 3 => arity("get"),
        b"get" => {
            get(server, &argv[2..], out);
            Ok(())
        }
        b"set" if argv.len() < 4 || argv.len() % 2 == 1 => arity("set"),
        b"set" => {
            set(server, now, &argv[2..])?;
            out.ok();
            Ok(())
        }
        b"resetstat" if argv.len() != 2 => arity("resetstat"),
        b"resetstat" => {
            server.stats.reset();
            server.latency.drop_histograms();
            server.eviction.reset_stats();
            server.keyspace.garbage_counters().reset_freed();
            out.ok();
            Ok(())
        }
        b"rewrite" => Err(
            "ERR CONFIG REWRITE is not done: no configuration file is ever rewritten here; change the file itself".into(),
        ),
        b"help" => {
            help(out, super::help::CONFIG);
            Ok(())
        }
        _ => Err(unknown_subcommand("config", argv).into()),
    }
}

fn get(server: &Server, patterns: &[&[u8]], out: &mut Writer<'_>) {
    let patterns: Vec<Vec<u8>> = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    let matches = |name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes()));
    let mut found = Vec::new();
    for row in DIRECTIVES {
        let names = [Some(row.name), row.alias];
        found.extend(names.into_iter().flatten().filter(|name| matches(name)).map(|name| (name, row)));
    }
    out.map(found.len());
    for (name, row) in found {
        out.bulk(name.as_bytes());
        out.bulk((row.get)(&server.config).as_bytes());
    }
}

fn set(server: &mut Server, now: Now, pairs: &[&[u8]]) -> Done {
    let mut next = server.config.clone();
    let mut seen: Vec<&str> = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let name = String::from_utf8_lossy(pair[0]);
        let fail = |why: &str| {
            CommandError::Text(format!(
                "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
            ))
        };
        let row = directives::find(&name).ok_or_else(|| {
            CommandError::Text(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
        })?;
        if matches!(row.name, "dir" | "dbfilename") {
            return Err(fail("can't set protected config"));
        }
        if !row.at_runtime {
            return Err(fail("can't set immutable config"));
        }
        if seen.contains(&row.name) {
            return Err(fail("duplicate parameter"));
        }
        seen.push(row.name);
        let value = String::from_utf8_lossy(pair[1]).into_owned();
        // A password may hold spaces; lists of values are what is left.
        let secret = row.name == "requirepass" || row.name.starts_with("master");
        let words = if value.contains(' ') && !secret {
            value.split_whitespace().map(str::to_owned).collect()
        } else {
            vec![value]
        };
        (row.set)(&mut next, &words).map_err(|why| fail(&why))?;
    }
    server.config = next;
    server.apply_config(now);
    Ok(())
}

impl Server {
    pub(in crate::server) fn take_secrets(&mut self, now: Now, news: NewSecrets) {
        if news.requirepass.is_some() {
            self.config.requirepass = news.requirepass;
        }
        if news.masterauth.is_some() {
            self.config.masterauth = news.masterauth;
        }
        self.apply_config(now);
    }

    /// What others copied from the configuration.
    fn apply_config(&mut self, now: Now) {
        let config = &self.config;
        self.hub.settings.protected_mode = config.protected_mode;
        self.hub.settings.clients_max = config.clients_max;
        self.hub.settings.output_bytes_max = config.output_bytes_max();
        self.hub.settings.output_soft = config.output_soft();
        self.hub.auth.set_password(config.requirepass.as_ref().map(|secret| secret.expose().as_bytes()));
        self.hub.auth.acl.log.entries_max = config.stock.acl_log_max;
        self.hub.auth.acl.log.entries.truncate(config.stock.acl_log_max);
        self.hub.tracking.keys_max = config.tracking_keys_max;
        if !config.latency.tracking {
            self.latency.drop_histograms();
        }
        self.admin.slowlog.entries.truncate(config.slowlog_len_max);
        self.replication.config_changed(config);
        self.log_switched(now);
        self.memory_config_changed();
        self.evict(now);
    }
}
