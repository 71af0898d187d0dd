//! The data server as a process: what people and clients meet at its port.

mod caching;
mod hostile;
mod limits;
mod loading;
mod memory;
mod notifications;
mod scripts;
mod start;
mod story;
mod strangers;
mod streams;
mod unix;
