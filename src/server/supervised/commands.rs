//! VEDETTE LEASE, FENCE, PROMOTE, FOLLOW: docs/protocol.md, word for word.
//!
//! An order that changes what must outlive the process goes out as an action, is carried out when it
//! was kept, and answered after that. Only silencing a fenced master does not wait for a disk.

use super::{Grant, Record, Refusal, Told};
use crate::commands::CommandError;
use crate::model::{Address, Epoch, ReplId};
use crate::resp::spec::{ADMIN, Arity, CommandSpec, NO_KEYS, NO_MULTI, STALE, SUPERVISOR};
use crate::resp::{Protocol, Writer};
use crate::server::replication::Role;
use crate::server::replication::divergent::Fork;
use crate::server::{Action, Level, Server, ServerCommand};
use crate::session::{Session, SessionId};
use crate::stdx::time::{Duration, Now};
use bytes::Bytes;
use std::collections::BTreeMap;

type Done = Result<(), CommandError>;

/// The longest a lease may be: one that nobody could wait out protects nothing.
const TTL_MAX: Duration = Duration::from_secs(60);
const GROUP_BYTES_MAX: usize = 128;
const MEMBERS_MAX: usize = 128;

#[derive(Clone, Debug)]
enum Order {
    Lease(Grant),
    Fence,
    Promote,
    Follow { master: Address, stock: bool, fork: Option<Fork> },
}

impl Order {
    fn told(&self) -> Told {
        match self {
            Order::Lease(_) | Order::Promote => Told::Master,
            Order::Fence => Told::Still,
            Order::Follow { .. } => Told::Replica,
        }
    }
}

#[derive(Clone, Debug)]
struct Pending {
    session: SessionId,
    protocol: Protocol,
    group: String,
    epoch: Epoch,
    order: Order,
}

/// Orders on their way to the disk, by ticket.
#[derive(Debug, Default)]
pub struct Orders {
    pending: BTreeMap<u64, Pending>,
    next_ticket: u64,
}

impl Orders {
    /// The files must tell the latest reign in the end, so an order does not overtake a newer one
    /// that is on its way to the disk.
    fn check(&self, epoch: Epoch, told: Told) -> Result<(), Refusal> {
        match self.pending.values().max_by_key(|pending| pending.epoch) {
            Some(newest) if newest.epoch > epoch => Err(Refusal::Stale(newest.epoch)),
            Some(newest) if newest.epoch == epoch => match newest.order.told() {
                Told::Still => Ok(()),
                same if same == told => Ok(()),
                _ => Err(Refusal::Taken(epoch)),
            },
            _ => Ok(()),
        }
    }
}

fn refused(refusal: Refusal) -> CommandError {
    CommandError::Text(refusal.to_string())
}

fn vedette(
    server: &mut Server,
    session: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    server.replication.supervision.supervisors.insert(session.id);
    let word = |index: usize| std::str::from_utf8(argv[index]).map_err(|_| CommandError::Syntax);
    let number = |index: usize| -> Result<u64, CommandError> {
        word(index)?.parse().map_err(|_| CommandError::NotInteger)
    };
    if argv.len() < 4 {
        return Err(CommandError::Arity("vedette".into()));
    }
    let (group, epoch) = (word(2)?.to_owned(), number(3)?);
    if group.is_empty() || group.len() > GROUP_BYTES_MAX || !group.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("ERR a group's name is 1 to 128 printable characters without spaces".into());
    }
    if argv[1].eq_ignore_ascii_case(b"DRILL") {
        let words: Result<Vec<&str>, _> = (4..argv.len()).map(word).collect();
        super::drill::drill(server, session, &group, epoch, &words?)?;
        out.ok();
        return Ok(());
    }
    let order = match (argv[1].to_ascii_uppercase().as_slice(), argv.len()) {
        (b"LEASE", 9) => {
            let members: Result<Vec<Address>, _> =
                word(8)?.split(',').filter(|text| !text.is_empty()).map(str::parse).collect();
            let members = members.map_err(|_| "ERR the set is a list of host:port, separated by commas")?;
            if members.len() > MEMBERS_MAX {
                return Err("ERR the set has too many members".into());
            }
            let ttl = Duration::from_millis(number(4)?).min(TTL_MAX);
            let quorum = usize::try_from(number(6)?).unwrap_or(usize::MAX);
            Order::Lease(Grant { ttl, echo_ms: number(5)?, quorum, version: number(7)?, members })
        }
        (b"FENCE", 4) => Order::Fence,
        (b"PROMOTE", 4) => Order::Promote,
        (b"FOLLOW", 6..=10) => {
            let (mut stock, mut fork) = (false, None);
            let mut rest = 6;
            while rest < argv.len() {
                match argv[rest].to_ascii_uppercase().as_slice() {
                    b"STOCK" => {
                        stock = true;
                        rest += 1;
                    }
                    b"FORK" if rest + 2 < argv.len() => {
                        let history = ReplId::parse(word(rest + 1)?).ok_or(CommandError::Syntax)?;
                        fork = Some(Fork { history, offset: number(rest + 2)? });
                        rest += 3;
                    }
                    _ => return Err(CommandError::Syntax),
                }
            }
            let port = u16::try_from(number(5)?).ok().filter(|&port| port != 0);
            let master = Address::new(word(4)?, port.ok_or("ERR Invalid master port")?);
            Order::Follow { master, stock, fork }
        }
        (b"LEASE" | b"FENCE" | b"PROMOTE" | b"FOLLOW", _) => {
            return Err(CommandError::Arity("vedette".into()));
        }
        _ => {
            return Err(
                "ERR unknown subcommand of VEDETTE; it has LEASE, FENCE, PROMOTE, FOLLOW, DRILL".into()
            );
        }
    };
    server.take_order(
        session,
        now,
        Pending { session: session.id, protocol: session.protocol, group, epoch, order },
        out,
    )
}

