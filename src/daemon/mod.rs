//! Where a core meets its shells: the only reader of the clock and of entropy, and the owner of the
//! process. Decides nothing.

mod acl_file;
pub mod agent_loop;
pub mod alert_sender;
mod aof_start;
pub mod aof_writer;
pub mod clock;
pub mod drill;
pub mod errand_runner;
mod freeing;
mod guarded_resolver;
mod loading;
pub mod lock;
pub mod logging;
mod machine;
pub mod memory_meter;
mod migration;
mod pid_file;
pub mod reload;
mod replica_follower;
mod secret_file;
pub mod secret_files;
pub mod sentinel_loop;
pub mod server_loop;
pub mod shutdown;
mod small_text;
pub mod snapshot_writer;
pub mod systemd;
pub mod tls_files;
