//! Text to typed configuration, with every default and unit named. Knows no file and no socket.

pub mod sentinel;
