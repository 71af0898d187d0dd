//! Which programs belong to a group, and what they are to be told of an event. Running them is the shell's
//! work; whether they run is decided by who leads.

use super::ledger::Group;
use super::node::Sentinel;
use crate::config::hooks::{HookConfig, HookKind};
use crate::config::sentinel::MasterConfig;
use crate::model::event::{Event, EventKind, Severity};
use std::path::PathBuf;

/// The two kinds of Redis Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Notification,
    ClientReconfig,
}

/// Something to run once because of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    /// The path, then the arguments of Redis Sentinel.
    Script {
        argv: Vec<String>,
    },
    Hook {
        kind: HookKind,
        hook: HookConfig,
    },
}

impl Errand {
    /// For events and people; a URL may hold a password, so a hook goes by its kind.
    pub fn name(&self) -> &str {
        match self {
            Errand::Script { argv } => argv.first().map_or("", String::as_str),
            Errand::Hook { kind, hook } => {
                hook.program.as_ref().and_then(|path| path.to_str()).unwrap_or(kind.name())
            }
        }
    }
}

impl Sentinel {
    fn configured(&self, group: &str) -> Option<&MasterConfig> {
        self.config.masters.iter().find(|master| master.name == group)
    }

    /// The script of a group: set at run time where this sentinel's own file allows that, else the file's.
    /// So nobody can make a sentinel run a program that its own file does not name or allow.
    pub fn script_of(&self, group: &Group, script: Script) -> Option<String> {
        let (set, file): (_, fn(&MasterConfig) -> Option<&PathBuf>) = match script {
            Script::Notification => {
                (&group.settings.notification_script, |config| config.notification_script.as_ref())
            }
            Script::ClientReconfig => {
                (&group.settings.client_reconfig_script, |config| config.client_reconfig_script.as_ref())
            }
        };
        let path = match set {
            Some(set) if !self.config.deny_scripts_reconfig => set.clone(),
            _ => self.configured(&group.name).and_then(file)?.display().to_string(),
        };
        (!path.is_empty()).then_some(path)
    }

    pub fn hook_of(&self, group: &str, kind: HookKind) -> Option<&HookConfig> {
        let own = self.configured(group).and_then(|config| config.hooks.get(kind));
        own.or_else(|| self.config.hooks.get(kind))
    }

    /// What is to be run because of this event.
    pub fn errands(&self, event: &Event) -> Vec<Errand> {
        let mut errands = Vec::new();
        if event.group.is_empty() {
            return errands;
        }
        if let Some(group) = self.ledger.group(&event.group) {
            if event.kind.row().severity == Severity::Warning
                && let Some(path) = self.script_of(group, Script::Notification)
            {
                let argv = vec![path, event.kind.name().to_owned(), event.payload.clone()];
                errands.push(Errand::Script { argv });
            }
            if event.kind == EventKind::SwitchMaster
                && let Some(path) = self.script_of(group, Script::ClientReconfig)
            {
                errands.push(Errand::Script { argv: reconfigured(path, event) });
            }
        }
        let kind = match event.kind {
            EventKind::SwitchMaster => HookKind::PostFailoverMaster,
            EventKind::FailoverEnd => HookKind::PostFailover,
            EventKind::AbortNoGoodReplica
            | EventKind::AbortReplicaTimeout
            | EventKind::AbortMasterBack
            | EventKind::AbortVetoed => HookKind::OnFailure,
            _ => return errands,
        };
        if let Some(hook) = self.hook_of(&event.group, kind) {
            errands.push(Errand::Hook { kind, hook: hook.clone() });
        }
        errands
    }
}

/// `<master-name> <role> <state> <from-ip> <from-port> <to-ip> <to-port>`: always the leader, always the
/// start, for it is run once for the fleet.
fn reconfigured(path: String, event: &Event) -> Vec<String> {
    // The payload is `name from-ip from-port to-ip to-port`.
    let mut words = event.payload.split(' ').map(str::to_owned);
    let name = words.next().unwrap_or_default();
    [path, name, "leader".to_owned(), "start".to_owned()].into_iter().chain(words).collect()
}
