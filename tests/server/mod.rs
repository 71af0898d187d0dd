//! The data server as a process: what people and clients meet at its port.

mod alike;
mod caching;
mod ending;
mod figures;
mod hostile;
mod limits;
mod loading;
mod memory;
mod notifications;
mod old_snapshots;
mod scripts;
mod start;
mod stock;
mod story;
mod strangers;
mod streams;
mod unix;