impl Server {
    fn take_order(&mut self, session: &mut Session, now: Now, asked: Pending, out: &mut Writer<'_>) -> Done {
        let must_keep = self.must_keep(&asked).map_err(refused)?;
        self.replication.orders.check(asked.epoch, asked.order.told()).map_err(refused)?;
        if !must_keep {
            self.carry_out_order(now, &asked);
            out.raw(&self.order_reply(now, &asked));
            return Ok(());
        }
        if matches!(asked.order, Order::Fence) && matches!(self.replication.role, Role::Master) {
            // Nothing is acknowledged from this moment on, whatever the disk says.
            self.become_awaiting(now);
        }
        let record = self.replication.supervision.record_of(&asked.group, asked.epoch, asked.order.told());
        let orders = &mut self.replication.orders;
        orders.next_ticket += 1;
        let ticket = orders.next_ticket;
        orders.pending.insert(ticket, asked);
        self.actions.push(Action::Keep { ticket, record });
        self.block(session);
        Ok(())
    }

    /// Whether the state file would change; an error when the order may not be carried out.
    fn must_keep(&self, asked: &Pending) -> Result<bool, Refusal> {
        let supervision = &self.replication.supervision;
        supervision.check(&asked.group, asked.epoch)?;
        if let Order::Lease(_) = asked.order {
            // A server that never had a supervisor takes the one that comes; any other master
            // must have been told to be one in the reign that the lease is for, or continue it.
            let is_master = matches!(self.replication.role, Role::Master);
            return if is_master { Ok(asked.epoch > supervision.epoch) } else { Err(Refusal::NotMaster) };
        }
        let new = supervision.check_order(&asked.group, asked.epoch, asked.order.told())?;
        Ok(new && (asked.epoch > supervision.epoch || supervision.told != Some(asked.order.told())))
    }

    /// The record of an order was kept, or could not be.
    pub(in crate::server) fn order_kept(&mut self, now: Now, ticket: u64, result: Result<(), String>) {
        let Some(asked) = self.replication.orders.pending.remove(&ticket) else { return };
        let reply = match result {
            Err(why) => {
                self.log(Level::Error, format!("cannot keep vedette.state: {why}"));
                Err(CommandError::Text(format!("ERR cannot keep vedette.state: {why}")))
            }
            // While it was on its way to the disk a newer order may have overtaken it.
            Ok(()) => self.must_keep(&asked).map_err(refused).map(|_| {
                self.carry_out_order(now, &asked);
                self.order_reply(now, &asked)
            }),
        };
        let bytes = reply.unwrap_or_else(|error| {
            let mut bytes = Vec::new();
            Writer::new(&mut bytes, asked.protocol).error(&error.to_string());
            bytes
        });
        self.unblock(asked.session, Bytes::from(bytes), None);
    }

