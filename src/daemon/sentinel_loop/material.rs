//! What a sentinel's connections are made with: certificates, routes, names. Bound to its files, and
//! read from them again, with the secrets, when they change.

use super::Fatal;
use super::secrets::Secrets;
use crate::config::sentinel::SentinelConfig;
use crate::config::tls::ClientFiles;
use crate::daemon::reload::{self, Why};
use crate::daemon::tls_files::{self, Dialling, Serving};
use crate::net::dial::{NatMap, Ways};
use crate::net::link::Route;
use crate::net::names::Names;
use crate::net::peer_link::PeerWay;
use crate::net::tls::{Acceptor, Versions};
use parking_lot::Mutex;
use slog::{Logger, error, info, warn};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Cheap to clone; every clone sees what was read last.
#[derive(Clone)]
pub(super) struct Material {
    files: Arc<Mutex<Files>>,
    config: Arc<SentinelConfig>,
    pub ways: Ways,
    pub acceptor: Option<Arc<Acceptor>>,
    pub https: Option<Arc<Acceptor>>,
}

struct Files {
    serving: Vec<Serving>,
    peers: Option<Dialling>,
    groups: BTreeMap<ClientFiles, Dialling>,
}

impl Material {
    pub(super) fn read(config: &SentinelConfig, logger: &Logger) -> Result<Self, Fatal> {
        let clients = config.tls_auth_clients;
        let serve = |wanted: bool, alpn| match config.tls_server().filter(|_| wanted) {
            None => Ok(None),
            Some(files) => {
                let clients = match alpn {
                    None => clients,
                    // Browsers seldom have one; who may act there is told by `http-users`.
                    Some(_) => crate::config::tls::AuthClients::No,
                };
                Serving::start(files, clients, alpn, logger).map(Some)
            }
        };
        let port = serve(config.tls_port != 0, None).map_err(Fatal)?;
        let page = serve(config.tls_http && config.http.is_some(), Some("http/1.1")).map_err(Fatal)?;
        let peers = config.tls_to_peers().map(|files| Dialling::start(files, Versions::Newest, logger));
        let mut groups = BTreeMap::new();
        // The empty name is no group's: it stands for those that no file describes.
        for name in config.masters.iter().map(|master| master.name.as_str()).chain([""]) {
            if let Some(files) = config.tls_to_group(name)
                && !groups.contains_key(&files)
            {
                let dialling = Dialling::start(files.clone(), Versions::All, logger).map_err(Fatal)?;
                groups.insert(files, dialling);
            }
        }
        let told = logger.clone();
        let names = Names::of_system(Box::new(move |host, old, new| {
            warn!(told, "the name {} leads to {} now (before: {})", host, new, old);
        }));
        let acceptor = |serving: &Option<Serving>| serving.as_ref().map(|serving| serving.acceptor.clone());
        Ok(Material {
            acceptor: acceptor(&port),
            https: acceptor(&page),
            ways: Ways { names, nat: Arc::new(nat_map(config)) },
            config: Arc::new(config.clone()),
            files: Arc::new(Mutex::new(Files {
                serving: port.into_iter().chain(page).collect(),
                peers: peers.transpose().map_err(Fatal)?,
                groups,
            })),
        })
    }

    pub(super) fn peer_way(&self) -> PeerWay {
        let tls = self.files.lock().peers.as_ref().map(|dialling| dialling.connector.clone());
        PeerWay { ways: self.ways.clone(), tls }
    }

    /// How other sentinels are reached as a client reaches them.
    pub(super) fn route_to_peers(&self) -> Route {
        let PeerWay { ways, tls } = self.peer_way();
        Route { ways, tls }
    }

    /// How the servers of this group are reached.
    pub(super) fn route(&self, group: &str) -> Route {
        let files = self.config.tls_to_group(group);
        let known = self.files.lock();
        // Every choice that the configuration can make was read at the start.
        let tls = files.and_then(|files| known.groups.get(&files).map(|one| one.connector.clone()));
        Route { ways: self.ways.clone(), tls }
    }

    /// Takes up what the files hold now. A file that is no good leaves the old in force, and is told.
    fn reload(&self, logger: &Logger) {
        let mut files = self.files.lock();
        let Files { serving, peers, groups } = &mut *files;
        let results = serving
            .iter_mut()
            .map(|serving| serving.reload(logger))
            .chain(peers.iter_mut().chain(groups.values_mut()).map(Dialling::reload));
        tls_files::tell_of_reload(results.collect(), logger);
    }

    fn paths(&self) -> Vec<PathBuf> {
        let files = self.files.lock();
        let dialling = files.peers.iter().chain(files.groups.values()).flat_map(Dialling::paths);
        let mut paths: Vec<PathBuf> = files.serving.iter().flat_map(Serving::paths).chain(dialling).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// The secrets, each time they were read again; certificates are replaced on the way.
    pub(super) fn watch(&self, logger: Logger) -> Result<mpsc::Receiver<Secrets>, Fatal> {
        let mut paths = self.paths();
        paths.extend(Secrets::paths(&self.config));
        let mut due = reload::watch(paths).map_err(Fatal::because)?;
        let (sender, receiver) = mpsc::channel(1);
        let material = self.clone();
        tokio::spawn(async move {
            while let Some(why) = due.recv().await {
                let (material, log) = (material.clone(), logger.clone());
                let read = move || {
                    if why == Why::Signal {
                        info!(log, "asked to read certificates and secrets again");
                    }
                    material.reload(&log);
                    Secrets::read(&material.config, &log)
                };
                match tokio::task::spawn_blocking(read).await {
                    Ok(Ok(secrets)) => {
                        if sender.send(secrets).await.is_err() {
                            return;
                        }
                    }
                    Ok(Err(why)) => error!(logger, "{}; the secrets read before stay in force", why),
                    Err(_) => {}
                }
            }
        });
        Ok(receiver)
    }
}

fn nat_map(config: &SentinelConfig) -> NatMap {
    let rules = &config.nat_map;
    NatMap {
        addresses: rules.iter().filter_map(crate::config::addresses::NatRule::addresses).collect(),
        hosts: rules
            .iter()
            .filter_map(|rule| rule.hosts())
            .map(|(announced, dial)| (announced.to_owned(), dial.to_owned()))
            .collect(),
    }
}
