//! Scripts: Lua inside the server. So far the libraries that scripts find; knows nothing of commands.

pub mod libraries;