    fn carry_out_order(&mut self, now: Now, asked: &Pending) {
        let (group, epoch) = (asked.group.as_str(), asked.epoch);
        let supervision = &self.replication.supervision;
        let same = supervision.epoch == epoch && supervision.told == Some(asked.order.told());
        match &asked.order {
            Order::Lease(grant) => {
                let first = supervision.epoch == 0;
                if !same {
                    self.enter_master(now, group, epoch);
                }
                self.replication.supervision.renew(now.mono, grant.clone());
                if first {
                    // Until now it acknowledged without any vouching; the first supervisor to come
                    // has nothing to wait for, so clients need not notice the change.
                    self.replication.supervision.lease_until = now.mono + grant.ttl;
                }
                self.replication.refresh_gate(now.mono);
            }
            Order::Fence if same => {}
            Order::Fence => {
                self.become_awaiting(now);
                self.replication.supervision.enter(group, epoch, Told::Still);
                self.replication.silence();
                self.log(Level::Warning, format!("fenced at epoch {epoch} of '{group}'"));
            }
            Order::Promote if same => {}
            Order::Promote => {
                self.become_master(now);
                self.replication.supervision.restarted = false;
                self.enter_master(now, group, epoch);
                self.log(Level::Warning, format!("promoted: master of '{group}' at epoch {epoch}"));
            }
            Order::Follow { master, stock, fork } => {
                let upstream = self.replication.upstream();
                let already = upstream.is_some_and(|up| up.master == *master && up.stock == *stock);
                if same && already {
                    return;
                }
                if let Some(fork) = fork {
                    self.keep_divergent(fork);
                }
                // The role ends under the old reign's rules, the link begins under the new one's.
                self.become_awaiting(now);
                self.replication.supervision.enter(group, epoch, Told::Replica);
                self.replication.silence();
                self.become_replica(now, master.clone(), *stock);
                if std::mem::take(&mut self.replication.supervision.restarted) {
                    self.disconnect_clients();
                }
            }
        }
    }

    /// The reign of this master begins; nobody vouches for it yet.
    fn enter_master(&mut self, now: Now, group: &str, epoch: Epoch) {
        let fresh_id = crate::model::ReplId::random(&mut self.rng);
        self.replication.supervision.enter(group, epoch, Told::Master);
        self.replication.stream.activate(|| fresh_id);
        self.replication.synced = true;
        self.replication.close_gate();
        self.replication.refresh_gate(now.mono);
    }

    fn order_reply(&self, now: Now, asked: &Pending) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = Writer::new(&mut bytes, asked.protocol);
        let replication = &self.replication;
        let supervision = &replication.supervision;
        match &asked.order {
            Order::Lease(_) => {
                out.array(4);
                out.integer(now.mono.as_millis() as i64);
                out.integer(supervision.epoch as i64);
                let by_replicas =
                    now.mono < replication.supervision.by_replicas(&replication.fresh_members());
                let vouched = by_replicas || now.mono < replication.vouched_until();
                out.integer(i64::from(vouched) + i64::from(by_replicas));
                out.integer(supervision.set_version as i64);
            }
            Order::Fence => {
                let (replid2, second) = match replication.stream.replid2() {
                    Some((replid, upto)) => (replid.to_string(), *upto as i64),
                    None => ("0".repeat(40), -1),
                };
                out.array(7);
                out.bulk(supervision.node.as_bytes());
                out.bulk(replication.stream.replid().as_str().as_bytes());
                out.integer(replication.stream.offset() as i64);
                out.bulk(replid2.as_bytes());
                out.integer(second);
                out.integer(replication.silence_ms(now.mono));
                out.integer(i64::from(replication.synced));
            }
            Order::Promote | Order::Follow { .. } => out.ok(),
        }
        bytes
    }

    /// At the start: what the state file said. The epoch holds; the role has to be told again.
    pub fn restore_supervision(&mut self, now: Now, record: Record) {
        self.become_awaiting(now);
        self.replication.supervision.restore(record);
        self.replication.silence();
    }

    /// Under supervision, or once was.
    pub fn is_supervised(&self) -> bool {
        self.replication.supervision.is_supervised()
    }
}

pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        name: "vedette",
        arity: Arity::AtLeast(2),
        flags: ADMIN | STALE | NO_MULTI | SUPERVISOR,
        keys: NO_KEYS,
        category: "@dangerous",
        summary: "What sentinels say to the servers they supervise.",
    },
    handler: vedette,
}];
