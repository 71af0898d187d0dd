//! The data server as a process: what people and clients meet at its port.

mod hostile;
mod start;
mod story;
